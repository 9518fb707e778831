"""Which function in C runs a layer, the memory it needs besides, and what it may overwrite."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
)

PIXELS = 4
"""Columns that `conv2d` and `pointwise` multiply at once."""
_COLUMN_BYTES = 2


@dataclass(frozen=True)
class Kernel:
    """A function of c/specialized.c, c/naive.c or c/layers.c.

    Attributes:
        name: of the function.
        scratch_bytes: that it needs while it runs.
        overwrites: values whose place its result may take, where it is no larger.
    """

    name: str
    scratch_bytes: int = 0
    overwrites: tuple[int, ...] = ()


_NAMES = {
    Add: "add",
    AvgPool2d: "average_pool",
    Clamp: "clamp",
    Concat: "concat",
    Conv2d: "conv2d",
    Flatten: "flatten",
    Linear: "conv2d",
    MaxPool2d: "max_pool",
}


def naive(network: IntegerModel, layer: Layer) -> Kernel:
    """The plain function for all layers of a kind."""
    return Kernel(_NAMES[type(layer)])


def specialized(network: IntegerModel, layer: Layer) -> Kernel:
    """The fastest function that knows such a layer."""
    source = network.value(layer.inputs[0]).shape
    match layer:
        case Add() | Clamp():
            return Kernel(_NAMES[type(layer)], 0, layer.inputs)
        case Flatten() if _in_order(source):
            return Kernel("flatten", 0, layer.inputs)
        case Linear():
            return Kernel("pointwise", _COLUMN_BYTES * source[0])
        case Conv2d():
            return _convolution(layer, source)
    return naive(network, layer)


def _in_order(shape: tuple[int, ...]) -> bool:
    """Whether [height, width, channels] and [channels, height, width] are the same order."""
    return len(shape) == 1 or shape[0] == 1 or shape[1:] == (1, 1)


def _convolution(layer: Conv2d, source: tuple[int, ...]) -> Kernel:
    outputs, depth, high, wide = layer.weight.shape
    pixels = math.prod(layer.output.shape[1:])
    columns = _COLUMN_BYTES * min(PIXELS, pixels) * high * wide * depth
    if layer.groups == source[0] == outputs:
        (down, right), (_, rows, cols) = layer.stride, layer.output.shape
        buffer = ((rows - 1) * down + high) * ((cols - 1) * right + wide)
        return Kernel("depthwise", buffer, layer.inputs)
    if (high, wide) == layer.stride == (1, 1) and not any(layer.padding) and layer.groups == 1:
        return Kernel("pointwise", columns, layer.inputs)
    return Kernel("conv2d", columns)
