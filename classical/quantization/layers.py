"""Convolutions and linear layers: whose weights are quantized."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from classical.errors import UsageError
from classical.metrics.running import evaluating
from classical.quantization.affine import Scheme
from classical.quantization.calibration import Calibration, check_values, fit

Model = TypeVar("Model", bound=nn.Module)
INPUT_QUANTIZER = "input_quantizer"
"""Name of the module that quantizes the inputs of a layer in training."""


def weighted_layers(model: nn.Module, skip: Collection[str] = ()) -> dict[str, nn.Module]:
    """Convolutions and linear layers by name, but for some.

    Raises:
        UsageError: if there are none, or a name to skip is not among them.
    """
    found: dict[str, nn.Module] = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, _ConvNd))
    }
    check_names(skip, found)
    found = {name: module for name, module in found.items() if name not in skip}
    if not found:
        raise UsageError("the model has no convolution or linear layer to quantize")
    return found


def warn_of_others(model: nn.Module) -> None:
    """Warn of matrices that belong to no convolution or linear layer, and so keep their bits."""
    known = {id(p) for layer in weighted_layers(model).values() for p in layer.parameters()}
    others = [
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 and id(parameter) not in known
    ]
    if others:
        warnings.warn(
            f"{', '.join(others)}: no weights of a convolution or linear layer, so they keep their "
            "bits; to quantize them, compute with layers in their place",
            stacklevel=3,
        )


def check_unshared(model: nn.Module, weight: Tensor) -> None:
    """Raise UsageError if several modules, also of other kinds, have a weight in common."""
    owners = [
        name
        for name, module in model.named_modules()
        if any(parameter is weight for parameter in module.parameters(recurse=False))
    ]
    if len(owners) > 1:
        raise UsageError(
            f"layers {owners[0]!r} and {owners[1]!r} share a weight: skip them, or give each its "
            "own"
        )


def check_names(names: Collection[str], layers: Mapping[str, object]) -> None:
    """Raise UsageError if a name is not that of a layer."""
    unknown = [name for name in names if name not in layers]
    if unknown:
        raise UsageError(
            f"there is no convolution or linear layer {unknown[0]!r}: "
            f"choose among {', '.join(layers)}"
        )


def plain_weight(layer: nn.Module, name: str) -> Tensor:
    """The weight of a layer that can be overwritten.

    Raises:
        UsageError: if it is computed, as in quantization-aware training.
    """
    if parametrize.is_parametrized(layer, "weight"):
        raise UsageError(
            f"the weight of {name!r} is computed from others: make it plain by freeze(model) first"
        )
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def check_plain(model: nn.Module) -> None:
    """Raise UsageError if weights or inputs of a layer go through quantizers."""
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module) or hasattr(module, INPUT_QUANTIZER):
            raise UsageError(
                f"weights or inputs of {name!r} go through quantizers: take them out by "
                "freeze(model) first"
            )


def quantize_weights(
    model: Model, scheme: Scheme | Mapping[str, Scheme], calibration: Calibration | None = None
) -> Model:
    """A copy of the model with weights where the integers of a scheme can be.

    Args:
        model: any; biases and activations stay as they are.
        scheme: of all convolutions and linear layers, or by their names; others stay.
        calibration: gives the range of each block, by default `MinMax`.

    Raises:
        UsageError: for an unknown name, a weight that is computed, or groups that do not fit.

    Example:
        four_bits = quantize_weights(model, Scheme(4, per="channel"), MSE())
    """
    copy = deepcopy(model)
    layers = weighted_layers(copy)
    if isinstance(scheme, Scheme):
        warn_of_others(copy)
        scheme = dict.fromkeys(layers, scheme)
    check_names(scheme, layers)
    with torch.no_grad():
        for name, chosen in scheme.items():
            weight = plain_weight(layers[name], name)
            weight.copy_(fit(weight, chosen, calibration).round(weight))
    return copy


def watch(model: nn.Module, x: Tensor, names: Collection[str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Inputs and outputs of layers for an input of the model, in the order in which they work.

    The model runs without gradients, in evaluation mode, and is left as it was.

    Raises:
        UsageError: for no samples, or one that is not finite.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: found.__setitem__(name, (inputs[0], output))
        )
        for name in names
    ]
    try:
        with evaluating(model, x):
            check_values(x)
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return found
