"""Biases that undo what quantization shifts."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from classical.errors import UsageError
from classical.quantization.layers import Model, watch, weighted_layers


def correct_bias(quantized: Model, model: nn.Module, x: Tensor) -> Model:
    """A copy of a quantized model whose layers have the mean outputs of the original.

    Nagel et al., arXiv:1906.04721, section 4.2, with means over samples: one layer after the other,
    in the order in which they work.

    Args:
        quantized: weights rounded, otherwise as the model.
        model: the original.
        x: samples, batch included.

    Raises:
        UsageError: if the two have other layers.

    Example:
        rounded = quantize_weights(model, Scheme(4))
        corrected = correct_bias(rounded, model, data.train.x[:256])
    """
    copy = deepcopy(quantized)
    layers = weighted_layers(copy)
    if layers.keys() != weighted_layers(model).keys():
        raise UsageError("the quantized model and the original have different layers")
    for name, (_, output) in watch(model, x, layers).items():
        layer = layers[name]
        found = watch(copy, x, [name])[name][1]
        with torch.no_grad():
            shift = _mean(layer, output) - _mean(layer, found)
            before = layer.bias
            layer.bias = nn.Parameter(before + shift if isinstance(before, Tensor) else shift)
    return copy


def _mean(layer: nn.Module, output: Tensor) -> Tensor:
    """Of each channel: those of a convolution come before its dimensions of space."""
    dim = -1
    if isinstance(layer, _ConvNd):
        dim -= len(layer.kernel_size)
    return output.movedim(dim, 0).flatten(1).mean(1)
