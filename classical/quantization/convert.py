"""From a trained model to a network of integers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.quantization.affine import Affine, Scheme
from classical.quantization.calibration import Calibration, fit, fit_activations
from classical.quantization.folding import fold_batch_norm
from classical.quantization.graph import Graph, Node, Ref, pair, trace
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
    fixed_point,
    shared_fixed_point,
)

_ACTIVATIONS = Scheme(8, symmetric=False)
_WEIGHTS = Scheme(8, per="channel")
_SAME = ("dropout", "clone", "contiguous", "detach", "alias")
_LIMIT = 2**30
_LIMITS: dict[str, tuple[str | float, str | float]] = {
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "hardtanh": ("min_val", "max_val"),
    "clamp": ("min", "max"),
}
"""Activation functions that only cut, and where: a number, or the name of an argument."""


def to_integer(model: nn.Module, x: Tensor, calibration: Calibration | None = None) -> IntegerModel:
    """A network of integers that computes nearly what the model does (arXiv:1712.05877).

    Batch normalization is folded, weights get 8 bits per channel, activations 8 bits with a zero
    point. Convolutions, linear layers, poolings, sums of two branches, concatenation, flattening,
    and ReLU, ReLU6 or other cuts behind them are known.

    Args:
        model: one tensor in, one tensor out; it stays as it is, and is taken in evaluation mode.
        x: samples to calibrate on, batch included: some hundred typical ones.
        calibration: gives the ranges of activations, by default all that x leads to.

    Raises:
        UsageError: for a layer that is not known, calibration data that are constant, empty or
            not finite, or data on another device.

    Example:
        network = to_integer(model, data.train.x[:256])
        print(accuracy(IntegerModule(network), data.test))
    """
    graph = trace(fold_batch_norm(model, x), x)
    return _Converter(graph, graph.run(x), calibration).convert()


class _Converter:
    """Goes through the graph once; results are known by the numbers of their values."""

    def __init__(
        self, graph: Graph, results: Mapping[str, Tensor], calibration: Calibration | None
    ) -> None:
        self.graph = graph
        self.results = results
        self.calibration = calibration
        self.layers: list[Layer] = []
        self.numbers = {graph.input: 0}
        self.paddings: dict[str, tuple[int, int, int, int]] = {}
        self.input = self._value(graph.input, "the input")
        self.handlers: dict[str, Callable[[Node], None]] = {
            "conv2d": self._conv2d,
            "linear": self._linear,
            "max_pool2d": self._max_pool,
            "avg_pool2d": self._avg_pool,
            "adaptive_avg_pool2d": self._adaptive_pool,
            "mean": self._mean,
            "add": self._add,
            "pad": self._pad,
            **dict.fromkeys(("cat", "concat"), self._concat),
            **dict.fromkeys(("flatten", "view", "reshape"), self._flatten),
            **dict.fromkeys(_LIMITS, self._clamp),
            **dict.fromkeys(_SAME, self._same),
        }

    def convert(self) -> IntegerModel:
        for node in self.graph.nodes:
            if node.name in self.numbers:  # an activation function that its layer has taken in
                continue
            if node.op not in self.handlers:
                raise self._unknown(node, node.op)
            self.handlers[node.op](node)
        return IntegerModel(self.input, tuple(self.layers))

    # What layers share.

    def _unknown(self, node: Node, what: str) -> UsageError:
        known = ", ".join(sorted(self.handlers.keys() - set(_SAME)))
        return UsageError(
            f"there is no integer form of {what} (in {node.layer or 'the model itself'!r}): known "
            f"are {known}; replace it, or convert the part of the model without it"
        )

    def _value(self, result: str, name: str) -> Value:
        """A value with the range that its results have on the calibration data."""
        grid = fit_activations(self.results[result], _ACTIVATIONS, self.calibration, name)
        return Value(
            tuple(self.results[result].shape[1:]), float(grid.scale[0]), int(grid.zero_point[0])
        )

    def _source(self, name: str) -> tuple[int, Value]:
        number = self.numbers[name]
        return number, self.layers[number - 1].output if number else self.input

    def _append(self, node: Node, layer: Layer) -> None:
        self.layers.append(layer)
        self.numbers[node.name] = len(self.layers)

    def _with_activation(self, node: Node) -> tuple[Node, Value, int, int]:
        """The node, or the only one behind it if that cuts; its value and integer limits."""
        users = self.graph.users(node.name)
        if len(users) == 1 and node.name != self.graph.output:
            limits = _cuts(users[0])
            if limits:
                value = self._value(users[0].name, repr(users[0].layer))
                return users[0], value, *_integer_limits(limits, value)
        return node, self._value(node.name, repr(node.layer)), -128, 127

    def _rescaled(
        self, node: Node, factors: Callable[[Value], np.ndarray]
    ) -> tuple[Node, Value, Rescale]:
        last, value, low, high = self._with_activation(node)
        multiplier, shift = fixed_point(factors(value))
        return last, value, Rescale(multiplier, shift, value.zero_point, low, high)

    # One method for each kind of layer.

    def _conv2d(self, node: Node) -> None:
        given = node.arguments
        if any(size != 1 for size in given["dilation"]):
            raise self._unknown(node, "a dilated convolution")
        outer = self.paddings.get(node.inputs[0], (0, 0, 0, 0))
        number, value = self._source(node.inputs[0])
        weight, bias, scale = _weights(node, value)
        last, output, rescale = self._rescaled(node, lambda out: value.scale * scale / out.scale)
        inner = _conv_padding(given["padding"], weight.shape[2:])
        self._append(
            last,
            Conv2d(
                name=node.layer,
                inputs=(number,),
                output=output,
                weight=weight,
                bias=bias,
                stride=pair(given["stride"]),
                padding=_four([a + b for a, b in zip(inner, outer, strict=True)]),
                pad_value=value.zero_point,
                groups=given["groups"],
                rescale=rescale,
            ),
        )

    def _linear(self, node: Node) -> None:
        number, value = self._source(node.inputs[0])
        if len(value.shape) != 1:
            raise self._unknown(node, "a linear layer on more than [batch, features]")
        weight, bias, scale = _weights(node, value)
        last, output, rescale = self._rescaled(node, lambda out: value.scale * scale / out.scale)
        self._append(last, Linear(node.layer, (number,), output, weight, bias, rescale))

    def _max_pool(self, node: Node) -> None:
        given = node.arguments
        if given["ceil_mode"] or any(size != 1 for size in pair(given["dilation"])):
            raise self._unknown(node, "max-pooling with ceil_mode or dilation")
        number, value = self._source(node.inputs[0])
        kernel = pair(given["kernel_size"])
        stride = pair(given["stride"] or kernel)
        padding = _conv_padding(given["padding"], kernel)
        output = Value(node.shape[1:], value.scale, value.zero_point)
        self._append(node, MaxPool2d(node.layer, (number,), output, kernel, stride, padding))

    def _avg_pool(self, node: Node) -> None:
        given = node.arguments
        padding = _conv_padding(given["padding"], pair(given["kernel_size"]))
        counted = given["count_include_pad"] or not any(padding)
        if given["ceil_mode"] or given["divisor_override"] or not counted:
            raise self._unknown(node, "average pooling other than over all of a window")
        kernel = pair(given["kernel_size"])
        self._average(node, kernel, pair(given["stride"] or kernel), padding)

    def _adaptive_pool(self, node: Node) -> None:
        sizes, wanted = self._source(node.inputs[0])[1].shape[1:], node.shape[-2:]
        if any(size % part for size, part in zip(sizes, wanted, strict=True)):
            raise self._unknown(node, f"adaptive pooling from {list(sizes)} to {list(wanted)}")
        kernel = pair([size // part for size, part in zip(sizes, wanted, strict=True)])
        self._average(node, kernel, kernel, (0, 0, 0, 0))

    def _mean(self, node: Node) -> None:
        value = self._source(node.inputs[0])[1]
        dims = sorted(dim % (len(value.shape) + 1) for dim in node.arguments["dim"] or ())
        if len(value.shape) != 3 or dims != [2, 3]:
            raise self._unknown(node, "a mean over other dimensions than height and width")
        window = pair(value.shape[1:])
        self._average(node, window, window, (0, 0, 0, 0))
        if not node.arguments["keepdim"]:
            self._flattened(node)

    def _average(
        self,
        node: Node,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int, int, int],
    ) -> None:
        number, value = self._source(node.inputs[0])
        factor = value.scale / math.prod(kernel)
        output = self._value(node.name, repr(node.layer))
        rescale = Rescale(
            *fixed_point(np.array([factor / output.scale])), output.zero_point, -128, 127
        )
        pooled = Value(
            _pooled(value.shape, kernel, stride, padding), output.scale, output.zero_point
        )
        self._append(
            node,
            AvgPool2d(
                node.layer, (number,), pooled, kernel, stride, padding, value.zero_point, rescale
            ),
        )

    def _add(self, node: Node) -> None:
        if len(node.inputs) != 2 or node.arguments["alpha"] != 1:
            raise self._unknown(node, "adding other than two results")
        (first, a), (second, b) = (self._source(name) for name in node.inputs)
        if a.shape != b.shape:
            raise self._unknown(node, f"adding shapes {list(a.shape)} and {list(b.shape)}")
        last, output, low, high = self._with_activation(node)
        factors, shift = shared_fixed_point(a.scale / output.scale, b.scale / output.scale)
        rescale = Rescale(
            np.array([1], np.int32), np.array([shift], np.int32), output.zero_point, low, high
        )
        zeros = (a.zero_point, b.zero_point)
        inputs = (first, second)
        self._append(last, Add(node.layer, inputs, output, factors, zeros, rescale))

    def _concat(self, node: Node) -> None:
        axis = node.arguments["dim"] % len(node.shape)
        if axis != 1 or len(node.inputs) != len(node.arguments["tensors"]):
            raise self._unknown(node, "concatenation other than of channels or features")
        numbers, values = zip(*(self._source(name) for name in node.inputs), strict=True)
        scales = np.array([value.scale for value in values])
        last, output, rescale = self._rescaled(node, lambda out: scales / out.scale)
        zeros = tuple(value.zero_point for value in values)
        self._append(last, Concat(node.layer, numbers, output, zeros, rescale))

    def _pad(self, node: Node) -> None:
        given = node.arguments
        sides = [*given["pad"], 0, 0, 0, 0][:4]
        zeros = given["mode"] == "constant" and not given["value"]
        readers = self.graph.users(node.name)
        if not zeros or min(sides) < 0 or len(given["pad"]) > 4:
            raise self._unknown(node, "padding other than by zeros")
        if not readers or any(reader.op != "conv2d" for reader in readers):
            raise self._unknown(node, "padding that no convolution follows")
        left, right, top, bottom = sides
        self.paddings[node.name] = (top, bottom, left, right)
        self.numbers[node.name] = self.numbers[node.inputs[0]]

    def _flatten(self, node: Node) -> None:
        if len(node.shape) != 2 or node.shape[0] != self.graph.shape[0]:
            raise self._unknown(node, f"a change of shape to {list(node.shape)}")
        self.numbers[node.name] = self.numbers[node.inputs[0]]
        if len(self._source(node.name)[1].shape) > 1:
            self._flattened(node)

    def _flattened(self, node: Node) -> None:
        number, value = self._source(node.name)
        output = Value((math.prod(value.shape),), value.scale, value.zero_point)
        self._append(node, Flatten(node.layer, (number,), output))

    def _clamp(self, node: Node) -> None:
        limits = _cuts(node)
        if limits is None:
            raise self._unknown(node, f"{node.op} with limits that are tensors")
        number, value = self._source(node.inputs[0])
        low, high = _integer_limits(limits, value)
        self._append(node, Clamp(node.layer, (number,), value, low, high))

    def _same(self, node: Node) -> None:
        self.numbers[node.name] = self.numbers[node.inputs[0]]


def _weights(node: Node, source: Value) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int8 weights, int32 biases, and the scales of the weights, float64 [outputs]."""
    weight, given = node.arguments["weight"].detach(), node.arguments["bias"]
    bias = np.zeros(len(weight)) if given is None else given.detach().double().cpu().numpy()
    grid = fit(weight, _WEIGHTS)
    # Where the weights are tiny beside the bias, larger steps keep the bias within int32.
    least = torch.from_numpy(np.abs(bias) / (source.scale * _LIMIT)).to(grid.scale)
    grid = Affine(_WEIGHTS, torch.maximum(grid.scale, least), grid.zero_point)
    q = grid.quantize(weight).to(torch.int8).cpu().numpy()
    scale = grid.scale.double().cpu().numpy()
    if q[0].size * 127 * 255 >= _LIMIT:
        raise UsageError(
            f"{node.layer!r} adds up {q[0].size} products, too many for int32: split the layer"
        )
    sums = q.reshape(len(q), -1).sum(1, dtype=np.int64)
    whole = np.round(bias / (source.scale * scale)) - source.zero_point * sums
    return q, whole.astype(np.int32), scale


def _cuts(node: Node) -> tuple[float, float] | None:
    """Real limits of an activation function that only cuts; None for all other operations."""
    given = node.arguments
    names = _LIMITS.get(node.op)
    if names is None:
        return None
    low, high = (given[name] if isinstance(name, str) else name for name in names)
    if isinstance(low, Ref | Tensor) or isinstance(high, Ref | Tensor):
        return None
    return -math.inf if low is None else low, math.inf if high is None else high


def _integer_limits(limits: tuple[float, float], value: Value) -> tuple[int, int]:
    low, high = (
        round(min(127.0, max(-128.0, limit / value.scale + value.zero_point))) for limit in limits
    )
    return low, high


def _four(sides: Sequence[int]) -> tuple[int, int, int, int]:
    top, bottom, left, right = sides
    return top, bottom, left, right


def _conv_padding(padding: object, kernel: Sequence[int]) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of PyTorch's padding argument."""
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":  # more behind than before, for even kernels
        (high, wide) = kernel
        return (high - 1) // 2, high // 2, (wide - 1) // 2, wide // 2
    vertical, horizontal = pair(padding)  # type: ignore[arg-type]
    return vertical, vertical, horizontal, horizontal


def _pooled(
    shape: Sequence[int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> tuple[int, ...]:
    top, bottom, left, right = padding
    high = (shape[1] + top + bottom - kernel[0]) // stride[0] + 1
    wide = (shape[2] + left + right - kernel[1]) // stride[1] + 1
    return shape[0], high, wide
