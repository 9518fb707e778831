"""What runs in C++ see of tensors: addresses. Whoever makes a run keeps the tensors alive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

import qsim._native as _native


def laid_out(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The tensors as they lie in memory: contiguous, nothing conjugated or negated lazily."""
    return [tensor.resolve_conj().resolve_neg().contiguous() for tensor in tensors]


def kernels_for(real: Tensor) -> Any:
    """The C++ kernels of the reals' precision."""
    return _native.float64 if real.dtype == torch.float64 else _native.float32


def call_row(tensors: Sequence[Tensor], batch: int) -> tuple[int | bool, ...]:
    """Where weights, inputs and initial states, if any, lie: see CallRow in module.cpp."""
    weights, inputs, *initial = tensors
    return (
        weights.data_ptr(),
        inputs.data_ptr(),
        weights.shape[-1],
        inputs.shape[-1],
        weights.dim() == 2,
        inputs.dim() == 2,
        batch,
        torch.get_num_threads(),
        initial[0].data_ptr() if initial else 0,
    )


def gradients_of(
    tensors: Sequence[Tensor], wanted: Sequence[bool]
) -> tuple[tuple[Tensor | None, ...], list[int]]:
    """Room for the gradients that are wanted, and where it lies; 0 for the others."""
    gradients = tuple(
        torch.empty_like(tensor) if want else None
        for tensor, want in zip(tensors, wanted, strict=True)
    )
    return gradients, [0 if gradient is None else gradient.data_ptr() for gradient in gradients]
