"""Run dynamic circuits: exactly by branches, or by shots that share a state while they agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.dynamic.densities import Densities
from qsim.dynamic.ensemble import Ensemble, check_clbits
from qsim.dynamic.histories import Histories, run
from qsim.dynamic.kets import MOST_BRANCHES, Branches, Draws, Kets, TooManyBranches
from qsim.dynamic.plan import Plan, doublings, has_channels, plan_of
from qsim.engines import density
from qsim.engines.density import ReadoutErrors
from qsim.errors import UsageError
from qsim.gradients import transforms
from qsim.noise.kernels import kernels_of
from qsim.noise.model import NoiseModel, check_noise
from qsim.observables import Observables, check_observables
from qsim.prepare import Call, Options, prepare
from qsim.results import combine, layout, split
from qsim.sampling import (
    Generator,
    check_generator,
    check_shots,
    draw,
    estimate_from,
    in_settings,
    uniforms,
)
from qsim.sums import sum_by_index

_AMPLITUDES = 2**26  # of all histories that are followed at a time
_MERGED = 24  # twice the qubits, and the classical bits, up to which branches may be merged


def ensemble(
    circuit: Circuit, weights: Tensor | None, inputs: Tensor | None, options: Options
) -> Ensemble:
    """All branches of a dynamic circuit: see `qsim.run`.

    Of pure states; or of density matrices, one for each value of the classical bits, with noise and
    where there are more branches than such matrices have rows in total.
    """
    call, noise = _ready(circuit, weights, inputs, options)
    start = torch.arange(call.batch, device=call.weights.device)

    def branches(method: Kets | Densities) -> Ensemble:
        plan = plan_of(call.circuit, True, noise, densities=isinstance(method, Densities))
        found = run(method, plan, start, None)
        if method.dropped:
            found = replace(found, states=_FirstOrder.apply(found.states))
        batch = call.batch if call.batched else None
        return Ensemble(found, plan.deferred, circuit.num_clbits, batch, _errors(noise))

    if noise is None and not has_channels(call.circuit):
        small = 2 * circuit.num_qubits + circuit.num_clbits <= _MERGED
        most = 2 ** (circuit.num_qubits + circuit.num_clbits) if small else MOST_BRANCHES
        try:
            return branches(Kets(call, Branches(call, most)))
        except TooManyBranches:
            if not small:
                raise
    return branches(Densities(call, kernels_of(call.engine)))


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
    call, noise = _ready(circuit, weights, inputs, options)
    if call.wants_gradient:
        raise UsageError(
            "shots of a dynamic circuit have no gradient: leave out shots for the exact value, "
            "which has one, or use torch.no_grad()"
        )
    strings = layout(measured).strings
    total = torch.zeros(call.batch, len(strings), dtype=call.weights.dtype)
    number = check_shots(shots, call.batch * max(1, len(strings.settings)))
    plan, every = plan_of(call.circuit, False, noise), tuple(range(circuit.num_qubits))
    for part in _drawn(call, plan, number, generator):
        for rows, count in _by_count(part):
            measured_in = in_settings(strings, rows.states)
            read = ((k, density.misread(p, every, _errors(noise))) for k, p in measured_in)
            own = _of_rows(generator, rows)
            values = estimate_from(strings, read, rows.states.real, count, own)
            total += sum_by_index(values * (count / number), rows.sample, call.batch)
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
    call, noise = _ready(circuit, weights, inputs, options)
    plan = plan_of(call.circuit, True, noise)
    number, measured = check_shots(shots, call.batch), plan.deferred.qubits
    values, sample = [], []
    for part in _drawn(call, plan, number, generator):
        for rows, count in _by_count(part):
            found = split(rows.states.real**2 + rows.states.imag**2, measured).sum(2)
            found = density.misread(found, measured, _errors(noise))
            drawn = draw(found, uniforms(len(rows), (count,), _of_rows(generator, rows)))
            values.append(plan.deferred.recorded(rows.bits[:, None], drawn).flatten())
            sample.append(rows.sample.repeat_interleave(count))
    ordered = torch.cat(values)[torch.cat(sample).argsort(stable=True)].unflatten(0, (-1, number))
    # Shots with one history lie side by side, but runs of a circuit come in any order.
    order = uniforms(call.batch, (number,), generator).argsort(1)
    result = ordered.gather(1, order.to(ordered.device))
    return result if call.batched else result[0]


def _ready(
    circuit: Circuit, weights: Tensor | None, inputs: Tensor | None, options: Options
) -> tuple[Call, NoiseModel | None]:
    """The call, with an engine for pure states, and the noise."""
    transforms.refuse("a circuit with measurements")
    if options.get("method", "auto") == "trajectories" or options.get("trajectories") is not None:
        raise UsageError(
            "a circuit with measurements follows its branches, and takes no trajectories: leave "
            "out method='trajectories' and trajectories"
        )
    noise = options.get("noise")
    check_noise(noise)
    return prepare(circuit, weights, inputs, **options, gates_alone=True), noise


def _errors(noise: NoiseModel | None) -> ReadoutErrors:
    return {} if noise is None else noise.readout_errors


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
            yield run(Kets(call, Draws(generator)), plan, start, min(step, shots - begin))


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
