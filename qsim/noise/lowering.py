"""Lowering for exact noise: gates and channels as Pauli transfer matrices on few qubits.

An angle only ever turns one qubit: R(t) = constant + cos(t) cosine + sin(t) sine. Everything else
is a constant matrix. A controlled gate with an angle is V D(t) V+, where D is a diagonal, which
rotations about Z and CX make.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from qsim.circuit import Angle, Circuit, Symbol
from qsim.errors import UsageError
from qsim.families import eigen_phases, phase_rotations
from qsim.gates import GATES, Gate
from qsim.noise.channels import Channel, transfer_matrix
from qsim.plan.lowering import Step, StepKind, elementary_gates, lower

MAX_MATRIX = 5  # qubits of a constant matrix: 1024 x 1024 as a transfer matrix


class Part(NamedTuple):
    """A step of a gate or channel on its own qubits.

    Attributes:
        qubits: where it acts.
        constant: real [4**k, 4**k].
        cosine: real [4, 4], where it has an angle.
        sine: likewise.
        angle: Weight(k) stands for parameter k of the gate.
    """

    qubits: tuple[int, ...]
    constant: np.ndarray
    cosine: np.ndarray | None = None
    sine: np.ndarray | None = None
    angle: Angle = 0.0

    def row(self) -> tuple[Any, ...]:
        """As plain numbers for the planner; see TransferPart in transfer.hpp."""
        turned = (self.cosine, self.sine)
        matrices = [[] if m is None else m.ravel().tolist() for m in (self.constant, *turned)]
        if isinstance(self.angle, Symbol):
            return (self.qubits, self.angle.index, self.angle.scale, self.angle.offset, *matrices)
        assert isinstance(self.angle, float), "the angles of a gate's steps are affine"
        return (self.qubits, -1, 0.0, self.angle, *matrices)


@lru_cache(maxsize=4096)
def parts_of(acting: Gate | Channel) -> tuple[Part, ...]:
    """The parts of a gate or channel, in order of time.

    Raises:
        UsageError: for a matrix on too many qubits.
    """
    if isinstance(acting, Channel):
        return (Part(tuple(range(acting.num_qubits)), acting.ptm()),)
    if acting.num_params == 0 and acting.num_qubits <= 2:
        return (_constant(acting.unitary.at(), range(acting.num_qubits)),)
    return tuple(part for step in lower(acting) for part in _parts_of_step(step))


def _constant(matrix: np.ndarray, qubits: Sequence[int]) -> Part:
    if len(qubits) > MAX_MATRIX:
        raise UsageError(
            f"a dense matrix on {len(qubits)} qubits is too large for exact noise, which takes up "
            f"to {MAX_MATRIX}: write it as gates"
        )
    return Part(tuple(qubits), transfer_matrix(matrix[None]))


@cache
def _named(name: str) -> np.ndarray:
    return transfer_matrix(GATES[name].unitary.at()[None])


def _parts_of_step(step: Step) -> Iterator[Part]:
    where = (*step.controls, step.target)
    if step.kind is StepKind.MATRIX:
        assert step.matrix is not None
        yield _constant(step.matrix, step.qubits)
    elif step.kind is not StepKind.FACTOR:
        yield Part(where, _named(step.kind.name.lower()))
    elif step.controls:
        yield from _controlled(step, where)
    elif step.matrix is not None:
        yield _constant(step.matrix, where)
    else:
        yield _turn(elementary_gates()[step.elementary], step.target, step.angle)


@cache
def _turn_matrices(gate: Gate) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Frequency, constant, cosine and sine of an elementary gate."""
    frequencies = gate.unitary.frequencies[:, 0] if gate.num_params else np.zeros(1)
    frequency = float(frequencies[-1] - frequencies[0])
    if not frequency:
        matrix = transfer_matrix(gate.unitary.at(*[0.0] * gate.num_params)[None])
        return 0.0, matrix, np.zeros((4, 4)), np.zeros((4, 4))
    zero, quarter, half = (
        transfer_matrix(gate.unitary.at(turn * np.pi / frequency)[None]) for turn in (0, 0.5, 1)
    )
    constant = (zero + half) / 2
    return frequency, constant, (zero - half) / 2, quarter - constant


def _turn(gate: Gate, qubit: int, angle: Angle) -> Part:
    frequency, constant, cosine, sine = _turn_matrices(gate)
    if not frequency:
        return Part((qubit,), constant)
    return Part((qubit,), constant, cosine, sine, _scaled(angle, frequency))


def _scaled(angle: Angle, factor: float) -> Angle:
    assert isinstance(angle, (float, Symbol)), "the angles of a gate's steps are affine"
    return angle * factor


def _controlled(step: Step, where: tuple[int, ...]) -> Iterator[Part]:
    """V+, the diagonal, V; phases of the diagonal are proportional to the angle."""
    if step.matrix is not None:
        matrix, angle = step.matrix, None
    else:
        gate = elementary_gates()[step.elementary]
        matrix = gate.unitary.at(*[1.0] * gate.num_params)
        angle = step.angle if gate.num_params else None
    phases, vectors = eigen_phases(matrix)
    diagonal = np.zeros(2 ** len(where))
    diagonal[[2 ** len(step.controls) - 1, -1]] = phases
    yield _constant(vectors.conj().T, where[-1:])
    for gate, qubits, params in phase_rotations(Circuit(len(where)), diagonal).gates:
        places = tuple([where[q] for q in qubits])
        if gate.name == "cx":
            yield Part(places, _named("cx"))
        elif gate.name == "rz":
            turn = params[0] if angle is None else _scaled(angle, float(params[0]))  # type: ignore[arg-type]
            yield _turn(gate, places[0], turn)
    yield _constant(vectors, where[-1:])


def readout_map(error: tuple[float, float]) -> np.ndarray:
    """What reading a qubit does to its letters: real [4, 4], no channel.

    With a = 1 - p01 - p10 and b = p10 - p01, an estimate of Z, X or Y (each read after a turn to Z)
    has the mean a <letter> + b.

    Args:
        error: (p01, p10), the probabilities to read 1 for |0>, and 0 for |1>.
    """
    p01, p10 = error
    matrix = np.diag([1.0, *[1 - p01 - p10] * 3])
    matrix[1:, 0] = p10 - p01
    return matrix
