"""Lowering: every gate of the table as steps that engines know.

Steps are X, CX and SWAP, which only relabel amplitudes, and factors: 2x2 matrices
U(t) = sum_k A_k exp(i w_k t) on one qubit, with up to two controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from qsim.circuit import Angle, Symbol, Weight, expand
from qsim.gates import GATES, Gate


class StepKind(IntEnum):
    """What a step does; the numbers are those of planner.hpp."""

    X = 0
    CX = 1
    SWAP = 2
    FACTOR = 3


class Step(NamedTuple):
    """One step; a control, elementary gate or parameter that is not there is -1."""

    kind: StepKind
    target: int
    controls: tuple[int, ...] = ()
    elementary: int = -1
    angle: Angle = 0.0


_FREE = {"x": StepKind.X, "cx": StepKind.CX, "swap": StepKind.SWAP}


@cache
def elementary_gates() -> tuple[Gate, ...]:
    """Gates on one qubit with at most one parameter: what factors are made of."""
    return tuple(g for g in GATES.values() if g.num_qubits == 1 and g.num_params <= 1)


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
    if gate.name == "i":
        return []
    if gate.name in _FREE and not controls:
        return [Step(_FREE[gate.name], qubits[-1], tuple(qubits[:-1]))]
    if gate in elementary_gates():
        angle = params[0] if params else 0.0
        return [Step(StepKind.FACTOR, qubits[0], controls, elementary_gates().index(gate), angle)]
    if gate.base:
        name, count = gate.base
        return lower(GATES[name], qubits[count:], params, (*controls, *qubits[:count]))
    assert gate.decomposition, f"{gate.name} has neither base nor decomposition"
    return [
        step
        for operation in expand(gate.decomposition, gate, qubits, params)
        for step in lower(*operation, controls)
    ]


def gate_row(gate: Gate) -> tuple[Any, ...]:
    """A gate for the planner: its qubits, its parameters, and its steps as plain numbers."""
    return gate.num_qubits, gate.num_params, [_step_row(step) for step in lower(gate)]


def _step_row(step: Step) -> tuple[Any, ...]:
    angle = step.angle
    if isinstance(angle, Symbol):
        index, scale, offset = angle.index, angle.scale, angle.offset
    else:
        index, scale, offset = -1, 0.0, angle
    numbers = [int(step.kind), step.elementary, index]
    return numbers, scale, offset, [*step.controls, step.target], []
