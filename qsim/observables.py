"""Pauli strings: what circuits are measured in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from qsim.errors import UsageError


@dataclass(frozen=True)
class PauliString:
    """A product of Pauli operators, a letter a qubit; the rightmost acts on qubit 0, as in Qiskit.

    Example:
        >>> PauliString("ZIX").x_mask, PauliString("ZIX").z_mask
        (1, 4)
    """

    label: str

    def __post_init__(self) -> None:
        if not self.label or set(self.label) - set("IXYZ"):
            raise UsageError(
                f"a Pauli string is made of the letters I, X, Y and Z, not {self.label!r}"
            )

    @classmethod
    def z(cls, qubit: int, num_qubits: int) -> PauliString:
        """Z on one of `num_qubits` qubits."""
        if not 0 <= qubit < num_qubits:
            raise UsageError(f"Z on qubit {qubit}: {num_qubits} qubits are 0 to {num_qubits - 1}")
        return cls("I" * (num_qubits - 1 - qubit) + "Z" + "I" * qubit)

    @property
    def num_qubits(self) -> int:
        return len(self.label)

    @property
    def x_mask(self) -> int:
        """Bits of the qubits that are flipped (X or Y)."""
        return self._mask("XY")

    @property
    def z_mask(self) -> int:
        """Bits of the qubits whose sign counts (Z or Y)."""
        return self._mask("ZY")

    @property
    def num_y(self) -> int:
        return self.label.count("Y")

    def _mask(self, letters: str) -> int:
        return sum(1 << q for q, letter in enumerate(reversed(self.label)) if letter in letters)


def all_z(num_qubits: int) -> tuple[PauliString, ...]:
    """Z on each qubit in turn: the usual read-out of a classifier."""
    return tuple(PauliString.z(q, num_qubits) for q in range(num_qubits))


def check_observables(
    observables: Iterable[PauliString] | None, num_qubits: int
) -> tuple[PauliString, ...]:
    """The observables to measure, Z on every qubit by default.

    Raises:
        UsageError: if one acts on another number of qubits than the circuit.
    """
    if observables is None:
        return all_z(num_qubits)
    if isinstance(observables, (str, PauliString)):
        raise UsageError(f"observables come as a list of PauliString, not one {observables!r}")
    given = tuple(observables)
    for observable in given:
        if not isinstance(observable, PauliString):
            raise UsageError(
                f"an observable is a PauliString such as PauliString('IZ'), not {observable!r}"
            )
        if observable.num_qubits != num_qubits:
            raise UsageError(
                f"observable {observable.label} acts on {observable.num_qubits} qubits, "
                f"but the circuit has {num_qubits}"
            )
    return given
