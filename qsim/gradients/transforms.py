"""Where engines join torch.func: grad, vjp, jvp, vmap and what is made of them.

Engines read memory, so they cannot see the wrapped tensors of these transforms. A run under one is
a function whose forward gets plain tensors; vmap makes the mapped dimension part of the batch; the
gradient comes from the engine; forward-mode and second derivatives from the reference engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from qsim.errors import UsageError

if TYPE_CHECKING:
    from qsim.circuit import Circuit
    from qsim.engines import Engine
    from qsim.strings import Strings

# Names that PyTorch keeps to itself, as of 2.11 to 2.13; where one is missing there is another way.
_are_active: Callable[[], bool] | None = getattr(torch._C, "_are_functorch_transforms_active", None)
_levels: Callable[[], Any] | None = getattr(
    getattr(torch._C, "_functorch", None), "get_interpreter_stack", None
)


@dataclass(frozen=True)
class Task:
    """What is run: expectation values of the strings, or without any, the final states."""

    engine: Engine
    circuit: Circuit
    strings: Strings | None

    def __call__(
        self, batch: int, weights: Tensor, inputs: Tensor, initial: Tensor | None = None
    ) -> Tensor:
        if self.strings is None:
            return self.engine.state(self.circuit, weights, inputs, batch, initial)
        return self.engine.expval(self.circuit, self.strings, weights, inputs, batch, initial)

    def reference(self, batch: int) -> Callable[..., Tensor]:
        """The same by the reference engine, which is plain torch."""
        task = Task(self.engine.reference(), self.circuit, self.strings)
        return lambda *tensors: task(batch, *tensors)

    def pulled(self, batch: int) -> Callable[..., tuple[Tensor, ...]]:
        """(cotangent, *tensors) -> their gradients, by the reference engine."""

        def pull(cotangent: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
            found: tuple[Tensor, ...] = torch.func.vjp(self.reference(batch), *tensors)[1](
                cotangent
            )
            return found

        return pull


def active() -> bool:
    """Whether a transform of torch.func is at work."""
    if _are_active is not None:
        return _are_active()
    try:
        _Probe.apply(torch.empty(0))
    except RuntimeError:
        return True
    return False


class _Probe(torch.autograd.Function):
    """Does nothing; without `setup_context`, torch.func refuses it."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return tensor


def refuse(what: str) -> None:
    """Raises UsageError under a transform of torch.func, for what does not work there."""
    if active():
        raise UsageError(
            f"{what} does not work inside torch.func: use expval with gradient='adjoint' and "
            "without shots there, or torch.autograd"
        )


def refuse_dual(*tensors: Tensor | None) -> None:
    """Raises UsageError for dual tensors of forward-mode autograd outside torch.func."""
    if active():
        return
    for tensor in tensors:
        if tensor is not None and forward_ad.unpack_dual(tensor).tangent is not None:
            raise UsageError(
                "circuits take no dual tensors of torch.autograd.forward_ad: use torch.func.jvp"
            )


def run(task: Task, batch: int, weights: Tensor, inputs: Tensor, initial: Tensor | None) -> Tensor:
    """The task's result, [batch, ...]."""
    kinds = [level.key().name for level in _levels() or ()] if _levels else []
    if kinds.count("Jvp") > 1:  # PyTorch would drop terms, silently
        raise UsageError(
            "circuits have no forward-mode derivative of a forward-mode derivative: use "
            "torch.func.hessian, or jacrev for one of them"
        )
    tensors = (weights, inputs) if initial is None else (weights, inputs, initial)
    result: Tensor = _Run.apply(task, batch, *tensors)
    return result


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(task: Task, batch: int, *tensors: Tensor) -> Tensor:
        from qsim.prepare import check_values

        names = ("weights", "inputs")
        check_values(dict(zip(names, tensors, strict=False)), *(tensors[2:] or (None,)))
        return task(batch, *tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.task, ctx.batch = inputs[:2]
        tensors = inputs[2:]
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *_Gradient.apply(ctx.task, ctx.batch, cotangent, *ctx.saved_tensors)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return _pushed(ctx.task.reference(ctx.batch), ctx.saved_tensors, tangents[2:])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], task: Task, batch: int, *tensors: Tensor) -> Any:
        size = info.batch_size
        rows = [_rows(t, d, size, batch) for t, d in zip(tensors, in_dims[2:], strict=True)]
        return _Run.apply(task, size * batch, *rows).unflatten(0, (size, batch)), 0


class _Gradient(torch.autograd.Function):
    """Gradients of the tensors, from the cotangent of the result."""

    @staticmethod
    def forward(task: Task, batch: int, cotangent: Tensor, *tensors: Tensor) -> Any:
        with torch.enable_grad():
            leaves = [tensor.detach().requires_grad_() for tensor in tensors]
            result = task(batch, *leaves)
        return torch.autograd.grad(result, leaves, cotangent, materialize_grads=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.task, ctx.batch = inputs[:2]
        tensors = inputs[2:]
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        pull = torch.func.vjp(ctx.task.pulled(ctx.batch), *ctx.saved_tensors)[1]
        return None, None, *pull(cotangents)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return _pushed(ctx.task.pulled(ctx.batch), ctx.saved_tensors, tangents[2:])

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[Any, ...],
        task: Task,
        batch: int,
        cotangent: Tensor,
        *tensors: Tensor,
    ) -> Any:
        size = info.batch_size
        given = zip((cotangent, *tensors), in_dims[2:], strict=True)
        found = _Gradient.apply(task, size * batch, *[_rows(t, d, size, batch) for t, d in given])
        parts = []
        for gradient, tensor, dim in zip(found, tensors, in_dims[3:], strict=True):
            each = gradient.unflatten(0, (size, batch))
            shared = tensor.dim() - (dim is not None) == 1
            parts.append(each.sum(1) if shared else each)
        return tuple(parts), (0,) * len(parts)


def _rows(tensor: Tensor, dim: int | None, size: int, batch: int) -> Tensor:
    """A row for each sample under vmap: [columns], [batch, columns] -> [size * batch, columns]."""
    mapped = tensor.unsqueeze(0) if dim is None else tensor.movedim(dim, 0)
    each = mapped.unsqueeze(1) if mapped.dim() == 2 else mapped
    return each.expand(size, batch, -1).reshape(size * batch, each.shape[-1])


def _pushed(function: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    if _levels is None:  # nothing tells the first forward mode from one inside another
        raise UsageError(
            f"circuits have no forward-mode derivatives with PyTorch {torch.__version__}: use "
            "torch.func.jacrev, vjp or grad, or PyTorch 2.11 to 2.13"
        )
    filled = tuple(
        torch.zeros_like(p) if t is None else t for p, t in zip(primals, tangents, strict=True)
    )
    return torch.func.jvp(function, tuple(primals), filled)[1]
