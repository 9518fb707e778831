"""Histories: rows of states that went through the same outcomes, all run as one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.dynamic.instructions import Control
from qsim.dynamic.plan import Event, Plan, Steps


@dataclass(frozen=True)
class Histories:
    """Rows, one for each history of each sample that is told apart.

    Attributes:
        states: pure ones, complex [rows, 2**n], or density matrices, complex [rows, 2**n, 2**n].
            Squared norms or traces are the probabilities of exact branches, and 1 where shots are
            counted.
        sample: sample of the batch that each row belongs to, int64 [rows].
        bits: classical bits, packed int64 [rows].
        shots: shots that took this history, int64 [rows]; None for exact branches.
    """

    states: Tensor
    sample: Tensor
    bits: Tensor
    shots: Tensor | None = None

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, rows: Tensor) -> Histories:
        shots = None if self.shots is None else self.shots[rows]
        return Histories(self.states[rows], self.sample[rows], self.bits[rows], shots)

    @classmethod
    def cat(cls, parts: Sequence[Histories]) -> Histories:
        """All rows of several."""
        if len(parts) == 1:
            return parts[0]
        shots = [part.shots for part in parts if part.shots is not None]
        return cls(
            torch.cat([part.states for part in parts]),
            torch.cat([part.sample for part in parts]),
            torch.cat([part.bits for part in parts]),
            torch.cat(shots) if shots else None,
        )


class Method(Protocol):
    """How states of one kind are run."""

    def start(self, sample: Tensor) -> Tensor:
        """Initial states of samples of the batch, int64 [rows]."""

    def gates(self, circuit: Circuit, now: Histories) -> Tensor:
        """States after a segment of gates."""

    def event(self, event: Event, now: Histories) -> Histories:
        """Histories after a measurement, a reset or a channel."""

    def joined(self, parts: Sequence[Histories]) -> Histories:
        """Histories that ran apart."""


def run(method: Method, plan: Plan, sample: Tensor, shots: int | None) -> Histories:
    """The histories after the plan.

    Args:
        method: how states are run.
        plan: what is run.
        sample: samples of the batch to run, int64 [rows].
        shots: shots of each sample; None for exact branches.
    """
    counted = None if shots is None else torch.full_like(sample, shots)
    begin = Histories(method.start(sample), sample, torch.zeros_like(sample), counted)
    return _run(method, (plan.head, *plan.steps), begin)


def _run(method: Method, steps: Steps, now: Histories) -> Histories:
    for step in steps:
        if isinstance(step, Circuit):
            now = replace(now, states=method.gates(step, now)) if len(step) else now
        elif isinstance(step.instruction, Control):
            now = _controlled(method, step, step.instruction, now)
        else:
            now = method.event(step, now)
    return now


def _controlled(method: Method, event: Event, control: Control, now: Histories) -> Histories:
    for _ in range(control.rounds):
        chosen = control.chosen(now.bits)
        if bool((chosen < 0).all()):
            break
        now = method.joined(list(_bodies_run(method, event, now, chosen)))
    return now


def _bodies_run(
    method: Method, event: Event, now: Histories, chosen: Tensor
) -> Iterator[Histories]:
    for number in chosen.unique().tolist():
        rows = chosen == number
        part = now if bool(rows.all()) else now[rows]
        yield part if number < 0 else _run(method, event.bodies[number], part)
