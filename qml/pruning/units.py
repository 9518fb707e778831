"""What is pruned or rounded as one: angles, gates, entanglers, blocks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TypeAlias

from qml.pruning.angles import Grid, is_weight
from qml.pruning.schedule import Kind
from qsim import Circuit, Gate
from qsim.circuit import Operation
from qsim.errors import UsageError
from qsim.parameters import Symbol

Unit: TypeAlias = tuple[int, ...]
"""Indices of the weights that are moved together."""


def units(circuit: Circuit, kind: Kind, grid: Grid) -> list[Unit]:
    """The weights that have a place on the grid, in units of a kind.

    A gate counts as a unit only if all its angles are weights: others could not leave the circuit.

    Raises:
        UsageError: for blocks of a circuit that does not repeat its layers.
    """
    found = [
        tuple(k for operation in group for k in _indices(operation) if grid.steps[k] > 0)
        for group in _groups(circuit, kind)
    ]
    if kind == "angle":
        return [(index,) for group in found for index in group]
    return [group for group in found if group]


def _indices(operation: Operation[Gate]) -> list[int]:
    return [param.index for param in operation.params if is_weight(param)]


def _groups(circuit: Circuit, kind: Kind) -> Iterator[list[Operation[Gate]]]:
    if kind == "block":
        yield from _blocks(circuit)
        return
    for operation in circuit.gates:
        whole = len(_indices(operation)) == operation.gate.num_params
        if kind == "angle" or (whole and (kind == "gate" or operation.gate.num_qubits > 1)):
            yield [operation]


def _blocks(circuit: Circuit) -> Iterator[list[Operation[Gate]]]:
    """The gates from the first weight on, cut where the sequence of layers starts again.

    A layer is a run of equal gates, as long as it may be: sub-circuits keep parts of their layers.
    Gates that encode inputs belong to no layer.
    """
    gates = [operation for operation in circuit.gates if not _encodes(operation)]
    first = next((k for k, operation in enumerate(gates) if _indices(operation)), len(gates))
    layers = [list(run) for _, run in groupby(gates[first:], key=lambda op: op.gate.name)]
    names = [layer[0].gate.name for layer in layers]
    length = next((n for n in range(1, len(names)) if names[n:] == names[:-n]), None)
    if length is None:
        raise UsageError(
            f"pruning by blocks needs layers that repeat, but the circuit has {', '.join(names)}: "
            "prune by angle, gate or entangler"
        )
    for start in range(0, len(layers), length):
        yield [operation for layer in layers[start : start + length] for operation in layer]


def _encodes(operation: Operation[Gate]) -> bool:
    return any(isinstance(p, Symbol) and p.source == "input" for p in operation.params)
