"""Probabilistic gradient pruning of QOC (Wang et al., arXiv:2202.13239), and its variants.

Small gradients drown in the noise of a device, so measuring them costs more than it helps. Steps of
training go in turns: in an accumulation window every gradient is measured and their sizes are added
up; in the pruning window that follows, only a part of them is. Weights whose gradient is left out
stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qsim import Circuit, Symbol
from qsim.errors import UsageError

_FLOOR = 1e-2
"""Of sizes and angles as probabilities, so that nothing is left out for ever."""


class Situation(NamedTuple):
    """What a choice of weights depends on.

    Attributes:
        sizes: accumulated |gradient|, float64 [weights].
        angles: the weights in radians, float64 [weights].
        kept: how many weights are to be measured.
        fraction: of all that these are.
        turn: number of the pruning step since training began.
        layers, qubits: group of each weight, int [weights].
        rng: for what is drawn.
    """

    sizes: np.ndarray
    angles: np.ndarray
    kept: int
    fraction: float
    turn: int
    layers: np.ndarray
    qubits: np.ndarray
    rng: np.random.Generator


def _probabilistic(now: Situation) -> np.ndarray:
    return _drawn(now, now.sizes)


def _deterministic(now: Situation) -> np.ndarray:
    return np.argsort(-now.sizes, kind="stable")[: now.kept]


def _random(now: Situation) -> np.ndarray:
    return now.rng.permutation(len(now.sizes))[: now.kept]


def _phase(now: Situation) -> np.ndarray:
    wrapped = np.abs((now.angles + pi) % (2 * pi) - pi)
    return _drawn(now, wrapped)


def _per_layer(now: Situation) -> np.ndarray:
    return _in_turn(now, now.layers)


def _per_qubit(now: Situation) -> np.ndarray:
    return _in_turn(now, now.qubits)


def _drawn(now: Situation, sizes: np.ndarray) -> np.ndarray:
    """Weights drawn without replacement, in proportion to these sizes."""
    odds = sizes + _FLOOR * max(float(sizes.mean()), 1e-12)
    return now.rng.choice(len(odds), now.kept, replace=False, p=odds / odds.sum())


def _in_turn(now: Situation, groups: np.ndarray) -> np.ndarray:
    """The weights of some groups, then of the next ones, and round again."""
    names = np.unique(groups)
    count = max(1, round(now.fraction * len(names)))
    chosen = names[(now.turn * count + np.arange(count)) % len(names)]
    return np.flatnonzero(np.isin(groups, chosen))


METHODS: dict[str, Callable[[Situation], np.ndarray]] = {
    "probabilistic": _probabilistic,
    "deterministic": _deterministic,
    "random": _random,
    "phase": _phase,
    "per-layer": _per_layer,
    "per-qubit": _per_qubit,
}


@dataclass(frozen=True)
class GradientPruning:
    """Which gradients are measured in which step.

    Attributes:
        method: "probabilistic" draws them in proportion to accumulated sizes, "deterministic" takes
            the largest, "phase" draws in proportion to the angles' distance from 0, "random"
            evenly; "per-layer" and "per-qubit" take some layers or qubits in turn.
        ratio: fraction that is left out in pruning steps.
        accumulation: steps of an accumulation window; 0 for methods that need no sizes.
        pruning: steps of a pruning window.
    """

    method: str = "probabilistic"
    ratio: float = 0.5
    accumulation: int = 1
    pruning: int = 2

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(
                f"there is no gradient pruning {self.method!r}: use {', '.join(METHODS)}"
            )
        sized = self.method in ("probabilistic", "deterministic")
        if not 0 <= self.ratio < 1 or self.accumulation < sized or self.pruning < 1:
            raise UsageError(
                "gradient pruning takes a ratio from 0 to below 1, a pruning window of 1 step or "
                f"more, and where sizes count an accumulation window of 1 or more, not {self}"
            )

    @property
    def saved(self) -> float:
        """Fraction of all gradients that is not measured: r w_p / (w_a + w_p)."""
        return self.ratio * self.pruning / (self.accumulation + self.pruning)

    def accumulates(self, step: int) -> bool:
        """Whether a step, counted from 0, measures every gradient."""
        return step % (self.accumulation + self.pruning) < self.accumulation

    def begins(self, step: int) -> bool:
        """Whether a step is the first of its window of accumulation, where sizes start anew."""
        return step % (self.accumulation + self.pruning) == 0

    def wanted(
        self, circuit: Circuit, weights: Tensor, sizes: Tensor, step: int, rng: np.random.Generator
    ) -> Tensor:
        """The weights whose gradient this step measures: bool [weights].

        Args:
            circuit: tells layers and qubits of the weights.
            weights: their angles, [weights].
            sizes: accumulated |gradient|, [weights].
            step: counted from 0.
            rng: for what is drawn.
        """
        if self.accumulates(step):
            return torch.ones(len(weights), dtype=torch.bool)
        window = self.accumulation + self.pruning
        layers, qubits = weight_groups(circuit)
        now = Situation(
            sizes=sizes.double().numpy(),
            angles=weights.detach().double().numpy(),
            kept=max(1, round((1 - self.ratio) * len(weights))),
            fraction=1 - self.ratio,
            turn=step // window * self.pruning + step % window - self.accumulation,
            layers=layers,
            qubits=qubits,
            rng=rng,
        )
        mask = torch.zeros(len(weights), dtype=torch.bool)
        mask[torch.as_tensor(METHODS[self.method](now))] = True
        return mask


def weight_groups(circuit: Circuit) -> tuple[np.ndarray, np.ndarray]:
    """Layer and qubit of every weight, int [num_weights]; -1 for weights without a gate.

    A layer is a run of equal gates; of a controlled gate the qubit is the target. A weight of
    several gates belongs to the first one.
    """
    layers, qubits = np.full((2, circuit.num_weights), -1)
    layer, before = -1, ""
    for gate, where, params in circuit.operations:
        if gate.name != before:
            layer, before = layer + 1, gate.name
        for param in params:
            if isinstance(param, Symbol) and param.source == "weight" and layers[param.index] < 0:
                layers[param.index], qubits[param.index] = layer, where[-1]
    return layers, qubits
