"""Run dynamic circuits: exactly by branches, or by shots that share a state while they agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.dynamic.ensemble import Ensemble, check_clbits
from qsim.dynamic.histories import Branches, Draws, Histories, run
from qsim.dynamic.plan import Plan, doublings, plan_of
from qsim.errors import UsageError
from qsim.gradients import transforms
from qsim.observables import Observables, check_observables
from qsim.prepare import Call, Options, prepare
from qsim.results import combine, layout, split
from qsim.sampling import (
    Generator,
    check_generator,
    check_shots,
    draw,
    estimate,
    uniforms,
)

_AMPLITUDES = 2**26  # of all histories that are followed at a time


def ensemble(
    circuit: Circuit, weights: Tensor | None, inputs: Tensor | None, options: Options
) -> Ensemble:
    """All branches of a dynamic circuit: see `qsim.run`."""
    call, plan = _ready(circuit, weights, inputs, options, defer=True)
    choice = Branches(call)
    start = torch.arange(call.batch, device=call.weights.device)
    found = run(call, plan, choice, start, None)
    if choice.dropped:
        found = replace(found, psi=_FirstOrder.apply(found.psi))
    batch = call.batch if call.batched else None
    return Ensemble(found, plan.deferred, circuit.num_clbits, batch)


def estimated(
    circuit: Circuit,
    observables: Observables,
    weights: Tensor | None,
    inputs: Tensor | None,
    shots: int,
    generator: Generator,
    options: Options,
) -> Tensor:
    """Expectation values from shots: see `qsim.expval`.

    Every shot runs the circuit once for each set of strings that commute qubit by qubit.
    """
    measured = check_observables(observables, circuit.num_qubits)
    call, plan = _ready(circuit, weights, inputs, options, defer=False)
    if call.wants_gradient:
        raise UsageError(
            "shots of a dynamic circuit have no gradient: leave out shots for the exact value, "
            "which has one, or use torch.no_grad()"
        )
    strings = layout(measured).strings
    total = torch.zeros(call.batch, len(strings), dtype=call.weights.dtype)
    number = check_shots(shots, call.batch * max(1, len(strings.settings)))
    for part in _drawn(call, plan, number, generator):
        for rows, count in _by_count(part):
            values = estimate(strings, rows.psi, count, _of_rows(generator, rows))
            total.index_add_(0, rows.sample, values * (count / number))
    found = combine(total, measured)
    return found if call.batched else found[0]


@torch.no_grad()
def samples(
    circuit: Circuit,
    shots: int,
    weights: Tensor | None,
    inputs: Tensor | None,
    generator: Generator,
    options: Options,
) -> Tensor:
    """What the classical bits hold at the end of runs, int64 [batch, shots]."""
    check_clbits(None, circuit.num_clbits)
    call, plan = _ready(circuit, weights, inputs, options, defer=True)
    number = check_shots(shots, call.batch)
    values, sample = [], []
    for part in _drawn(call, plan, number, generator):
        for rows, count in _by_count(part):
            found = split(rows.psi.real**2 + rows.psi.imag**2, plan.deferred.qubits).sum(2)
            drawn = draw(found, uniforms(len(rows), (count,), _of_rows(generator, rows)))
            values.append(plan.deferred.recorded(rows.bits[:, None], drawn).flatten())
            sample.append(rows.sample.repeat_interleave(count))
    ordered = torch.cat(values)[torch.cat(sample).argsort(stable=True)].unflatten(0, (-1, number))
    # Shots with one history lie side by side, but runs of a circuit come in any order.
    order = uniforms(call.batch, (number,), generator).argsort(1)
    result = ordered.gather(1, order.to(ordered.device))
    return result if call.batched else result[0]


def _ready(
    circuit: Circuit,
    weights: Tensor | None,
    inputs: Tensor | None,
    options: Options,
    defer: bool,
) -> tuple[Call, Plan]:
    transforms.refuse("a circuit with measurements")
    call = prepare(circuit, weights, inputs, **options)
    return call, plan_of(call.circuit, defer)


def _drawn(call: Call, plan: Plan, shots: int, generator: Generator) -> Iterator[Histories]:
    """The histories that shots take, a part of samples and shots at a time.

    Parts of the shots do not depend on the batch, so that samples with generators of their own
    do not, either.
    """
    check_generator(generator, call.batch)
    most = max(1, _AMPLITUDES >> call.circuit.num_qubits)
    histories = min(shots, 2 ** min(62, doublings(plan.steps)))
    step = shots if histories <= most else most
    together = max(1, most // min(histories, step))
    every = torch.arange(call.batch, device=call.weights.device)
    for begin in range(0, shots, step):
        for start in every.split(together):
            yield run(call, plan, Draws(generator), start, min(step, shots - begin))


def _by_count(rows: Histories) -> Iterator[tuple[Histories, int]]:
    """Rows in groups with as many shots each."""
    assert rows.shots is not None
    for count in rows.shots.unique().tolist():
        yield rows[rows.shots == count], count


def _of_rows(generator: Generator, rows: Histories) -> Generator:
    """A generator for each row, if each sample has one."""
    if generator is None or isinstance(generator, torch.Generator):
        return generator
    return [generator[sample] for sample in rows.sample.tolist()]


class _FirstOrder(torch.autograd.Function):
    """The identity, which refuses second derivatives.

    A branch of probability 0 = |a|^2 has the derivative 0, so that it can be dropped, but not the
    second derivative 0.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor) -> Tensor:
        return states.view_as(states)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            raise UsageError(
                "a circuit with measurements has first derivatives only where an outcome has "
                "probability 0: leave out create_graph=True"
            )
        return cotangent
