"""Where engines with adjoint gradients join autograd (Jones and Gacon, arXiv:2009.02823)."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class AdjointRun(Protocol):
    """One run of a circuit: forward once, then backward from the final state as often as asked.

    The tensors are weights, inputs and, where a run has one, its initial states.
    """

    def forward(self, keep: bool) -> Tensor:
        """The result; with `keep`, what backward needs stays."""

    def backward(self, cotangent: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        """Gradients of the tensors, None where not wanted."""

    def reference(self, *tensors: Tensor) -> Tensor:
        """The same result from the reference engine."""


def run(adjoint: AdjointRun, *tensors: Tensor) -> Tensor:
    """The run's result, differentiable in the tensors that want a gradient."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        result: Tensor = _Adjoint.apply(adjoint, *tensors)
        return result
    return adjoint.forward(keep=False)


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, adjoint: AdjointRun, *tensors: Tensor) -> Tensor:
        ctx.adjoint = adjoint
        ctx.save_for_backward(*tensors)
        return adjoint.forward(keep=True)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors  # raises if they were changed in place since
        wanted = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # create_graph=True: a gradient that has a gradient itself
            result = ctx.adjoint.reference(*tensors)
            return None, *_differentiable(result, tensors, wanted, cotangent)
        return None, *ctx.adjoint.backward(cotangent, wanted)


def _differentiable(
    result: Tensor, tensors: tuple[Tensor, ...], wanted: tuple[bool, ...], cotangent: Tensor
) -> list[Tensor | None]:
    chosen = [tensor for tensor, want in zip(tensors, wanted, strict=True) if want]
    if not result.requires_grad:  # no gate reads them
        return [
            torch.zeros_like(t) if want else None for t, want in zip(tensors, wanted, strict=True)
        ]
    found = iter(
        torch.autograd.grad(result, chosen, cotangent, create_graph=True, materialize_grads=True)
    )
    return [next(found) if want else None for want in wanted]
