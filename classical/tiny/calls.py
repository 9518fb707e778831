"""A layer in C: its constants, and a function that calls its kernel with them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

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
    Value,
)
from classical.tiny.planner import MemoryPlan

_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t"}
_NUMBERS_IN_LINE = 24


@dataclass(frozen=True)
class _Site:
    """Where a layer runs: its number, the values it reads, and expressions in C for the places."""

    number: int
    sources: tuple[Value, ...]
    inputs: tuple[str, ...]
    output: str
    scratch: str


def layer_function(network: IntegerModel, plan: MemoryPlan, number: int, kernel: str) -> str:
    """Constants of a layer, and the function `layer_NUMBER`, which runs it by a kernel."""
    layer, scratch = network.layers[number], plan.scratch[number]
    site = _Site(
        number,
        tuple(network.value(source) for source in layer.inputs),
        tuple(f"arena + {plan.values[source].offset}" for source in layer.inputs),
        f"arena + {plan.values[number + 1].offset}",
        f"memory + {scratch.offset // 2}" if scratch else "0",
    )
    name = re.sub(r"[^\w.]", "?", layer.name)  # nothing that goes on after the comment
    shapes = [str(list(value.shape)) for value in (*site.sources, layer.output)]
    arguments = ", ".join(map(str, _arguments(layer, site)))
    return (
        f"// {name}: {', '.join(shapes[:-1])} to {shapes[-1]}\n{_constants(layer, number)}"
        f"static void layer_{number}(void) {{\n    {kernel}({arguments});\n}}\n"
    )


def _constants(layer: Layer, number: int) -> str:
    arrays = {}
    if isinstance(layer, Conv2d | Linear):
        # [outputs][height][width][inputs / groups], where a convolution has height and width.
        arrays = {"weight": np.moveaxis(layer.weight, 1, -1), "bias": layer.bias}
    if isinstance(layer, Conv2d | Linear | AvgPool2d | Add | Concat):
        shift = layer.rescale.shift.astype(np.uint8)
        arrays |= {"multiplier": layer.rescale.multiplier, "shift": shift}
    return "".join(
        f"static const {_TYPES[array.dtype.name]} {kind}_{number}[{array.size}] = {{\n"
        f"{_listed(array.ravel().tolist())}}};\n"
        for kind, array in arrays.items()
    )


def _listed(numbers: Sequence[int]) -> str:
    starts = range(0, len(numbers), _NUMBERS_IN_LINE)
    lines = (numbers[start : start + _NUMBERS_IN_LINE] for start in starts)
    return "".join(f"{','.join(map(str, line))},\n" for line in lines)


# The arguments of the kernels, in the order in which c/ has them.


@singledispatch
def _arguments(layer: Layer, site: _Site) -> tuple[object, ...]:
    raise TypeError(f"no C for {type(layer).__name__}")


@_arguments.register
def _(layer: Conv2d, site: _Site) -> tuple[object, ...]:
    kernel, groups = layer.weight.shape[2:], layer.groups
    window = _window(site, layer.output, kernel, layer.stride, layer.padding, groups)
    return _weighted(layer, site, layer.pad_value, window)


@_arguments.register
def _(layer: Linear, site: _Site) -> tuple[object, ...]:
    return _weighted(layer, site, 0, _window(site, layer.output))


@_arguments.register
def _(layer: MaxPool2d, site: _Site) -> tuple[object, ...]:
    window = _window(site, layer.output, layer.kernel, layer.stride, layer.padding)
    return *site.inputs, site.output, window


@_arguments.register
def _(layer: AvgPool2d, site: _Site) -> tuple[object, ...]:
    window = _window(site, layer.output, layer.kernel, layer.stride, layer.padding)
    return *site.inputs, site.output, layer.input_zero, window, _rescale(layer.rescale, site)


@_arguments.register
def _(layer: Add, site: _Site) -> tuple[object, ...]:
    numbers = (layer.output.bytes, *layer.factors, *layer.input_zeros)
    return *site.inputs, site.output, *numbers, _rescale(layer.rescale, site)


@_arguments.register
def _(layer: Concat, site: _Site) -> tuple[object, ...]:
    parts = f"(const int8_t *const[]){{{', '.join(site.inputs)}}}"
    channels, zeros = (
        f"(const int[]){{{', '.join(map(str, numbers))}}}"
        for numbers in ([value.shape[0] for value in site.sources], layer.input_zeros)
    )
    pixels = math.prod(layer.output.shape[1:])
    rescale = _rescale(layer.rescale, site)
    return parts, channels, zeros, len(site.inputs), site.output, pixels, rescale


@_arguments.register
def _(layer: Clamp, site: _Site) -> tuple[object, ...]:
    return *site.inputs, site.output, layer.output.bytes, layer.low, layer.high


@_arguments.register
def _(layer: Flatten, site: _Site) -> tuple[object, ...]:
    channels, *pixels = site.sources[0].shape
    return *site.inputs, site.output, math.prod(pixels), channels


def _weighted(layer: Conv2d | Linear, site: _Site, pad: int, window: str) -> tuple[object, ...]:
    weight, rescale = f"weight_{site.number}", _rescale(layer.rescale, site, f"bias_{site.number}")
    return *site.inputs, site.output, site.scratch, weight, pad, window, rescale


def _rescale(rescale: Rescale, site: _Site, bias: str = "0") -> str:
    arrays = f"{bias}, multiplier_{site.number}, shift_{site.number}"
    return f"(Rescale){{{arrays}, {rescale.zero_point}, {rescale.low}, {rescale.high}}}"


def _window(
    site: _Site,
    result: Value,
    kernel: Sequence[int] = (1, 1),
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    groups: int = 1,
) -> str:
    """Sizes of a layer with a window; a vector is an image of one pixel."""
    (inputs, *source), (outputs, *target) = (
        (*value.shape, 1, 1)[:3] for value in (site.sources[0], result)
    )
    top, left = padding[0], padding[-2]
    numbers = (*source, inputs, *target, outputs, *kernel, *stride, top, left, groups)
    return f"(Window){{{', '.join(map(str, numbers))}}}"
