"""Networks of integers, run by PyTorch."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, linear, max_pool2d, pad

from classical.errors import UsageError
from classical.quantization.integer import (
    Add,
    AvgPool2d,
    Clamp,
    Concat,
    Conv2d,
    Flatten,
    IntegerModel,
    Layer,
    Linear,
    MaxPool2d,
    Rescale,
)


def run_integer(model: IntegerModel, q: Tensor) -> Tensor:
    """The result of a network of integers.

    Args:
        model: as `to_integer` makes it.
        q: int8 [batch, *model.input.shape].

    Returns:
        int8 [batch, *model.output.shape].

    Raises:
        UsageError: for another dtype or shape.
    """
    check_input(model, q)
    values = [q]
    for layer in model.layers:
        values.append(_run(layer, *(values[number] for number in layer.inputs)))
    return values[-1]


def check_input(model: IntegerModel, q: Tensor) -> None:
    """Raise UsageError unless q is what a network of integers takes."""
    if q.dtype != torch.int8 or tuple(q.shape[1:]) != model.input.shape:
        raise UsageError(
            f"the network takes int8 [batch, {', '.join(map(str, model.input.shape))}], "
            f"not {str(q.dtype).removeprefix('torch.')} {list(q.shape)}"
        )


class IntegerModule(nn.Module):
    """A network of integers in the place of the model it comes from: numbers in, logits out."""

    def __init__(self, model: IntegerModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """float32 [batch, ...] -> float32 [batch, ...], integers between."""
        source, target = self.model.input, self.model.output
        q = ((x / source.scale).round() + source.zero_point).clamp(-128, 127).to(torch.int8)
        return target.scale * (run_integer(self.model, q).float() - target.zero_point)


# Integers below 2**53 are exact in double precision, and all sums here are below 2**31: the result
# is that of int32, in any order of adding up, by kernels that are much faster.


@singledispatch
def _run(layer: Layer, *inputs: Tensor) -> Tensor:
    raise TypeError(f"no way to run {type(layer).__name__}")


@_run.register
def _(layer: Conv2d, q: Tensor) -> Tensor:
    padded = _padded(q, layer.padding, layer.pad_value)
    weight, bias = _double(layer.weight), _double(layer.bias)
    return _rescale(conv2d(padded, weight, bias, layer.stride, groups=layer.groups), layer.rescale)


@_run.register
def _(layer: Linear, q: Tensor) -> Tensor:
    sums = linear(q.double(), _double(layer.weight), _double(layer.bias))
    return _rescale(sums, layer.rescale)


@_run.register
def _(layer: MaxPool2d, q: Tensor) -> Tensor:
    return max_pool2d(_padded(q, layer.padding, -128), layer.kernel, layer.stride).to(torch.int8)


@_run.register
def _(layer: AvgPool2d, q: Tensor) -> Tensor:
    shifted = _padded(q, layer.padding, layer.input_zero) - layer.input_zero
    return _rescale(
        avg_pool2d(shifted, layer.kernel, layer.stride, divisor_override=1), layer.rescale
    )


@_run.register
def _(layer: Add, first: Tensor, second: Tensor) -> Tensor:
    terms = [
        factor * (q.double() - zero)
        for q, factor, zero in zip((first, second), layer.factors, layer.input_zeros, strict=True)
    ]
    return _rescale(terms[0] + terms[1], layer.rescale)


@_run.register
def _(layer: Concat, *parts: Tensor) -> Tensor:
    shifted = [q.double() - zero for q, zero in zip(parts, layer.input_zeros, strict=True)]
    multiplier, shift = (
        np.repeat(numbers, [q.shape[1] for q in parts])
        for numbers in (layer.rescale.multiplier, layer.rescale.shift)
    )
    rescale = replace(layer.rescale, multiplier=multiplier, shift=shift)
    return _rescale(torch.cat(shifted, 1), rescale)


@_run.register
def _(layer: Clamp, q: Tensor) -> Tensor:
    return q.clamp(layer.low, layer.high)


@_run.register
def _(layer: Flatten, q: Tensor) -> Tensor:
    return q.flatten(1)


def _padded(q: Tensor, padding: tuple[int, int, int, int], value: int) -> Tensor:
    top, bottom, left, right = padding
    return pad(q.double(), [left, right, top, bottom], value=float(value))


def _double(numbers: np.ndarray) -> Tensor:
    return torch.from_numpy(numbers).double()


def _rescale(sums: Tensor, rescale: Rescale) -> Tensor:
    ones = [1] * (sums.dim() - 2)
    multiplier, shift = (
        torch.from_numpy(numbers).long().reshape(-1, *ones)
        for numbers in (rescale.multiplier, rescale.shift)
    )
    scaled = (sums.long() * multiplier + (1 << (shift - 1))) >> shift
    return (scaled + rescale.zero_point).clamp(rescale.low, rescale.high).to(torch.int8)
