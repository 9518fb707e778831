"""Density matrices as expectation values of all Pauli strings, rho = 2**-n sum_P <P> P.

Component p has the letters I, X, Y, Z = 0 to 3 as its digits, base 4; the lowest is qubit 0's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from qsim.observables import PauliString
from qsim.trig import PAULI

_CODES = str.maketrans("IXYZ", "\0\1\2\3")
_LETTERS = np.stack([PAULI[letter] for letter in "IXYZ"])


def letters_of(strings: Sequence[PauliString]) -> np.ndarray:
    """Letters as numbers, uint8 [strings, qubits], qubit 0 first."""
    text = "".join(string.label for string in strings).translate(_CODES).encode("ascii")
    return np.frombuffer(text, dtype=np.uint8).reshape(len(strings), -1)[:, ::-1]


def components_of(letters: np.ndarray) -> list[int]:
    """Components of letters [strings, qubits], qubit 0 first."""
    digits = np.int64(4) ** np.arange(letters.shape[1], dtype=np.int64)
    found: list[int] = (letters.astype(np.int64) @ digits).tolist()
    return found


def to_components(rho: Tensor) -> Tensor:
    """Density matrices, complex [batch, 2**n, 2**n], as components, real [batch, 4**n]."""
    n = rho.shape[1].bit_length() - 1
    bits = rho.reshape(len(rho), *[2] * (2 * n))
    pairs = [axis for q in range(n) for axis in (1 + q, 1 + n + q)]
    paired = bits.permute(0, *pairs).reshape(len(rho), -1)
    return _on_all(paired, _LETTERS.transpose(0, 2, 1).reshape(4, 4)).real.contiguous()


def to_matrices(components: Tensor) -> Tensor:
    """Components, real [batch, 4**n], as density matrices, complex [batch, 2**n, 2**n]."""
    n = (components.shape[1].bit_length() - 1) // 2
    complex_ = components + 0j
    paired = _on_all(complex_, _LETTERS.reshape(4, 4).T / 2)
    bits = paired.reshape(len(paired), *[2] * (2 * n))
    rows = [1 + 2 * q for q in range(n)]
    return bits.permute(0, *rows, *[axis + 1 for axis in rows]).reshape(-1, 2**n, 2**n)


def _on_all(values: Tensor, matrix: np.ndarray) -> Tensor:
    """A matrix [4, 4] on every digit of [batch, 4**n]."""
    for place in range((values.shape[1].bit_length() - 1) // 2):
        values = on_digit(values, matrix, place)
    return values


def on_digit(values: Tensor, matrix: np.ndarray, place: int) -> Tensor:
    """A matrix [4, 4] on one digit of [batch, 4**n]."""
    digits = values.reshape(-1, 4, 4**place)
    numbers = torch.as_tensor(matrix).to(values)
    return torch.einsum("pk,akc->apc", numbers, digits).reshape(values.shape)
