"""Pruning of small angles, after QuantumNAS (Wang et al., arXiv:2107.10845).

While the circuit is fine-tuned, the angles nearest to zero are set to zero and held there, more of
them every epoch. Gates whose angles vanish turn into cheaper ones or leave the circuit, so it
compiles to fewer gates. An angle counts as small modulo its period: 2 pi for plain rotations, which
repeat up to a global phase, but 4 pi for controlled ones, where that phase is no longer global.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import pi
from typing import Literal, NamedTuple, TypeAlias, TypeGuard

import numpy as np
import torch
from torch import Tensor

from qml.data.tasks import Split
from qml.nn.model import Classifier
from qml.training.checkpoints import TrainState
from qml.training.loop import Callback, TrainConfig, fit
from qsim import Circuit, Gate, Symbol, Weight
from qsim.circuit import Angle, Operation
from qsim.errors import UsageError
from qsim.gates import find_gate


class Rule(NamedTuple):
    """With its parameters `zero` at zero, a gate is `gate` with sums of its old parameters."""

    zero: tuple[int, ...]
    gate: str
    sums: tuple[tuple[int, ...], ...]


SIMPLER: dict[str, tuple[Rule, ...]] = {
    "u3": (Rule((0,), "p", ((1, 2),)), Rule((1, 2), "ry", ((0,),))),
    "cu3": (Rule((0,), "cp", ((1, 2),)), Rule((1, 2), "cry", ((0,),))),
    "cu": (Rule((0, 3), "cp", ((1, 2),)), Rule((3,), "cu3", ((0,), (1,), (2,)))),
}
"""Cheaper gates by gate; one with all its parameters at zero needs no rule, it is left out."""


@cache
def period(gate: Gate, param: int) -> float:
    """The smallest change of an angle, in radians, that only changes the gate's global phase."""
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


@dataclass(frozen=True)
class PruneConfig:
    """How much is pruned, and when.

    Attributes:
        target: fraction of the units that is pruned in the end.
        unit: what is pruned as one. "angle": any single angle, as in the paper. "entangler": all
            angles of a gate on two qubits or more, by the root of the sum of their squares. A CU3
            costs two CX as long as one of its angles is left, so pruning it as a whole loses less
            accuracy per CX saved.
        start: fraction pruned before the first epoch.
        ramp: part of the epochs in which the fraction rises to `target`; the rest fine-tunes.
    """

    target: float = 0.3
    unit: Literal["angle", "entangler"] = "angle"
    start: float = 0.05
    ramp: float = 0.6

    def fraction(self, epoch: int, epochs: int) -> float:
        """Fraction pruned before `epoch`, a cubic (Zhu and Gupta, arXiv:1710.01878)."""
        progress = min(1.0, epoch / max(1.0, self.ramp * epochs))
        return self.target + (min(self.start, self.target) - self.target) * (1 - progress) ** 3


class SmallAnglePruner:
    """Chooses the weights that `fit` holds at zero: see the head of this module."""

    def __init__(self, circuit: Circuit, config: PruneConfig, epochs: int) -> None:
        """Raises UsageError for a circuit in which weights are more than the angle of one gate."""
        if not 0 <= config.target <= 1:
            raise UsageError(f"the fraction to prune is from 0 to 1, not {config.target}")
        if config.unit not in ("angle", "entangler"):
            raise UsageError(f"the unit to prune is 'angle' or 'entangler', not {config.unit!r}")
        _check_weights(circuit)
        self.circuit = circuit
        self.config = config
        self.epochs = epochs
        self.units = list(_units(circuit, config.unit))

    def __call__(self, epoch: int, weights: Tensor, frozen: Tensor) -> Tensor:
        """Set further weights [W] to zero in place -> mask of all that are held there, bool [W]."""
        frozen = frozen.clone()
        left = [unit for unit in self.units if not frozen[list(unit)].all()]
        goal = round(self.config.fraction(epoch, self.epochs) * len(self.units))
        missing = goal - (len(self.units) - len(left))
        if missing > 0:
            for unit in sorted(left, key=lambda unit: _size(unit, weights))[:missing]:
                weights[list(unit)] = 0
                frozen[list(unit)] = True
            absorb(self.circuit, weights, frozen)
        return frozen


Unit: TypeAlias = dict[int, float]
"""Indices of the weights that are pruned together, each with its period."""


def _units(circuit: Circuit, kind: str) -> Iterator[Unit]:
    for gate, _, params in circuit.gates:
        if not prunable(gate):
            continue
        angles = {p.index: period(gate, k) for k, p in enumerate(params) if _is_weight(p)}
        if kind == "angle":
            yield from ({index: length} for index, length in angles.items())
        elif gate.num_qubits > 1 and len(angles) == gate.num_params:
            yield angles


def _size(unit: Unit, weights: Tensor) -> float:
    periods = torch.tensor(list(unit.values()), dtype=weights.dtype)
    return wrap(weights[list(unit)], periods).norm().item()


def absorb(circuit: Circuit, weights: Tensor, frozen: Tensor) -> None:
    """Where only the sum of some angles of a gate still counts, put it into the first, in place.

    A U3 with theta = 0 turns by phi + lam: phi takes the sum, lam becomes zero and frozen.
    """
    for operation in circuit.gates:
        params = _params(operation, frozen)
        for rule in _matching(operation.gate, params):
            for first, *others in rule.sums:
                for other in others:
                    _move(params[other], operation.params[first], weights, frozen)


def _move(out: Angle, into: Angle, weights: Tensor, frozen: Tensor) -> None:
    if _is_weight(out) and _is_weight(into):
        weights[into.index] += weights[out.index]
        weights[out.index] = 0
        frozen[into.index], frozen[out.index] = False, True


def simplify(circuit: Circuit, weights: Tensor, frozen: Tensor) -> tuple[Circuit, Tensor]:
    """Rebuild a circuit without its frozen weights.

    Args:
        circuit: the circuit, every weight the angle of one gate.
        weights: [W] in radians; frozen ones count as zero.
        frozen: bool [W].

    Returns:
        (circuit, weights): the same function with fewer and cheaper gates, and the weights left.

    Raises:
        UsageError: for a circuit in which weights are more than the angle of one gate.
    """
    _check_weights(circuit)
    weights, frozen = torch.where(frozen, 0, weights.detach()), frozen.clone()
    absorb(circuit, weights, frozen)
    simpler = Circuit(circuit.num_qubits, num_inputs=circuit.num_inputs)
    kept: list[int] = []
    for operation in circuit.gates:
        reduced = _reduced(operation.gate, _params(operation, frozen))
        if reduced is None:
            continue
        gate, params = reduced
        for position, param in enumerate(params):
            if _is_weight(param):
                params[position] = Weight(len(kept))
                kept.append(param.index)
        simpler.append(gate, operation.qubits, params)
    return simpler, weights[kept]


def _params(operation: Operation[Gate], frozen: Tensor) -> list[Angle]:
    """The angles of an operation, frozen weights replaced by zero."""
    return [0.0 if _is_weight(p) and frozen[p.index] else p for p in operation.params]


def _is_weight(param: Angle) -> TypeGuard[Symbol]:
    return isinstance(param, Symbol) and param.source == "weight"


def _matching(gate: Gate, params: list[Angle]) -> Iterator[Rule]:
    for rule in SIMPLER.get(gate.name, ()):
        if all(params[zero] == 0.0 for zero in rule.zero):
            yield rule


def _reduced(gate: Gate, params: list[Angle]) -> tuple[Gate, list[Angle]] | None:
    """The cheapest gate that the table knows for these angles; None if nothing is left of it."""
    if prunable(gate) and all(param == 0.0 for param in params):
        return None
    for rule in _matching(gate, params):
        left = [[params[i] for i in group if params[i] != 0.0] for group in rule.sums]
        # absorb has added up the weights; a sum of two other angles cannot be written as one.
        if all(len(terms) <= 1 for terms in left):
            return _reduced(find_gate(rule.gate), [terms[0] if terms else 0.0 for terms in left])
    return gate, params


def _check_weights(circuit: Circuit) -> None:
    for expression in circuit.expressions:
        raise UsageError(f"pruning needs weights as plain angles, but the circuit has {expression}")
    weights = [p for operation in circuit.gates for p in operation.params if _is_weight(p)]
    for symbol in weights:
        if (symbol.scale, symbol.offset) != (1.0, 0.0):
            raise UsageError(f"pruning needs weights as plain angles, but the circuit has {symbol}")
    shared = [index for index, count in Counter(s.index for s in weights).items() if count > 1]
    if shared:
        raise UsageError(
            "pruning needs a weight of its own for every angle, but "
            f"weight {shared[0]} turns several: number the weights consecutively"
        )


def prune(
    model: Classifier,
    train: Split,
    valid: Split,
    config: TrainConfig,
    prune_config: PruneConfig,
    *,
    seed: int,
    stage: str = "prune",
    state: TrainState | None = None,
    callbacks: Sequence[Callback] = (),
) -> tuple[Classifier, TrainState]:
    """Prune and fine-tune a trained model, which is changed in place; other arguments as for `fit`.

    Returns:
        (pruned, state): a model of the simplified circuit, and the state of the fine-tuning.

    Raises:
        UsageError: for a circuit in which weights are more than the angle of one gate.
    """
    pruner = SmallAnglePruner(model.circuit, prune_config, config.epochs)
    state = fit(
        model, train, valid, config,
        seed=seed, stage=stage, state=state, callbacks=callbacks, pruner=pruner,
    )  # fmt: skip
    circuit, weights = simplify(model.circuit, model.weights, state.tensors["frozen"])
    pruned = Classifier(circuit, model.num_classes, weights=weights, logit_scale=model.logit_scale)
    return pruned, state
