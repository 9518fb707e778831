"""Criteria: what it costs to move angles to where they are held.

A criterion gets the weights and, row by row, what they would be after each possible move. It says
what each move costs; those that cost least come first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import TypeAlias

import torch
from torch import Tensor

from compile import Device, compile
from qml.pruning.objective import Objective

Criterion: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(weights [W], moved [moves, W]) -> what each move costs, real [moves]."""

_TINY = 1e-9


def magnitude(weights: Tensor, moved: Tensor) -> Tensor:
    """How far the angles move, in radians, as in QuantumNAS (arXiv:2107.10845).

    The nearest zero of an angle is a multiple of its period, so it counts as small modulo that.
    """
    return (moved - weights).norm(dim=1)


@dataclass(frozen=True)
class Gradient:
    """How much the loss changes to first order: |g d| for a move d and the gradient g.

    Molchanov et al., arXiv:1611.06440. It takes one backward pass, but is zero at a minimum.
    """

    objective: Objective

    def __call__(self, weights: Tensor, moved: Tensor) -> Tensor:
        return ((moved - weights) @ self.objective.gradient(weights)).abs()


@dataclass(frozen=True)
class Fisher:
    """How much the loss grows to second order: F d^2 / 2 with the diagonal Fisher information F.

    Theis et al., arXiv:1801.05787. It takes one backward pass for all samples, but tells nothing of
    a loss without any, such as an energy: take `LossIncrease`.
    """

    objective: Objective

    def __call__(self, weights: Tensor, moved: Tensor) -> Tensor:
        return (moved - weights).square() @ self.objective.fisher(weights) / 2


@dataclass(frozen=True)
class LossIncrease:
    """How much the loss grows, exactly: it is evaluated after every move."""

    objective: Objective

    @torch.no_grad()
    def __call__(self, weights: Tensor, moved: Tensor) -> Tensor:
        after = torch.stack([self.objective(row) for row in moved])
        return after - self.objective(weights)


class SuccessGain:
    """How much the loss grows for each factor that the success probability gains on the device.

    The circuit is compiled after every move, a few milliseconds each. The cost of a move is the
    growth of the loss, or zero, over the gain in the logarithm of the estimated success probability
    (`Compiled.gate_esp`). Moves that gain nothing come last.

    Args:
        objective: the loss; its model's circuit is compiled.
        device: what to compile for.
        layout: physical qubit of every logical qubit; by default where Qiskit places the circuit.
        seed: of the transpiler.
    """

    def __init__(
        self,
        objective: Objective,
        device: Device,
        *,
        layout: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        self.objective = objective
        self.device = device
        self.seed = seed
        if layout is None:  # of the open circuit: not to depend on when training was resumed
            layout = compile(objective.model.circuit, device, seed=seed).initial_layout
        self.layout = layout

    def __call__(self, weights: Tensor, moved: Tensor) -> Tensor:
        before = self._log_success(weights)
        gains = weights.new_tensor([self._log_success(row) - before for row in moved])
        growth = LossIncrease(self.objective)(weights, moved)
        return growth.clamp_min(_TINY) / gains.clamp_min(_TINY)

    def _log_success(self, weights: Tensor) -> float:
        circuit = self.objective.model.circuit.bind(weights=weights)
        compiled = compile(circuit, self.device, layout=self.layout, seed=self.seed)
        return log(max(compiled.gate_esp, _TINY))
