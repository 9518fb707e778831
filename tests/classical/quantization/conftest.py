"""Networks of integers by NumPy in 32-bit arithmetic, written from the records' descriptions."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from classical.quantization.integer import (
    Add,
    AvgPool2d,
    Clamp,
    Concat,
    Conv2d,
    Flatten,
    IntegerModel,
    Linear,
    MaxPool2d,
    Rescale,
)


@pytest.fixture
def oracle() -> Callable[[IntegerModel, np.ndarray], np.ndarray]:
    return _run


def _run(model: IntegerModel, q: np.ndarray) -> np.ndarray:
    values = [q]
    for layer in model.layers:
        inputs = [values[number].astype(np.int32) for number in layer.inputs]
        found = _layer(layer, *inputs)
        assert found.shape[1:] == layer.output.shape
        assert found.min() >= -128
        assert found.max() <= 127
        values.append(found.astype(np.int8))
    return values[-1]


def _layer(layer: object, q: np.ndarray, *others: np.ndarray) -> np.ndarray:
    match layer:
        case Conv2d():
            return _rescale(_conv(layer, q), layer.rescale)
        case Linear():
            sums = q @ layer.weight.T.astype(np.int32) + layer.bias
            return _rescale(sums, layer.rescale)
        case MaxPool2d():
            return _windows(q, layer, -128).max((-2, -1))
        case AvgPool2d():
            shifted = _windows(q, layer, layer.input_zero) - np.int32(layer.input_zero)
            return _rescale(shifted.sum((-2, -1), dtype=np.int32), layer.rescale)
        case Add():
            (a, b), (zero_a, zero_b) = np.int32(layer.factors), np.int32(layer.input_zeros)
            total = (q - zero_a) * a + (others[0] - zero_b) * b
            assert total.dtype == np.int32
            return _rescale(total, layer.rescale)
        case Concat():
            zeros, factor = np.int32(layer.input_zeros), layer.rescale
            return np.concatenate(
                [
                    _rescale(
                        part - zero,
                        replace(factor, multiplier=multiplier, shift=shift),
                    )
                    for part, zero, multiplier, shift in zip(
                        (q, *others), zeros, factor.multiplier, factor.shift, strict=True
                    )
                ],
                1,
            )
        case Clamp():
            return q.clip(layer.low, layer.high)
        case Flatten():
            return q.reshape(len(q), -1)
    raise AssertionError(layer)


def _conv(layer: Conv2d, q: np.ndarray) -> np.ndarray:
    windows = _windows(q, layer, layer.pad_value, layer.weight.shape[2:])
    weight = layer.weight.astype(np.int32)
    outputs, inputs = len(weight) // layer.groups, weight.shape[1]
    groups = []
    for g in range(layer.groups):
        mine = windows[:, g * inputs : (g + 1) * inputs]
        kernel = weight[g * outputs : (g + 1) * outputs]
        groups.append(np.einsum("bchwij,ocij->bohw", mine, kernel, dtype=np.int32))
    return np.concatenate(groups, 1) + layer.bias[:, None, None]


def _windows(q: np.ndarray, layer: object, value: int, kernel: tuple | None = None) -> np.ndarray:
    top, bottom, left, right = layer.padding
    padded = np.pad(q, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)
    windows = sliding_window_view(padded, kernel or layer.kernel, (2, 3))
    return windows[:, :, :: layer.stride[0], :: layer.stride[1]]


def _rescale(sums: np.ndarray, rescale: Rescale) -> np.ndarray:
    assert sums.dtype == np.int32
    shape = (-1, *[1] * (sums.ndim - 2))
    shift = rescale.shift.astype(np.int64).reshape(shape)
    product = sums.astype(np.int64) * rescale.multiplier.reshape(shape)
    scaled = (product + (np.int64(1) << (shift - 1))) >> shift
    return (scaled + rescale.zero_point).clip(rescale.low, rescale.high)
