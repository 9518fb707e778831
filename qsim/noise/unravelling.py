"""Channels as choices: every trajectory takes one Kraus operator, by a number of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.gates import GATES, Gate
from qsim.noise.channels import Channel
from qsim.plan.lowering import Step, StepKind, gate_row, lower, step_row
from qsim.sampling import Generator, uniforms
from qsim.trig import PAULI, pauli_matrix

_VANISHES = 1e-15
_COMMUTE = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])  # I, X, Y, Z


@dataclass(frozen=True, eq=False)
class Unravelling:
    """Kraus operators of a channel, the likeliest first.

    Attributes:
        operators: complex128 [number, 2**k, 2**k].
        least: the probability of each that is left in any state, float64 [number]: the smallest
            eigenvalue of K+K. Their sum is 1 if the choice does not depend on the state.
        labels: Pauli strings that the operators are multiples of, where the channel is such.
    """

    operators: np.ndarray
    least: np.ndarray
    labels: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def unravelled(channel: Channel) -> Unravelling:
    """The channel as a choice; Pauli strings where it is a Pauli channel."""
    if channel.kind == "pauli":
        return _paulis(channel)
    grams = channel.kraus.conj().transpose(0, 2, 1) @ channel.kraus
    order = np.argsort(-np.trace(grams, axis1=1, axis2=2).real, kind="stable")
    least = np.linalg.eigvalsh(grams[order])[:, 0].clip(0)
    if channel.kind == "mixed-unitary":
        least /= least.sum()
    return Unravelling(channel.kraus[order], least)


def _paulis(channel: Channel) -> Unravelling:
    size = channel.num_qubits
    signs = reduce(np.kron, [_COMMUTE] * size)  # of one string moved past another
    found = signs @ np.diag(channel.ptm()) / 4**size
    order = [k for k in np.argsort(-found, kind="stable") if found[k] > _VANISHES]
    labels = ["".join(letters) for letters in product("IXYZ", repeat=size)]
    kept = tuple(labels[k] for k in order)
    least = found[order] / found[order].sum()
    operators = [np.sqrt(p) * pauli_matrix(s) for p, s in zip(least, kept, strict=True)]
    return Unravelling(np.stack(operators), least, kept)


def draws_of(circuit: Circuit) -> int:
    """How many numbers a trajectory takes for its choices: one for each channel with several."""
    channels = [op.gate for op in circuit.operations if isinstance(op.gate, Channel)]
    return sum(len(unravelled(channel).least) > 1 for channel in channels)


@lru_cache(maxsize=4096)
def row_of(acting: Gate | Channel) -> tuple[Any, ...]:
    """A gate or channel for the planner; see `qsim.plan.lowering.gate_row`."""
    if acting == GATES["cz"]:  # CX only relabels, and H becomes part of what is next to it
        turn, flip = lower(GATES["h"], (1,)), lower(GATES["cx"])
        return 2, 0, [step_row(step) for step in (*turn, *flip, *turn)]
    if isinstance(acting, Gate):
        return gate_row(acting)
    return acting.num_qubits, 0, [step_row(step) for step in _steps(acting)]


def _steps(channel: Channel) -> list[Step]:
    choice, every = unravelled(channel), tuple(range(channel.num_qubits))
    if len(choice.operators) == 1:  # a unitary, nothing to choose
        matrix = choice.operators[0]
        if len(every) == 1:
            return [Step(StepKind.FACTOR, 0, matrix=matrix)]
        return [Step(StepKind.MATRIX, -1, matrix=matrix, qubits=every)]
    least = tuple(choice.least.tolist())
    if not choice.labels:
        return [Step(StepKind.CHANNEL, -1, matrix=choice.operators, qubits=every, least=least)]
    steps = []
    for qubit in every:  # a string is a matrix on each of its qubits
        letters = [label[-1 - qubit] for label in choice.labels]
        if set(letters) != {"I"}:
            matrices = np.stack([PAULI[letter] for letter in letters])
            steps.append(Step(StepKind.CHANNEL, -1, matrix=matrices, qubits=(qubit,), least=least))
    return steps


# --- Numbers --------------------------------------------------------------------------------------


def seeds_of(generator: Generator, batch: int) -> Tensor:
    """A seed for each sample, int64 [batch]: all that is drawn from the generator.

    Raises:
        UsageError: inside torch.func.
    """
    return (uniforms(batch, (), generator) * 2**53).long().cpu()


def numbers(seeds: Tensor, rows: int, trajectories: int, draw: int) -> Tensor:
    """Uniform numbers from [0, 1) of rows of trajectories, float64 [rows].

    Row r is trajectory r % trajectories of sample r // trajectories. A number is a function of the
    sample's seed, the trajectory and the draw alone (splitmix64: Steele, Lea and Flood, OOPSLA
    2014), as in trajectories.cpp.
    """
    row = torch.arange(rows)
    seed = seeds[row // trajectories % len(seeds)]
    own = _mixed(seed + _signed(_STEP) * (row % trajectories + 1))
    return _shifted(_mixed(own + _signed(_STEP * (draw + 1) % 2**64)), 11).double() * 2.0**-53


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


_STEP = 0x9E3779B97F4A7C15


def _shifted(z: Tensor, bits: int) -> Tensor:
    return (z >> bits) & (2 ** (64 - bits) - 1)


def _mixed(z: Tensor) -> Tensor:
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ _shifted(z, 31)
