"""Networks of integers as plain data: what a program in C needs, and nothing else.

All activations are int8 and stand for scale * (q - zero_point). A layer reads one or two of them,
adds up in int32, and comes back to int8 by an integer factor and a shift (Jacob et al.,
arXiv:1712.05877). No layer computes with floating-point numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from classical.errors import UsageError


@dataclass(frozen=True)
class Value:
    """An activation, int8 [batch, *shape].

    Attributes:
        shape: without the batch: (channels, height, width) or (features,).
        scale: real value of one step.
        zero_point: the integer of 0.
    """

    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def bytes(self) -> int:
        """Of one of a batch."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Rescale:
    """From int32 to int8: clamp(zero_point + ((x * multiplier + half) >> shift), low, high).

    `half` is 2**(shift - 1). The product takes 64 bits and the shift is arithmetic, so halves are
    rounded up.

    Attributes:
        multiplier: int32 [channels], or [1] for all.
        shift: int32 alike, 1 to 62.
        zero_point: of the result.
        low, high: the least and greatest result; an activation function that only cuts is here.
    """

    multiplier: np.ndarray
    shift: np.ndarray
    zero_point: int
    low: int
    high: int


@dataclass(frozen=True)
class Layer:
    """What all layers have.

    Attributes:
        name: in the model it comes from.
        inputs: numbers of the values it reads: 0 is the input, k + 1 the result of layer k.
        output: its result.
    """

    name: str
    inputs: tuple[int, ...]
    output: Value

    @property
    def weight_bytes(self) -> int:
        """Of weights, biases, multipliers and shifts (one byte each)."""
        if not isinstance(self, Conv2d | Linear):
            return 0
        return self.weight.nbytes + self.bias.nbytes + 5 * len(self.rescale.multiplier)


@dataclass(frozen=True)
class Conv2d(Layer):
    """Cross-correlation, bias + sum of weight * q, rescaled.

    Attributes:
        weight: int8 [outputs, inputs / groups, height, width], from -127 to 127.
        bias: int32 [outputs]; minus the zero point of the input times the sum of weights is in it.
        stride: (vertical, horizontal).
        padding: (top, bottom, left, right), filled with `pad_value`.
        pad_value: zero point of the input.
        groups: as in PyTorch; a depthwise convolution has as many as inputs.
        rescale: one factor for each output channel.
    """

    weight: np.ndarray
    bias: np.ndarray
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    pad_value: int
    groups: int
    rescale: Rescale


@dataclass(frozen=True)
class Linear(Layer):
    """bias + weight @ q, rescaled; as `Conv2d` with weight int8 [outputs, inputs]."""

    weight: np.ndarray
    bias: np.ndarray
    rescale: Rescale


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """The greatest of a window; the result has the scale of the input.

    Attributes:
        kernel, stride: (vertical, horizontal).
        padding: (top, bottom, left, right), never the greatest.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]


@dataclass(frozen=True)
class AvgPool2d(Layer):
    """Sum of (q - zero_point of the input) in a window, rescaled; padding adds nothing.

    Attributes:
        kernel, stride: (vertical, horizontal).
        padding: (top, bottom, left, right).
        input_zero: zero point of the input.
        rescale: one factor, which has the size of the window in it.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    input_zero: int
    rescale: Rescale


@dataclass(frozen=True)
class Add(Layer):
    """Sum of factor k * (input k - zero k), rescaled; all of it fits 32 bits.

    Attributes:
        factors: of the two inputs, up to 2**21.
        input_zeros: their zero points.
        rescale: with multiplier 1.
    """

    factors: tuple[int, int]
    input_zeros: tuple[int, int]
    rescale: Rescale


@dataclass(frozen=True)
class Concat(Layer):
    """The channels or features of all inputs one after another: input k - zero k, rescaled.

    Attributes:
        input_zeros: zero points of the inputs.
        rescale: one factor for each input.
    """

    input_zeros: tuple[int, ...]
    rescale: Rescale


@dataclass(frozen=True)
class Clamp(Layer):
    """An activation function that only cuts, where no layer before it can: same scale.

    Attributes:
        low, high: the least and greatest result.
    """

    low: int
    high: int


@dataclass(frozen=True)
class Flatten(Layer):
    """The same numbers in order, [channels, height, width] -> [features]."""


@dataclass(frozen=True)
class IntegerModel:
    """A network of integers.

    Attributes:
        input: what it takes: q = clamp(round(x / scale) + zero_point, -128, 127).
        layers: in order; the last gives the result.
    """

    input: Value
    layers: tuple[Layer, ...]

    @property
    def output(self) -> Value:
        """What it gives."""
        return self.layers[-1].output if self.layers else self.input

    @property
    def weight_bytes(self) -> int:
        """Of all layers."""
        return sum(layer.weight_bytes for layer in self.layers)

    def value(self, number: int) -> Value:
        """The value that layers know by this number."""
        return self.layers[number - 1].output if number else self.input


def fixed_point(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positive real factors as multiplier / 2**shift, int32 each, the multiplier of 31 bits.

    Raises:
        UsageError: for a factor that is too large, not positive or not finite.
    """
    if not np.all(np.isfinite(factors) & (factors > 0) & (factors < 2.0**29)):
        raise UsageError(f"a factor between scales is {factors}: check the calibration data")
    exponent = np.frexp(factors)[1]
    shift = np.minimum(31 - exponent, 62)
    multiplier = np.round(factors * 2.0**shift)
    # A mantissa that rounds up to one more bit.
    over = multiplier == 2**31
    return (
        np.where(over, 2**30, multiplier).astype(np.int32),
        np.where(over, shift - 1, shift).astype(np.int32),
    )


def shared_fixed_point(first: float, second: float) -> tuple[tuple[int, int], int]:
    """Two factors as whole numbers up to 2**21 over one 2**shift, of 1 to 30.

    Raises:
        UsageError: for factors that are too large.
    """
    shift = min(21 - math.frexp(max(first, second))[1], 30)
    if shift < 1:
        raise UsageError(f"factors between scales are {first} and {second}: check the calibration")
    return (round(first * 2**shift), round(second * 2**shift)), shift
