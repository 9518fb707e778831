"""Lowering: every gate as steps that engines know.

X, CX and SWAP only relabel amplitudes. A factor is a 2x2 matrix on one qubit under any number of
controls: U(t) = sum_k A_k exp(i w_k t) of an elementary gate, or constant. A matrix is a constant
dense one on two qubits or more, without controls. A channel is one of several matrices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from qsim.circuit import Angle, Operation, Symbol, Weight
from qsim.families import diagonal, eigen_phases
from qsim.gates import GATES, Gate, fill
from qsim.trig import constant, control


class StepKind(IntEnum):
    """What a step does; the numbers are those of planner.hpp."""

    X = 0
    CX = 1
    SWAP = 2
    FACTOR = 3
    MATRIX = 4
    CHANNEL = 5


class Step(NamedTuple):
    """One step; an elementary gate, target or matrix that is not there is -1 or None.

    Attributes:
        kind: what it does.
        target: the qubit; of a SWAP the second one; -1 for MATRIX.
        controls: qubits that are 1 where it acts, any number for FACTOR; of a SWAP the first one.
        elementary: FACTOR: number in `elementary_gates`, or -1 where `matrix` is given.
        angle: FACTOR of an elementary gate: its angle.
        matrix: complex128 [2, 2] of a constant FACTOR, [2**k, 2**k] of a MATRIX, Kraus operators
            [number, 2**k, 2**k] of a CHANNEL.
        qubits: MATRIX and CHANNEL: its k qubits, the lowest bit first.
        least: CHANNEL: the least probability of each operator, whatever the state. Channel steps of
            one instruction choose the same number.
    """

    kind: StepKind
    target: int
    controls: tuple[int, ...] = ()
    elementary: int = -1
    angle: Angle = 0.0
    matrix: np.ndarray | None = None
    qubits: tuple[int, ...] = ()
    least: tuple[float, ...] = ()


_FREE = {  # by name and controls
    ("x", 0): StepKind.X,
    ("x", 1): StepKind.CX,
    ("cx", 0): StepKind.CX,
    ("swap", 0): StepKind.SWAP,
}
_RELABEL = ("x", "cx", "swap")
_SMALL = 4  # qubits up to which a controlled matrix is one dense matrix


@cache
def elementary_gates() -> tuple[Gate, ...]:
    """Gates on one qubit with at most one parameter: what factors are made of."""
    return tuple(g for g in GATES.values() if g.num_qubits == 1 and g.num_params <= 1)


@cache
def _numbers() -> dict[Gate, int]:
    return {gate: number for number, gate in enumerate(elementary_gates())}


def elementary_row(gate: Gate) -> tuple[list[float], list[complex], bool, bool]:
    """Frequencies [2], projectors [2 * 4], and whether the matrix is always diagonal or real."""
    terms = len(gate.unitary.frequencies)
    frequencies, projectors = np.zeros(2), np.zeros((2, 4), dtype=complex)
    if gate.num_params:
        frequencies[:terms] = gate.unitary.frequencies[:, 0]
    projectors[:terms] = gate.unitary.coefficients.reshape(terms, 4)
    probe = gate.unitary.at(*[0.3] * gate.num_params)
    return (
        frequencies.tolist(),
        projectors.ravel().tolist(),
        bool(np.all(np.abs(probe[[0, 1], [1, 0]]) < 1e-14)),
        bool(np.all(np.abs(probe.imag) < 1e-14)),
    )


def lower(
    gate: Gate,
    qubits: Sequence[int] | None = None,
    params: Sequence[Angle] | None = None,
    controls: tuple[int, ...] = (),
) -> list[Step]:
    """Its steps in order of time, on its own qubits and Weight(k) unless others are given."""
    qubits = range(gate.num_qubits) if qubits is None else qubits
    params = [Weight(k) for k in range(gate.num_params)] if params is None else params
    free = _FREE.get((gate.name, len(controls)))
    if free is not None:
        return [Step(free, qubits[-1], (*controls, *qubits[:-1]))]
    if gate.base:
        inner, count, bits = gate.base
        flips = [Step(StepKind.X, q) for k, q in enumerate(qubits[:count]) if not bits >> k & 1]
        active = (*controls, *qubits[:count])
        return [*flips, *lower(inner, qubits[count:], params, active), *flips]
    if gate.decomposition:
        steps: list[Step] = []
        needed = _needs_control(gate) if controls else [False] * len(gate.parts)
        for (part, where, angles), need in zip(gate.parts, needed, strict=True):
            places, filled = [qubits[q] for q in where], fill(angles, params)
            steps += lower(part, places, filled, controls if need else ())
        return steps
    if gate in _numbers():
        angle = params[0] if params else 0.0
        return [Step(StepKind.FACTOR, qubits[0], controls, _numbers()[gate], angle)]
    return _lower_matrix(gate.unitary.at(), tuple(qubits), controls)


def _lower_matrix(
    matrix: np.ndarray, qubits: tuple[int, ...], controls: tuple[int, ...]
) -> list[Step]:
    if len(qubits) == 1:
        return [Step(StepKind.FACTOR, qubits[0], controls, matrix=matrix)]
    if len(controls) + len(qubits) <= _SMALL or not controls:
        full = control(constant(matrix), len(controls)).at() if controls else matrix
        return [Step(StepKind.MATRIX, -1, matrix=full, qubits=(*controls, *qubits))]
    # V D V+: only the diagonal D needs the controls.
    phases, vectors = eigen_phases(matrix)
    turns = [
        Step(StepKind.MATRIX, -1, matrix=np.ascontiguousarray(m), qubits=qubits)
        for m in (vectors.conj().T, vectors)
    ]
    return [turns[0], *lower(diagonal(np.exp(1j * phases)), qubits, (), controls), turns[1]]


def _needs_control(gate: Gate) -> list[bool]:
    """Which parts of a decomposition need the controls of the gate.

    Not those at both ends that undo each other, nor X, CX and SWAP that undo each other in total:
    where the controls are off, they do nothing by themselves.
    """
    first, last = 0, len(gate.parts) - 1
    while first < last and _undo(gate.parts[first], gate.parts[last]):
        first, last = first + 1, last - 1
    inside = gate.parts[first : last + 1]
    idle = _changes_nothing([part for part in inside if part.gate.name in _RELABEL])
    return [
        first <= k <= last and not (idle and part.gate.name in _RELABEL)
        for k, part in enumerate(gate.parts)
    ]


def _undo(part: Operation[Gate], other: Operation[Gate]) -> bool:
    undone = [
        (step, tuple([part.qubits[q] for q in where]), fill(angles, part.params))
        for step, where, angles in part.gate.undone
    ]
    return undone == [other]


def _changes_nothing(parts: Iterable[Operation[Gate]]) -> bool:
    """Whether X, CX and SWAP leave every basis state; a bit is a sum of old bits and of 1."""
    bits: dict[int, frozenset[int]] = {}
    one = frozenset({-1})
    for gate, qubits, _ in parts:
        old = [bits.get(q, frozenset({q})) for q in qubits]
        new = {"x": [old[0] ^ one], "cx": [old[0], old[-1] ^ old[0]], "swap": old[::-1]}
        bits.update(zip(qubits, new[gate.name], strict=True))
    return all(value == {q} for q, value in bits.items())


def gate_row(gate: Gate) -> tuple[Any, ...]:
    """A gate for the planner: its qubits, its parameters, and its steps as plain numbers."""
    return gate.num_qubits, gate.num_params, [step_row(step) for step in lower(gate)]


def step_row(step: Step) -> tuple[Any, ...]:
    """A step as plain numbers; see StepRow in module.cpp."""
    if isinstance(step.angle, Symbol):
        index, scale, offset = step.angle.index, step.angle.scale, step.angle.offset
    else:
        assert isinstance(step.angle, float), "expressions are resolved before a run"
        index, scale, offset = -1, 0.0, step.angle
    qubits = list(step.qubits) or [*step.controls, step.target]
    matrix = [] if step.matrix is None else step.matrix.ravel().tolist()
    numbers = [int(step.kind), step.elementary, index]
    return numbers, scale, offset, qubits, matrix, list(step.least)
