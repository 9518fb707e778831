"""Circuits without their frozen weights: gates that became cheaper, or are gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from qml.pruning.angles import check_weights, is_weight, prunable
from qsim import Circuit, Gate, Weight
from qsim.circuit import Angle, Operation
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
    if is_weight(out) and is_weight(into):
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
    check_weights(circuit, "pruning")
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
            if is_weight(param):
                params[position] = Weight(len(kept))
                kept.append(param.index)
        simpler.append(gate, operation.qubits, params)
    return simpler, weights[kept]


def _params(operation: Operation[Gate], frozen: Tensor) -> list[Angle]:
    """The angles of an operation, frozen weights replaced by zero."""
    return [0.0 if is_weight(p) and frozen[p.index] else p for p in operation.params]


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
