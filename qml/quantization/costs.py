"""What a matrix costs: whether it is Clifford, and the pulses that it takes."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

from qsim.errors import UsageError
from qsim.trig import pauli_matrix

_TO = 1e-9


def is_clifford(matrix: np.ndarray) -> bool:
    """Whether a unitary takes every Pauli string to one, up to its sign."""
    strings = _pauli_strings(len(matrix).bit_length() - 1)
    images = matrix @ strings @ matrix.conj().T
    overlaps = np.abs(np.einsum("aij,bji->ab", strings, images)) / len(matrix)
    return bool(np.allclose(overlaps, overlaps.round(), atol=_TO))


@cache
def _pauli_strings(num_qubits: int) -> np.ndarray:
    return np.stack([pauli_matrix("".join(p)) for p in product("IXYZ", repeat=num_qubits)])


def pulses(matrix: np.ndarray) -> int:
    """Pulses of a gate on one qubit, besides changes of frame, or CX of one on two qubits.

    On one qubit a diagonal takes none, a bit flip (X) or an equal superposition (SX) one, any other
    two (McKay et al., arXiv:1612.00858). On two qubits it is the least number of CX (Shende,
    Bullock and Markov, arXiv:quant-ph/0308045).

    Raises:
        UsageError: for gates on more qubits.
    """
    if len(matrix) == 2:
        kept = abs(matrix[0, 0]) ** 2
        return 0 if abs(kept - 1) < _TO else 1 if min(kept, abs(kept - 0.5)) < _TO else 2
    if len(matrix) == 4:
        return _cx_count(matrix)
    raise UsageError("pulses are known of gates on one or two qubits: write others by these")


def _cx_count(matrix: np.ndarray) -> int:
    special = matrix / np.linalg.det(matrix).astype(complex) ** 0.25
    flip = pauli_matrix("YY")
    invariant = special @ flip @ special.T @ flip
    trace = np.trace(invariant)
    if abs(abs(trace) - 4) < _TO and abs(trace.imag) < _TO:
        return 0
    if abs(trace) < _TO and np.allclose(invariant @ invariant, -np.eye(4), atol=1e-7):
        return 1
    return 2 if abs(trace.imag) < _TO else 3
