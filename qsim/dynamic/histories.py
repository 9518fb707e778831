"""Histories: rows of states that went through the same outcomes, all run as one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.dynamic.instructions import Control, Measure
from qsim.dynamic.plan import Event, Plan, Steps
from qsim.errors import UsageError
from qsim.memory import machine_bytes
from qsim.prepare import Call
from qsim.sampling import Generator

_MOST_BRANCHES = 2**16  # of one sample


@dataclass(frozen=True)
class Histories:
    """Rows, one for each history of each sample that is told apart.

    Attributes:
        psi: complex [rows, 2**n]; squared norms are probabilities of exact branches, and 1 where
            shots are counted.
        sample: sample of the batch that each row belongs to, int64 [rows].
        bits: classical bits, packed int64 [rows].
        shots: shots that took this history, int64 [rows]; None for exact branches.
    """

    psi: Tensor
    sample: Tensor
    bits: Tensor
    shots: Tensor | None = None

    def __len__(self) -> int:
        return len(self.psi)

    def __getitem__(self, rows: Tensor) -> Histories:
        shots = None if self.shots is None else self.shots[rows]
        return Histories(self.psi[rows], self.sample[rows], self.bits[rows], shots)

    @classmethod
    def cat(cls, parts: Sequence[Histories]) -> Histories:
        """All rows of several."""
        if len(parts) == 1:
            return parts[0]
        shots = [part.shots for part in parts if part.shots is not None]
        return cls(
            torch.cat([part.psi for part in parts]),
            torch.cat([part.sample for part in parts]),
            torch.cat([part.bits for part in parts]),
            torch.cat(shots) if shots else None,
        )


class Choice(Protocol):
    """Which outcomes of a measurement go on."""

    def __call__(
        self, before: Histories, probabilities: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """(row, outcome, shots) of each history that goes on, from float64 [rows, 2]."""


class Branches:
    """All outcomes whose probability is more than rounding.

    Attributes:
        dropped: whether an outcome was dropped.
    """

    def __init__(self, call: Call) -> None:
        eps = torch.finfo(call.weights.dtype).eps
        self.cutoff = (16 * eps) ** 2  # amplitudes that should be 0 are off by a few eps
        self.states = 3 if call.wants_gradient else 1
        self.batch = call.batch
        self.dropped = False

    def __call__(
        self, before: Histories, probabilities: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        kept = probabilities > self.cutoff
        row, outcome = kept.nonzero(as_tuple=True)
        self.dropped |= len(row) < kept.numel()
        needed = self.states * before.psi.itemsize * before.psi.shape[1] * len(row)
        if len(row) > _MOST_BRANCHES * self.batch or needed > machine_bytes():
            raise UsageError(
                f"exact results of this circuit need {len(row)} branches and more, which take "
                f"{needed:,} bytes: pass shots=..., or use counts or samples, which follow the "
                "branches that are drawn"
            )
        return row, outcome, None


class Draws:
    """Outcomes that some shot takes."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def __call__(
        self, before: Histories, probabilities: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        assert before.shots is not None
        share = (probabilities[:, 1] / probabilities.sum(1)).clamp(0, 1)
        ones = self._binomial(before, share)
        shots = torch.stack([before.shots - ones, ones], 1)
        row, outcome = shots.nonzero(as_tuple=True)
        return row, outcome, shots[row, outcome]

    def _binomial(self, before: Histories, share: Tensor) -> Tensor:
        assert before.shots is not None
        number = before.shots.double()
        if self.generator is None or isinstance(self.generator, torch.Generator):
            return torch.binomial(number, share, generator=self.generator).long()
        ones = torch.zeros_like(number)
        for sample in before.sample.unique().tolist():
            rows, generator = before.sample == sample, self.generator[sample]
            ones[rows] = torch.binomial(number[rows], share[rows], generator=generator)
        return ones.long()


def run(call: Call, plan: Plan, choice: Choice, start: Tensor, shots: int | None) -> Histories:
    """The histories after the plan.

    Args:
        call: weights, inputs and initial state, and the engine.
        plan: what is run.
        choice: which outcomes go on.
        start: samples of the call's batch to run, int64 [rows].
        shots: shots of each sample; None for exact branches.
    """
    initial = call.initial
    if initial is not None and initial.dim() == 2:
        initial = initial[start]
    psi = _on_rows(call, plan.head, start, initial)
    counted = None if shots is None else torch.full_like(start, shots)
    return _run(call, plan.steps, choice, Histories(psi, start, torch.zeros_like(start), counted))


def _run(call: Call, steps: Steps, choice: Choice, now: Histories) -> Histories:
    for step in steps:
        if isinstance(step, Circuit):
            now = replace(now, psi=_on_rows(call, step, now.sample, now.psi))
        elif isinstance(step.instruction, Control):
            now = _controlled(call, step, choice, now)
        else:
            now = _measured(step, choice, now)
    return now


def _on_rows(call: Call, gates: Circuit, sample: Tensor, initial: Tensor | None) -> Tensor:
    """States after gates, with the weights and inputs of each row's sample."""
    weights, inputs = (t[sample] if t.dim() == 2 else t for t in (call.weights, call.inputs))
    return replace(
        call,
        circuit=gates,
        weights=weights,
        inputs=inputs,
        initial=initial,
        batch=len(sample),
        batched=True,
    ).state()


def _controlled(call: Call, event: Event, choice: Choice, now: Histories) -> Histories:
    control = event.instruction
    assert isinstance(control, Control)
    for _ in range(control.rounds):
        chosen = control.chosen(now.bits)
        if bool((chosen < 0).all()):
            break
        now = Histories.cat(list(_bodies_run(call, event, choice, now, chosen)))
    return now


def _bodies_run(
    call: Call, event: Event, choice: Choice, now: Histories, chosen: Tensor
) -> Iterator[Histories]:
    for number in chosen.unique().tolist():
        rows = chosen == number
        part = now if bool(rows.all()) else now[rows]
        yield part if number < 0 else _run(call, event.bodies[number], choice, part)


def _measured(event: Event, choice: Choice, now: Histories) -> Histories:
    """Each row that goes on, projected; a reset moves it to 0, a measurement sets the bit."""
    (qubit,) = event.qubits
    parts = now.psi.unflatten(1, (-1, 2, 2**qubit))
    probabilities = parts.detach().abs().square().sum((1, 3), dtype=torch.float64)
    row, outcome, shots = choice(now, probabilities)
    found = parts[row, :, outcome]
    if shots is not None:
        found = found / probabilities[row, outcome].sqrt().to(found.real.dtype)[:, None, None]
    bits, target = now.bits[row], torch.zeros_like(outcome)
    if isinstance(event.instruction, Measure):
        clbit, target = event.instruction.clbit, outcome
        bits = bits & ~(1 << clbit) | outcome << clbit
    psi = parts.new_zeros(len(row), *parts.shape[1:])
    psi[torch.arange(len(row), device=row.device), :, target] = found
    return Histories(psi.flatten(1), now.sample[row], bits, shots)
