"""Quantization-aware training: quantizers in the places of weights and before layers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from classical.metrics.running import check_inputs
from classical.quantization.layers import (
    INPUT_QUANTIZER,
    Model,
    check_unshared,
    plain_weight,
    warn_of_others,
    weighted_layers,
)


def prepare_qat(
    model: Model,
    x: Tensor,
    *,
    weights: Callable[[], nn.Module] | None = None,
    activations: Callable[[], nn.Module] | None = None,
    skip: Collection[str] = (),
) -> Model:
    """A copy of the model that computes with quantized numbers, and is trained as ever.

    Jacob et al., arXiv:1712.05877, section 3.

    Args:
        model: any.
        x: samples that quantizers take their first ranges from, batch included.
        weights: makes a quantizer for the weight of each convolution and linear layer:
            `Rounded`, `LSQ`, `KMeans`, `BinaryWeight`, `TernaryWeight`.
        activations: makes a quantizer for the input of each: `Running`, `LSQ`, `PACT`,
            `BinaryActivation`.
        skip: layers to leave alone, usually the first and the last.

    Raises:
        UsageError: for an unknown layer, one whose weight is computed already or shared with
            another, no data, or data on another device.

    Example:
        student = prepare_qat(model, data.train.x[:256], weights=lambda: LSQ(4))
        train(student, data)
        small = freeze(student)
    """
    check_inputs(model, x)
    copy = deepcopy(model)
    if weights:
        warn_of_others(copy)
    for name, layer in weighted_layers(copy, skip).items():
        weight = plain_weight(layer, name)
        check_unshared(copy, weight)
        if weights:
            parametrize.register_parametrization(layer, "weight", weights())
        if activations:
            layer.add_module(INPUT_QUANTIZER, activations().to(weight.device))
            layer.register_forward_pre_hook(_quantize_input)
    with torch.no_grad():
        modes = [(module, module.training) for module in copy.modules()]
        copy.eval()(x)
        for module, training in modes:
            module.training = training
    return copy


def freeze(model: Model) -> Model:
    """A copy with plain weights, at the values that training ended with.

    Quantizers of activations are taken out: what follows, such as `to_integer`, brings its own.
    """
    copy = deepcopy(model)
    for module in copy.modules():
        if parametrize.is_parametrized(module, "weight"):
            # Copies share the class made for the weight, and removing would take it from all.
            shared = type(module)
            module.__class__ = type(shared.__name__, shared.__bases__, dict(shared.__dict__))
            parametrize.remove_parametrizations(module, "weight")
        if hasattr(module, INPUT_QUANTIZER):
            delattr(module, INPUT_QUANTIZER)
            hooks = module._forward_pre_hooks
            for key in [key for key, hook in hooks.items() if hook is _quantize_input]:
                del hooks[key]
    return copy


def _quantize_input(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    quantizer = getattr(layer, INPUT_QUANTIZER)
    return quantizer(inputs[0]), *inputs[1:]
