"""Which part of its input each part of an operation's output needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor
from torch.nn.functional import pad

from classical.quantization.graph import Node, pair

Interval: TypeAlias = tuple[int, int]
"""From the first pixel to the one behind the last."""
Region: TypeAlias = tuple[Interval, Interval]
"""Rows and columns."""

POINTWISE = {
    *("relu", "relu6", "hardtanh", "clamp", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"),
    *("hardswish", "hardsigmoid", "batch_norm", "add", "sub", "mul", "div"),
    *("dropout", "clone", "contiguous", "detach", "alias"),
}
"""Operations on single elements."""


@dataclass(frozen=True)
class Window:
    """What an output reads along an axis: output i the inputs from stride * i - before, `size` of
    them. Windows of layers in a row make one window, the receptive field.

    Attributes:
        size: pixels, those between the taps of a dilated kernel included.
        stride: pixels from one output's window to the next.
        before: pixels by which the first window begins before the input.
    """

    size: int = 1
    stride: int = 1
    before: int = 0

    def span(self, outputs: Interval) -> Interval:
        """The inputs that outputs read, which may lie outside the input."""
        begin, end = outputs
        first = begin * self.stride - self.before
        return first, first + (end - begin - 1) * self.stride + self.size

    def of(self, earlier: Window) -> Window:
        """The window on what an earlier layer reads."""
        before, end = self.span((0, 1))
        first, behind = earlier.span((before, end))
        return Window(behind - first, self.stride * earlier.stride, -first)

    def __or__(self, other: Window) -> Window:
        """The window of both branches of a sum, which have one stride."""
        before = max(self.before, other.before)
        end = max(self.size - self.before, other.size - other.before)
        return Window(end + before, self.stride, before)


def windows(node: Node) -> tuple[Window, Window] | None:
    """The windows (rows, columns) of an operation, None if it reads more than windows.

    Convolutions, poolings and zero padding have windows; what works on single elements has those of
    one pixel.
    """
    if len(node.shape) != 4:
        return None
    given = node.arguments
    if node.op in POINTWISE:
        return (Window(), Window()) if _is_pointwise(node) else None
    if node.op == "conv2d":
        return _sliding(
            given["weight"].shape[2:], given["stride"], given["padding"], given["dilation"]
        )
    if node.op == "max_pool2d" and not given["ceil_mode"]:
        return _pooling(node, given["dilation"])
    if node.op == "avg_pool2d" and not given["ceil_mode"]:
        counted = given["count_include_pad"] or not any(pair(given["padding"]))
        return _pooling(node, 1) if counted else None
    if node.op == "pad" and given["mode"] == "constant" and len(given["pad"]) <= 4:
        left, _, top, _ = [*given["pad"], 0, 0][:4]
        return Window(before=top), Window(before=left)
    return None


def on_region(node: Node, region: Region, values: dict[str, tuple[Tensor, Region]]) -> Tensor:
    """A region of an operation's result, from results that hold what it reads of the input.

    Args:
        node: an operation with windows.
        region: of its result.
        values: by name, tensors and the regions of the results that they are.

    Returns:
        [batch, channels, rows, columns] of the region.
    """
    needed = spans(node, region)
    cut = {name: _cut(*values[name], needed, _border(node)) for name in node.inputs}
    if node.op == "pad":
        return cut[node.inputs[0]]
    unpadded = (
        {"padding": _unpadded(node.arguments["padding"])} if "padding" in node.arguments else {}
    )
    return node.call(cut, **unpadded)


def spans(node: Node, region: Region) -> Region:
    """What a region of an operation's result reads, borders included."""
    found = windows(node)
    assert found is not None
    rows, columns = (window.span(part) for window, part in zip(found, region, strict=True))
    return rows, columns


def clipped(region: Region, shape: Sequence[int]) -> Region:
    """The part of a region that is inside of [..., height, width]."""
    rows, columns = (_clip(part, (0, size)) for part, size in zip(region, shape[-2:], strict=True))
    return rows, columns


def pixels(region: Region) -> int:
    """How many there are in a region."""
    return math.prod(end - begin for begin, end in region)


def _clip(part: Interval, whole: Interval) -> Interval:
    begin = min(max(part[0], whole[0]), whole[1])
    return begin, max(begin, min(part[1], whole[1]))


def _is_pointwise(node: Node) -> bool:
    """Nothing that is spread over rows and columns is read at other places."""
    tensors = [a for a in node.arguments.values() if isinstance(a, Tensor)]
    return all(t.dim() < 2 or tuple(t.shape[-2:]) == (1, 1) for t in tensors)


def _sliding(
    kernel: Sequence[int],
    stride: int | Sequence[int],
    padding: object,
    dilation: int | Sequence[int],
) -> tuple[Window, Window]:
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, pair(dilation), strict=True)]
    if isinstance(padding, str):
        before = [(size - 1) // 2 if padding == "same" else 0 for size in reach]
    else:
        before = list(pair(padding))  # type: ignore[arg-type]
    rows, columns = (
        Window(size, step, border)
        for size, step, border in zip(reach, pair(stride), before, strict=True)
    )
    return rows, columns


def _pooling(node: Node, dilation: int | Sequence[int]) -> tuple[Window, Window]:
    given = node.arguments
    kernel = pair(given["kernel_size"])
    return _sliding(kernel, given["stride"] or kernel, given["padding"], dilation)


def _border(node: Node) -> float:
    """What is read outside of the input."""
    if node.op == "max_pool2d":
        return -math.inf
    return float(node.arguments["value"] or 0) if node.op == "pad" else 0.0


def _unpadded(padding: object) -> object:
    return "valid" if isinstance(padding, str) else [0, 0]


def _cut(held: Tensor, of: Region, needed: Region, border: float) -> Tensor:
    """A region of a result of which a part is held; what is outside of the result is border."""
    sides: list[int] = []
    for dim, whole, part in zip((-2, -1), of, needed, strict=True):
        begin, end = _clip(part, whole)
        held = held.narrow(dim, begin - whole[0], end - begin)
        sides = [begin - part[0], part[1] - end, *sides]
    return pad(held, sides, value=border) if any(sides) else held
