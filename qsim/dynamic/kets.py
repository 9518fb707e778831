"""Pure states of histories: every outcome, or those that shots take, splits a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.dynamic.histories import Histories
from qsim.dynamic.instructions import Measure
from qsim.dynamic.plan import Event
from qsim.engines.reference import act
from qsim.errors import UsageError
from qsim.memory import memory_of
from qsim.noise.channels import Channel
from qsim.prepare import Call
from qsim.sampling import Generator

MOST_BRANCHES = 2**16  # of one sample


class Choice(Protocol):
    """Which outcomes go on.

    Attributes:
        dropped: whether one was dropped that is not impossible for other weights and inputs.
    """

    dropped: bool

    def __call__(
        self, before: Histories, probabilities: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """(row, outcome, shots) of what goes on, from probabilities float64 [rows, outcomes]."""


class TooManyBranches(UsageError):
    """Exact results need more branches than are followed."""


class Branches:
    """All outcomes whose probability is more than rounding."""

    def __init__(self, call: Call, most: int) -> None:
        eps = torch.finfo(call.weights.dtype).eps
        self.cutoff = (16 * eps) ** 2  # amplitudes that should be 0 are off by a few eps
        self.held = 3 if call.wants_gradient else 1
        self.most = most * call.batch
        self.dropped = False

    def __call__(
        self, before: Histories, probabilities: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        row, outcome = (probabilities > self.cutoff).nonzero(as_tuple=True)
        self.dropped |= len(row) < probabilities.numel()
        needed = self.held * before.states[0].nbytes * len(row)
        if len(row) > self.most or needed > memory_of(before.states.device)[0]:
            raise TooManyBranches(
                f"exact results of this circuit need {len(row)} branches and more, which take "
                f"{needed:,} bytes: pass shots=..., or use counts or samples, which follow the "
                "branches that are drawn"
            )
        return row, outcome, None


class Draws:
    """Outcomes that some shot takes."""

    dropped = False  # shots have no gradient

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    def __call__(
        self, before: Histories, probabilities: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        assert before.shots is not None
        left, rest, found = before.shots, probabilities.sum(1), []
        for probability in probabilities.T[:-1]:
            drawn = self._binomial(left, (probability / rest).nan_to_num().clamp(0, 1), before)
            found.append(drawn)
            left, rest = left - drawn, rest - probability
        shots = torch.stack([*found, left], 1)
        row, outcome = shots.nonzero(as_tuple=True)
        return row, outcome, shots[row, outcome]

    def _binomial(self, shots: Tensor, share: Tensor, rows: Histories) -> Tensor:
        number = shots.double()
        if self.generator is None or isinstance(self.generator, torch.Generator):
            return torch.binomial(number, share, generator=self.generator).long()
        found = torch.zeros_like(number)
        for sample in rows.sample.unique().tolist():
            own, generator = rows.sample == sample, self.generator[sample]
            found[own] = torch.binomial(number[own], share[own], generator=generator)
        return found.long()


@dataclass(frozen=True)
class Kets:
    """Runs pure states, by the engine of a call."""

    call: Call
    choice: Choice

    @property
    def dropped(self) -> bool:
        return self.choice.dropped

    def start(self, sample: Tensor) -> Tensor:
        return initial_states(self.call, sample)

    def gates(self, circuit: Circuit, now: Histories) -> Tensor:
        weights, inputs = on_rows(self.call, now.sample)
        return replace(
            self.call,
            circuit=circuit,
            weights=weights,
            inputs=inputs,
            initial=now.states,
            batch=len(now),
            batched=True,
        ).state()

    def event(self, event: Event, now: Histories) -> Histories:
        if isinstance(event.instruction, Channel):
            return self._channel(event.instruction, event.qubits, now)
        (qubit,) = event.qubits
        parts = now.states.unflatten(1, (-1, 2, 2**qubit))
        outcomes, read, chances = map(now.states.real.new_tensor, zip(*event.readings, strict=True))
        squares = parts.detach().abs().square().sum((1, 3), dtype=torch.float64)
        probabilities = squares[:, outcomes.long()] * chances
        row, column, shots = self.choice(now, probabilities)
        scale = chances[column].sqrt()
        if shots is not None:
            scale = scale / probabilities[row, column].sqrt().to(scale.dtype)
        outcome = outcomes.long()[column]
        found = parts[row, :, outcome] * scale[:, None, None]
        bits, target = now.bits[row], torch.zeros_like(outcome)
        if isinstance(event.instruction, Measure):
            clbit, target = event.instruction.clbit, outcome
            bits = bits & ~(1 << clbit) | read.long()[column] << clbit
        states = parts.new_zeros(len(row), *parts.shape[1:])
        states[torch.arange(len(row), device=row.device), :, target] = found
        return Histories(states.flatten(1), now.sample[row], bits, shots)

    def _channel(self, channel: Channel, qubits: tuple[int, ...], now: Histories) -> Histories:
        """One Kraus operator for each row."""
        matrices = torch.tensor(channel.kraus, dtype=now.states.dtype, device=now.states.device)

        def after(states: Tensor, matrix: Tensor) -> Tensor:
            bits = states.unflatten(1, [2] * self.call.circuit.num_qubits)
            return act(bits, qubits, lambda amplitudes: amplitudes @ matrix.T).flatten(1)

        squares = [
            after(now.states, m).abs().square().sum(1, dtype=torch.float64) for m in matrices
        ]
        probabilities = torch.stack(squares, 1)
        row, column, shots = self.choice(now, probabilities)
        states = torch.empty_like(now.states[row])
        for number in column.unique().tolist():
            own = column == number
            states[own] = after(now.states[row[own]], matrices[number])
        states = states / probabilities[row, column].sqrt().to(states.real.dtype)[:, None]
        return Histories(states, now.sample[row], now.bits[row], shots)

    def joined(self, parts: Sequence[Histories]) -> Histories:
        return Histories.cat(parts)


def initial_states(call: Call, sample: Tensor) -> Tensor:
    """Where samples start, complex [rows, 2**n]."""
    initial = call.initial
    if initial is None:
        initial = sample.new_zeros(2**call.circuit.num_qubits, dtype=call.dtype)
        initial[0] = 1
    return initial[sample] if initial.dim() == 2 else initial.expand(len(sample), -1)


def on_rows(call: Call, sample: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and inputs of each row's sample."""
    weights, inputs = (t[sample] if t.dim() == 2 else t for t in (call.weights, call.inputs))
    return weights, inputs
