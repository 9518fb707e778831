"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

import classical.kernels._kernels as _kernels
from classical.errors import UsageError
from classical.kernels.operands import check_method, check_operand, checked_threads

_DEPTHWISE = "nchw depthwise"
_METHODS = [name.split() for name in _kernels.convolutions if name != _DEPTHWISE]
CONV2D_METHODS: dict[str, tuple[str, ...]] = {
    layout: tuple(method for where, method in _METHODS if where == layout)
    for layout in ("nchw", "nhwc")
}
"""By layout: how x, w and y lie in memory."""


def conv2d(
    x: Tensor,
    w: Tensor,
    method: str = "im2col",
    *,
    padding: int = 0,
    layout: str = "nchw",
    threads: int | None = None,
) -> Tensor:
    """Convolution with stride 1 by one of `CONV2D_METHODS`.

    Args:
        x: float32 [images, inputs, height, width], on the CPU; channels last for "nhwc".
        w: float32 [outputs, inputs, kernel height, kernel width]; channels last for "nhwc".
        method: "naive", "direct" (with vectors of pixels, or of outputs for "nhwc"), "im2col" (one
            product of matrices), or "winograd" (F(2x2, 3x3), 3x3 kernels only).
        padding: zeros on every side.
        layout: "nchw" or "nhwc".
        threads: for all but "naive"; by default those of PyTorch.

    Returns:
        float32 [images, outputs, height, width] in the same layout, without a gradient.

    Raises:
        UsageError: for an unknown method or layout, another dtype or device, or shapes that do not
            fit.
    """
    if layout not in CONV2D_METHODS:
        raise UsageError(f"there is no layout {layout!r}: choose one of nchw, nhwc")
    check_method(method, CONV2D_METHODS[layout])
    check_operand("x", x, 4)
    check_operand("w", w, 4)
    first = _channels_first if layout == "nhwc" else tuple
    (images, inputs, height, width), (outputs, read, *kernel) = first(x.shape), first(w.shape)
    if read != inputs:
        raise UsageError(f"x has {inputs} channels and w reads {read}: they have to be as many")
    if method == "winograd" and kernel != [3, 3]:
        raise UsageError(
            f"Winograd's F(2x2, 3x3) is for kernels of 3x3, and this one is {kernel[0]}x{kernel[1]}"
            ": take another method"
        )
    sides = _output_sides((height, width), kernel, padding)
    shape = (images, outputs, *sides)
    y = torch.empty((images, *sides, outputs) if layout == "nhwc" else shape)
    sizes = (images, inputs, outputs, height, width, *kernel, padding)
    _convolve(f"{layout} {method}", sizes, x, w, y, threads)
    return y


def depthwise(x: Tensor, w: Tensor, *, padding: int = 0, threads: int | None = None) -> Tensor:
    """Depthwise convolution with stride 1.

    Args:
        x: float32 [images, channels, height, width], on the CPU.
        w: float32 [channels, 1, kernel height, kernel width].
        padding: zeros on every side.
        threads: by default those of PyTorch.

    Raises:
        UsageError: for another dtype or device, or shapes that do not fit.
    """
    sizes = _depthwise_sizes(x, w, padding)
    y = torch.empty(*x.shape[:2], *_output_sides(x.shape[2:], w.shape[2:], padding))
    _convolve(_DEPTHWISE, sizes, x, w, y, threads)
    return y


def depthwise_(x: Tensor, w: Tensor, *, threads: int | None = None) -> Tensor:
    """Depthwise convolution that writes over its input and has its size, for odd square kernels.

    A thread needs memory for one channel instead of all: Lin et al., "MCUNet" (arXiv:2007.10319),
    section 3.2.

    Args:
        x: float32 [images, channels, height, width], on the CPU, contiguous; it gets the result.
        w: float32 [channels, 1, kernel, kernel].
        threads: by default those of PyTorch.

    Raises:
        UsageError: for a tensor that is not contiguous or needs a gradient, another dtype or
            device, or shapes that do not fit.
    """
    if not x.is_contiguous() or x.requires_grad:
        raise UsageError("writing over x takes a contiguous tensor without a gradient")
    if w.dim() == 4 and (w.shape[2] != w.shape[3] or w.shape[2] % 2 == 0):
        raise UsageError(
            f"the result has the size of x for odd square kernels, not {list(w.shape[2:])}"
        )
    _convolve(_DEPTHWISE, _depthwise_sizes(x, w, w.shape[-1] // 2), x, w, x, threads)
    return x


def _channels_first(shape: Sequence[int]) -> tuple[int, ...]:
    return shape[0], shape[3], shape[1], shape[2]


def _depthwise_sizes(x: Tensor, w: Tensor, padding: int) -> tuple[int, ...]:
    check_operand("x", x, 4)
    check_operand("w", w, 4)
    channels = x.shape[1]
    if w.shape[:2] != (channels, 1):
        raise UsageError(
            f"w is [{channels}, 1, kernel height, kernel width] for {channels} channels, not "
            f"{list(w.shape)}"
        )
    _output_sides(x.shape[2:], w.shape[2:], padding)
    return (len(x), channels, channels, *x.shape[2:], *w.shape[2:], padding)


def _output_sides(sides: Sequence[int], kernel: Sequence[int], padding: int) -> list[int]:
    found = [side + 2 * padding - k + 1 for side, k in zip(sides, kernel, strict=True)]
    if padding < 0 or min(found) < 1:
        raise UsageError(
            f"a kernel of {kernel[0]}x{kernel[1]} does not fit into {sides[0]}x{sides[1]} pixels "
            f"with padding={padding}: take a smaller one, or more padding"
        )
    return found


def _convolve(
    method: str, sizes: Sequence[int], x: Tensor, w: Tensor, y: Tensor, threads: int | None
) -> None:
    x, w = x.detach().contiguous(), w.detach().contiguous()
    _kernels.convolve(
        method, tuple(sizes), x.data_ptr(), w.data_ptr(), y.data_ptr(), checked_threads(threads)
    )
