"""Products of matrices."""

from __future__ import annotations

import torch
from torch import Tensor

import classical.kernels._kernels as _kernels
from classical.errors import UsageError
from classical.kernels.operands import check_method, check_operand, checked_threads

MATMUL_METHODS: tuple[str, ...] = tuple(_kernels.matmuls)
"""From three plain loops to all techniques at once."""


def matmul(a: Tensor, b: Tensor, method: str = "all", threads: int | None = None) -> Tensor:
    """a @ b by one of `MATMUL_METHODS`.

    Args:
        a: float32 [rows, inner], on the CPU.
        b: float32 [inner, columns].
        method: "naive", "reordered" (rows of b in order), "tiled" (64x64 of b at a time),
            "unrolled" (four rows of b at a time), "simd", "threads", or "all".
        threads: for "threads" and "all"; by default those of PyTorch.

    Returns:
        float32 [rows, columns], without a gradient.

    Raises:
        UsageError: for an unknown method, another dtype or device, or shapes that do not fit.
    """
    check_method(method, MATMUL_METHODS)
    check_operand("a", a, 2)
    check_operand("b", b, 2)
    if a.shape[1] != b.shape[0]:
        raise UsageError(
            f"a {list(a.shape)} cannot be multiplied by b {list(b.shape)}: a needs as many columns "
            "as b has rows"
        )
    a, b = a.detach().contiguous(), b.detach().contiguous()
    c = torch.empty(len(a), b.shape[1])
    sizes = (*c.shape, len(b))
    _kernels.matmul(
        method, sizes, a.data_ptr(), b.data_ptr(), c.data_ptr(), checked_threads(threads)
    )
    return c
