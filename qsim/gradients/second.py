"""Second derivatives: the parameter-shift rule applied to adjoint gradients.

A Hessian of P angles takes 2 P adjoint gradients, all in one batch on the compiled engine, where
double backward would walk the circuit in plain torch with all its states in memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Unpack

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.errors import UsageError
from qsim.gradients.jacobians import Target, target_of
from qsim.gradients.rules import Function, apply_stencil, shift_stencil
from qsim.gradients.shifted import Unrolled, values_of
from qsim.observables import Observable, Observables, check_observables
from qsim.prepare import Options
from qsim.results import combine, layout
from qsim.strings import Strings


@torch.enable_grad()
def hessian(
    circuit: Circuit,
    observables: Observables = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    wrt: str = "weights",
    **options: Unpack[Options],
) -> Tensor:
    """Second derivatives of every expectation value: exact.

    Args:
        circuit: the circuit.
        observables: as for `expval`.
        weights: as for `expval`.
        inputs: as for `expval`.
        wrt: "weights" or "inputs".
        options: as for `expval`.

    Returns:
        real [batch, observables, P, P] for P weights or inputs, without the first where nothing
        has a batch dimension; itself not differentiable.

    Raises:
        UsageError: as `expval`, and if the circuit has no such tensor.
    """
    measured = check_observables(observables, circuit.num_qubits)
    target = target_of(circuit, weights, inputs, wrt, options)
    rows = []
    for gradient in _gradients(target, measured):
        columns = [_derivative(gradient[:, k].sum(), target.leaf) for k in range(gradient.shape[1])]
        rows.append(torch.stack(columns, 1))
    empty = target.leaf.new_zeros(target.call.batch, 0, *[target.leaf.shape[1]] * 2)
    return target.shaped(torch.stack(rows, 1) if rows else empty)


@torch.enable_grad()
def hessian_vector_product(
    circuit: Circuit,
    observables: Observables,
    vector: Tensor,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    wrt: str = "weights",
    **options: Unpack[Options],
) -> Tensor:
    """The Hessian of every expectation value times a vector: exact.

    Args:
        circuit: the circuit.
        observables: as for `expval`.
        vector: real [P] or [batch, P] for P weights or inputs.
        weights: as for `expval`.
        inputs: as for `expval`.
        wrt: "weights" or "inputs".
        options: as for `expval`.

    Returns:
        real [batch, observables, P], without the first where nothing has a batch dimension.

    Raises:
        UsageError: as `hessian`, and for a vector of another shape.
    """
    measured = check_observables(observables, circuit.num_qubits)
    target = target_of(circuit, weights, inputs, wrt, options)
    leaf = target.leaf
    if not isinstance(vector, Tensor) or vector.shape not in (leaf.shape, leaf.shape[1:]):
        shape = list(vector.shape) if isinstance(vector, Tensor) else type(vector).__name__
        raise UsageError(
            f"vector is a tensor of shape [{leaf.shape[1]}] or {list(leaf.shape)}, not {shape}"
        )
    direction = vector.detach().to(leaf)
    rows = [_derivative((g * direction).sum(), leaf) for g in _gradients(target, measured)]
    return target.shaped(torch.stack(rows, 1) if rows else leaf[:, None][:, :0])


def _gradients(target: Target, measured: tuple[Observable, ...]) -> list[Tensor]:
    """Gradients [batch, P] of each observable, which can be differentiated once more."""
    strings = layout(measured).strings
    function = values_of(target.call, strings, True, None, None)
    unrolled = Unrolled.of(target.call)
    values: Tensor = _Value.apply(function, unrolled, strings, unrolled.angles)
    found = combine(values, measured)
    return [
        torch.autograd.grad(
            found[:, k].sum(), target.leaf, create_graph=True, materialize_grads=True
        )[0]
        for k in range(len(measured))
    ]


def _derivative(value: Tensor, leaf: Tensor) -> Tensor:
    if not value.requires_grad:
        return torch.zeros_like(leaf)
    return torch.autograd.grad(value, leaf, retain_graph=True, materialize_grads=True)[0]


class _Value(torch.autograd.Function):
    """Expectation values of angles, with a gradient that has a gradient."""

    @staticmethod
    def forward(
        ctx: Any, function: Function, unrolled: Unrolled, strings: Strings, angles: Tensor
    ) -> Tensor:
        ctx.given = function, unrolled, strings
        ctx.save_for_backward(angles)
        return function(angles)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        found = _Gradient.apply(*ctx.given, cotangent.detach(), *ctx.saved_tensors)
        return None, None, None, found


class _Gradient(torch.autograd.Function):
    """The adjoint gradient of angles [batch, angles]; its derivative is a shift rule."""

    @staticmethod
    def forward(
        ctx: Any,
        function: Function,
        unrolled: Unrolled,
        strings: Strings,
        cotangent: Tensor,
        angles: Tensor,
    ) -> Tensor:
        ctx.gradient = lambda rows: _adjoint(unrolled, strings, cotangent, rows)
        ctx.function, ctx.angles, ctx.second = function, angles.detach(), None
        return _adjoint(unrolled, strings, cotangent, angles)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.second is None:
            count = ctx.angles.shape[1]
            gradients = replace(ctx.function, values=ctx.gradient, point=ctx.angles, outputs=count)
            ctx.second = apply_stencil(gradients, shift_stencil(gradients))
        return *[None] * 4, torch.einsum("bj,bjk->bk", cotangent, ctx.second)


def _adjoint(unrolled: Unrolled, strings: Strings, cotangent: Tensor, rows: Tensor) -> Tensor:
    with torch.enable_grad():
        leaf = rows.detach().requires_grad_()
        values = unrolled.rows(leaf).expval(strings)
    if not values.requires_grad:
        return torch.zeros_like(rows)
    return torch.autograd.grad(values, leaf, cotangent.repeat(len(rows) // len(cotangent), 1))[0]
