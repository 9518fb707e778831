"""Matrices whose entries are trigonometric polynomials of angles: what every parametrized gate is.

A gate U(theta) with angles theta = (theta_1, ..., theta_P) is a finite Fourier series

    U(theta) = sum_k A_k exp(i omega_k . theta)

(Schuld, Sweke and Meyer, arXiv:2008.08605). Values, derivatives, inverses, controlled versions and
the frequencies of the parameter-shift rule follow from the pairs (omega_k, A_k): a gate is written
once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

PAULI = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]], dtype=complex),
    "Z": np.array([[1, 0], [0, -1]], dtype=complex),
}


class TrigMatrix:
    """U(theta) = sum_k coefficients[k] * exp(i * frequencies[k] . theta).

    Args:
        frequencies: real, [terms, parameters].
        coefficients: complex, [terms, d, d], or a function that makes them when they are first
            asked for: gates on many qubits are described without their matrix.
    """

    def __init__(
        self, frequencies: np.ndarray, coefficients: np.ndarray | Callable[[], np.ndarray]
    ) -> None:
        self.frequencies = frequencies
        self._given = coefficients

    @cached_property
    def coefficients(self) -> np.ndarray:
        return self._given() if callable(self._given) else self._given

    @property
    def num_params(self) -> int:
        return int(self.frequencies.shape[1])

    @property
    def dim(self) -> int:
        return int(self.coefficients.shape[1])

    def __call__(self, params: Tensor) -> Tensor:
        """Evaluate: params [..., P] real, in radians -> [..., d, d] complex of that precision."""
        dtype = torch.complex128 if params.dtype == torch.float64 else torch.complex64
        coefficients = torch.as_tensor(self.coefficients, dtype=dtype, device=params.device)
        frequencies = torch.as_tensor(self.frequencies, dtype=params.dtype, device=params.device)
        phases = torch.exp(1j * (params.unsqueeze(-2) * frequencies).sum(-1)).to(dtype)
        return torch.einsum("...k,kij->...ij", phases, coefficients)

    def at(self, *params: float) -> np.ndarray:
        """Evaluate at plain numbers -> [d, d] complex128."""
        phases = np.exp(1j * (self.frequencies @ np.asarray(params, dtype=float)))
        return np.einsum("k,kij->ij", phases, self.coefficients)

    def __matmul__(self, other: TrigMatrix) -> TrigMatrix:
        frequencies = self.frequencies[:, None, :] + other.frequencies[None, :, :]
        products = np.einsum("aij,bjk->abik", self.coefficients, other.coefficients)
        return _collect(
            frequencies.reshape(-1, self.num_params), products.reshape(-1, self.dim, self.dim)
        )

    def adjoint(self) -> TrigMatrix:
        return TrigMatrix(-self.frequencies, self.coefficients.conj().transpose(0, 2, 1))

    def shift_frequencies(self, param: int) -> tuple[float, ...]:
        """Positive differences of a parameter's frequencies: those of expectation values.

        The general parameter-shift rule needs exactly these (Wierichs et al., arXiv:2107.12390).
        """
        values = self.frequencies[:, param]
        gaps = np.round(np.abs(values[:, None] - values[None, :]), 12)
        return tuple(float(gap) for gap in np.unique(gaps) if gap > 0)


def _collect(frequencies: np.ndarray, coefficients: np.ndarray) -> TrigMatrix:
    """Add up terms of equal frequency and drop those that vanish."""
    unique, where = np.unique(np.round(frequencies, 12), axis=0, return_inverse=True)
    summed = np.zeros((len(unique), *coefficients.shape[1:]), dtype=complex)
    np.add.at(summed, where.reshape(-1), coefficients)
    kept = np.abs(summed).max(axis=(1, 2)) > 1e-14
    return TrigMatrix(unique[kept], summed[kept])


def constant(matrix: Sequence[Sequence[complex]] | np.ndarray) -> TrigMatrix:
    """A fixed matrix: one term of frequency zero, no parameters."""
    return TrigMatrix(np.zeros((1, 0)), np.asarray(matrix, dtype=complex)[None])


def pauli_matrix(label: str) -> np.ndarray:
    """Matrix of a Pauli string; the rightmost letter acts on the first qubit, as in Qiskit."""
    matrix = np.eye(1, dtype=complex)
    for letter in label:
        matrix = np.kron(matrix, PAULI[letter])
    return matrix


def _unit(param: int, of: int, frequency: float) -> np.ndarray:
    row = np.zeros(of)
    row[param] = frequency
    return row


def rotation(label: str, param: int = 0, of: int = 1) -> TrigMatrix:
    """exp(-i theta P / 2) for the Pauli string P; theta is parameter `param` out of `of`."""

    def projectors() -> np.ndarray:
        generator = pauli_matrix(label)
        identity = np.eye(len(generator))
        return np.stack([(identity + generator) / 2, (identity - generator) / 2])

    return TrigMatrix(np.stack([_unit(param, of, -0.5), _unit(param, of, 0.5)]), projectors)


def phase(param: int = 0, of: int = 1) -> TrigMatrix:
    """diag(1, exp(i theta)); theta is parameter `param` out of `of`."""
    frequencies = np.stack([_unit(param, of, 0.0), _unit(param, of, 1.0)])
    return TrigMatrix(frequencies, np.stack([np.diag([1, 0]), np.diag([0, 1])]).astype(complex))


def scalar(param: int = 0, of: int = 1, dim: int = 2) -> TrigMatrix:
    """exp(i theta) times the identity: a global phase; theta is parameter `param` out of `of`."""
    return TrigMatrix(_unit(param, of, 1.0)[None], np.eye(dim, dtype=complex)[None])


def control(matrix: TrigMatrix, count: int = 1, state: int = -1) -> TrigMatrix:
    """`count` controls before the target: the first qubits of the gate, its lowest bits.

    Args:
        matrix: what happens to the target.
        count: number of controls.
        state: bits that the controls must have, the first one lowest; by default all are 1.
    """
    active = state & ((1 << count) - 1)
    idle = np.zeros((1, matrix.num_params))
    frequencies, where = np.unique(
        np.round(np.vstack([idle, matrix.frequencies]), 12), axis=0, return_inverse=True
    )

    def embedded() -> np.ndarray:
        rows = np.arange(matrix.dim) << count | active
        rest = np.setdiff1d(np.arange(matrix.dim << count), rows)
        terms = np.zeros((len(frequencies), *[matrix.dim << count] * 2), dtype=complex)
        terms[np.ix_(where.reshape(-1)[1:], rows, rows)] = matrix.coefficients
        terms[where.reshape(-1)[0], rest, rest] = 1
        return terms

    return TrigMatrix(frequencies, embedded)
