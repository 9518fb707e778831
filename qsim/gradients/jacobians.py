"""Jacobians of expectation values, by any rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple, Unpack

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.errors import UsageError
from qsim.gradients import transforms
from qsim.gradients.rules import FiniteDifference, ParameterShift, Rule, Spsa, find_rule
from qsim.gradients.shifted import check_estimate, values_of
from qsim.observables import Observable, Observables, check_observables
from qsim.prepare import Call, Options, prepare
from qsim.results import combine, layout
from qsim.sampling import Generator


class Target(NamedTuple):
    """What is differentiated: a call whose chosen tensor has a row of its own for each sample.

    Attributes:
        call: it, with nothing but that tensor wanting a gradient.
        leaf: that tensor, [batch, columns].
    """

    call: Call
    leaf: Tensor

    def shaped(self, result: Tensor) -> Tensor:
        """Without the batch dimension, where nothing has one."""
        return result if self.call.batched else result[0]


def target_of(
    circuit: Circuit, weights: Tensor | None, inputs: Tensor | None, wrt: str, options: Any
) -> Target:
    """The target for "weights" or "inputs".

    Raises:
        UsageError: for another name, or where the circuit has none of them; and as `prepare`.
    """
    transforms.refuse("a function that differentiates by itself")
    given = {"weights": weights, "inputs": inputs}
    if wrt not in given:
        raise UsageError(f"derivatives are with respect to 'weights' or 'inputs', not {wrt!r}")
    with torch.no_grad():
        call = prepare(circuit, weights, inputs, **options)
    tensor = given[wrt]
    if tensor is None:
        raise UsageError(f"the circuit has no {wrt} to differentiate")
    leaf = tensor.detach().to(call.weights.dtype).expand(call.batch, -1).clone().requires_grad_()
    rest = {name: t if t is None else t.detach() for name, t in given.items()}
    chosen: dict[str, Tensor | None] = {**rest, wrt: leaf}
    start = options.get("initial_state")
    if start is not None:
        options = {**options, "initial_state": getattr(start, "amplitudes", start).detach()}
    ready = prepare(circuit, chosen["weights"], chosen["inputs"], **options)
    return Target(replace(ready, batched=call.batched, engine=call.engine), leaf)


@torch.enable_grad()
def jacobian(
    circuit: Circuit,
    observables: Observables = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    wrt: str = "weights",
    gradient: str | Rule = "adjoint",
    shots: int | None = None,
    generator: Generator = None,
    **options: Unpack[Options],
) -> Tensor:
    """Derivatives of every expectation value by every weight or input, for every sample.

    Args:
        circuit: the circuit.
        observables: as for `expval`.
        weights: as for `expval`.
        inputs: as for `expval`.
        wrt: "weights" or "inputs".
        gradient: how, as for `expval`.
        shots: as for `expval`, in every evaluation of the rule.
        generator: as for `expval`; also draws the directions of "spsa".
        options: as for `expval`.

    Returns:
        real [batch, observables, num_weights or num_inputs], without the first where nothing has
        a batch dimension; itself not differentiable.

    Raises:
        UsageError: as `expval`, and if the circuit has no such tensor.
    """
    measured = check_observables(observables, circuit.num_qubits)
    drawn = {**options, "shots": shots is not None, "generator": generator}
    target = target_of(circuit, weights, inputs, wrt, drawn)
    rule, call = find_rule(gradient), target.call
    shots = check_estimate(call, layout(measured).strings, rule, shots, generator)
    if rule is None:
        rows = _adjoint_rows(call, measured, target.leaf)
    else:
        rows = _ruled_rows(call, measured, target.leaf, rule, shots, generator)
    return target.shaped(torch.stack(rows, 1) if rows else target.leaf[:, None][:, :0])


def _adjoint_rows(call: Call, measured: tuple[Observable, ...], leaf: Tensor) -> list[Tensor]:
    values = combine(call.expval(layout(measured).strings), measured)
    return [_grad(values[:, k].sum(), leaf) for k in range(len(measured))]


def _ruled_rows(
    call: Call,
    measured: tuple[Observable, ...],
    leaf: Tensor,
    rule: Rule,
    shots: int | None,
    generator: Generator,
) -> list[Tensor]:
    function = values_of(call, layout(measured).strings, rule.by_gate, shots, generator)
    combined = replace(
        function,
        point=function.point.detach(),
        outputs=len(measured),
        values=lambda rows: combine(function.values(rows), measured),
    )
    found = rule.jacobian(combined, generator)
    return [_grad(function.point, leaf, found[:, k]) for k in range(len(measured))]


def _grad(result: Tensor, leaf: Tensor, cotangent: Tensor | None = None) -> Tensor:
    if not result.requires_grad:  # no gate reads it
        return torch.zeros_like(leaf)
    (found,) = torch.autograd.grad(
        result, leaf, cotangent, retain_graph=True, materialize_grads=True
    )
    return found


class _Common(Options, total=False):
    """Keyword arguments that the functions below hand on to `jacobian`."""

    wrt: str
    shots: int | None
    generator: Generator


def parameter_shift(
    circuit: Circuit,
    observables: Observables = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[_Common],
) -> Tensor:
    """The Jacobian by the general parameter-shift rule, exact or from shots: see `jacobian`.

    All shifted circuits run as one batch, in chunks that bound the memory. Shots give an unbiased
    estimate. Wierichs et al., arXiv:2107.12390.
    """
    rule = ParameterShift()
    return jacobian(circuit, observables, weights, inputs, gradient=rule, **options)


def finite_differences(
    circuit: Circuit,
    observables: Observables = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    step: float | None = None,
    **options: Unpack[_Common],
) -> Tensor:
    """The Jacobian by central differences: see `jacobian` and `FiniteDifference`."""
    rule = FiniteDifference(step)
    return jacobian(circuit, observables, weights, inputs, gradient=rule, **options)


def spsa(
    circuit: Circuit,
    observables: Observables = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    step: float = 0.1,
    directions: int = 1,
    **options: Unpack[_Common],
) -> Tensor:
    """A random estimate of the Jacobian from two runs a direction: see `jacobian` and `Spsa`."""
    rule = Spsa(step, directions)
    return jacobian(circuit, observables, weights, inputs, gradient=rule, **options)
