"""Pauli channels in stim's circuits: errors with probabilities, and factors of Pauli strings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, runtime_checkable

import numpy as np

_NAMES = {1: "PAULI_CHANNEL_1", 2: "PAULI_CHANNEL_2"}
_TO = 1e-9  # what rounding leaves of a diagonal matrix


@runtime_checkable
class HasTransferMatrix(Protocol):
    """A channel that knows its Pauli transfer matrix."""

    def ptm(self) -> np.ndarray:
        """R_ij = tr(P_i E(P_j)) / 2**k; base-4 digits of indices are I, X, Y, Z, first lowest."""


@cache
def _signs(num_qubits: int) -> np.ndarray:
    """1 where Pauli strings i and j commute, else -1: [4**k, 4**k]."""
    single = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    return single if num_qubits == 1 else np.kron(single, single)


def append_channel(circuit: Any, ptm: np.ndarray, qubits: Sequence[int]) -> bool:
    """Append a Pauli channel in stim's terms; whether it is one, on one or two qubits."""
    factors = np.diag(ptm)
    if len(qubits) not in _NAMES or np.abs(ptm - np.diag(factors)).max() > _TO:
        return False
    probabilities = (_signs(len(qubits)) @ factors / len(factors)).clip(0, 1)
    # stim's first letter is that of the first qubit, whose digit is the lowest here
    ordered = probabilities.reshape([4] * len(qubits)).T.reshape(-1)
    circuit.append(_NAMES[len(qubits)], list(qubits), ordered[1:].tolist())
    return True


def damping(circuit: Any, strings: Sequence[Any]) -> np.ndarray:
    """What the channels of a circuit multiply the expectation values of strings by: [strings].

    A string is carried back through the gates (Heisenberg's picture); a channel that it meets
    multiplies it by 1 - 2 * (the probability of errors that anticommute with it).
    """
    found = np.ones(len(strings))
    carried = list(strings)
    gates: list[Any] = []
    for instruction in reversed(list(circuit)):
        if instruction.name not in _NAMES.values():
            gates.append(instruction)
            continue
        carried = _carried(circuit, gates, carried)
        gates = []
        for group in instruction.target_groups():
            qubits = [target.value for target in group]
            factors = _factors(tuple(instruction.gate_args_copy()))
            for k, string in enumerate(carried):
                letters = [string[q] if q < len(string) else 0 for q in qubits]
                found[k] *= factors[tuple(letters)]
    return found


def _carried(circuit: Any, gates: Sequence[Any], strings: Sequence[Any]) -> list[Any]:
    """Strings before gates, which come last first."""
    segment = type(circuit)()
    for gate in reversed(gates):
        segment.append(gate)
    return [string.before(segment) for string in strings]


@cache
def _factors(probabilities: tuple[float, ...]) -> np.ndarray:
    """The factor of each Pauli string, [4] or [4, 4] with the first qubit first."""
    num_qubits = 1 if len(probabilities) == 3 else 2
    every = np.array([1 - sum(probabilities), *probabilities])
    return (_signs(num_qubits) @ every).reshape([4] * num_qubits)
