"""Which weights turn which gates, how their angles repeat, and the grids that they are moved to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import pi
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from qsim import Circuit, Gate, Symbol
from qsim.circuit import Angle
from qsim.errors import UsageError


@cache
def period(gate: Gate, param: int) -> float:
    """The smallest change of an angle, in radians, that only changes the gate's global phase.

    It is 2 pi for plain rotations, but 4 pi for controlled ones, where that phase is no longer
    global.
    """
    # A gate that only changes the phase has no frequency: any change will do.
    return 2 * pi / min(gate.unitary.shift_frequencies(param), default=1.0)


def wrap(angles: Tensor, periods: Tensor) -> Tensor:
    """Angles (radians) moved by whole periods into [-period / 2, period / 2]."""
    return angles - periods * torch.round(angles / periods)


@cache
def prunable(gate: Gate) -> bool:
    """Whether the gate is the identity when all its angles are zero."""
    if gate.num_params == 0:
        return False
    return np.allclose(gate.unitary.at(*[0.0] * gate.num_params), np.eye(gate.unitary.dim))


def is_weight(param: Angle) -> TypeGuard[Symbol]:
    """Whether an angle is a weight."""
    return isinstance(param, Symbol) and param.source == "weight"


def check_weights(circuit: Circuit, purpose: str) -> None:
    """Raises UsageError for a circuit in which weights are more than the angle of one gate."""
    symbols = [p for operation in circuit.gates for p in operation.params if is_weight(p)]
    scaled = [symbol for symbol in symbols if (symbol.scale, symbol.offset) != (1.0, 0.0)]
    for angle in (*circuit.expressions, *scaled):
        raise UsageError(f"{purpose} needs weights as plain angles, but the circuit has {angle}")
    shared = [index for index, count in Counter(s.index for s in symbols).items() if count > 1]
    if shared:
        raise UsageError(
            f"{purpose} needs a weight of its own for every angle, but "
            f"weight {shared[0]} turns several: number the weights consecutively"
        )


def check_finite(weights: Tensor, purpose: str) -> None:
    """Raises UsageError for weights that are no numbers."""
    wrong = (~weights.isfinite()).nonzero().flatten().tolist()
    if wrong:
        raise UsageError(
            f"{purpose} needs finite weights, but weight {wrong[0]} is {weights[wrong[0]].item()}: "
            "go on from the last good state of training"
        )


def by_weight(circuit: Circuit, value: Callable[[Gate, int], float]) -> Tensor:
    """value(gate, param) of the angle that each weight is, 0 for unused ones: float64 [W]."""
    values = torch.zeros(circuit.num_weights, dtype=torch.float64)
    for gate, _, params in circuit.gates:
        for k, param in enumerate(params):
            if is_weight(param):
                values[param.index] = value(gate, k)
    return values


@dataclass(frozen=True, eq=False)
class Grid:
    """Where angles may lie: weight i at whole multiples of `steps[i]`.

    Attributes:
        steps: float64 [W] in radians; 0 leaves an angle free.
        periods: float64 [W] in radians, of every angle.
    """

    steps: Tensor
    periods: Tensor

    @classmethod
    def of(cls, circuit: Circuit, step: Callable[[Gate, int], float], purpose: str) -> Grid:
        """The grid with step(gate, param) for every angle.

        Raises:
            UsageError: for a circuit in which weights are more than the angle of one gate.
        """
        check_weights(circuit, purpose)
        return cls(by_weight(circuit, step), by_weight(circuit, period))

    def nearest(self, weights: Tensor) -> Tensor:
        """The point of the grid nearest to the weights [..., W]."""
        steps = self.steps.to(weights)
        held = torch.where(steps > 0, steps, 1.0)
        return torch.where(steps > 0, held * torch.round(weights / held), weights)

    def wrapped(self, weights: Tensor) -> Tensor:
        """The same gates, up to a global phase, by angles of at most half a period."""
        periods = self.periods.to(weights)
        return torch.where(periods > 0, wrap(weights, periods.clamp_min(1e-9)), weights)


def zeros(circuit: Circuit) -> Grid:
    """The grid of zeros, modulo their periods, of the gates that are the identity there.

    Raises:
        UsageError: for a circuit in which weights are more than the angle of one gate.
    """

    def step(gate: Gate, param: int) -> float:
        return period(gate, param) if prunable(gate) else 0.0

    return Grid.of(circuit, step, "pruning")
