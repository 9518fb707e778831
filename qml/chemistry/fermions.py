"""Operators of electrons as Pauli sums, by the mappings of Jordan and Wigner and of parity.

Spin orbital p of `orbitals` is spatial orbital p with spin up, and p + orbitals the one with spin
down. Operators are kept as {(x, z): c}, the sum of c X^x Z^z with bits of the qubits in x and z.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import TypeAlias

import numpy as np

from qsim import PauliSum
from qsim.errors import UsageError

MAPPINGS = ("jordan_wigner", "parity")

Terms: TypeAlias = dict[tuple[int, int], complex]
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Electrons:
    """Electrons in orbitals, and how the occupations of these become bits of qubits.

    Attributes:
        orbitals: number of spatial orbitals.
        up, down: number of electrons with each spin.
        mapping: "jordan_wigner": qubit p holds the occupation of spin orbital p; or "parity": it
            holds the parity of the spin orbitals up to p (Seeley, Richard and Love,
            arXiv:1208.5986), where the two qubits that only know the numbers of electrons are left
            out (Bravyi et al., arXiv:1701.08213).

    Raises:
        UsageError: for another mapping, or more electrons than orbitals.
    """

    orbitals: int
    up: int
    down: int
    mapping: str = "jordan_wigner"

    def __post_init__(self) -> None:
        if self.mapping not in MAPPINGS:
            raise UsageError(f"a mapping is {' or '.join(MAPPINGS)}, not {self.mapping!r}")
        if not 0 <= min(self.up, self.down) <= max(self.up, self.down) <= self.orbitals:
            raise UsageError(
                f"{self.orbitals} orbitals hold 0 to {self.orbitals} electrons of each spin, "
                f"not {self.up} and {self.down}"
            )

    @property
    def num_qubits(self) -> int:
        return 2 * self.orbitals - 2 * (self.mapping == "parity")

    @property
    def occupied(self) -> tuple[int, ...]:
        """Spin orbitals of the Hartree-Fock state."""
        return (*range(self.up), *range(self.orbitals, self.orbitals + self.down))

    @property
    def reference(self) -> int:
        """The basis state of the qubits in which these are occupied."""
        return self._reduced(self._encoded(sum(1 << p for p in self.occupied)))

    def pauli_sum(self, terms: Terms) -> PauliSum:
        """An operator as it acts on the qubits.

        Raises:
            UsageError: if it is not Hermitian, or with parity changes a number of electrons.
        """
        numbers: dict[str, complex] = {}
        for (x, z), number in terms.items():
            label, factor = self._string(self._encoded(x), self._encoded_signs(z))
            numbers[label] = numbers.get(label, 0) + factor * number
        kept = {label: c for label, c in numbers.items() if abs(c) > _NEGLIGIBLE}
        if any(abs(c.imag) > _NEGLIGIBLE for c in kept.values()):
            raise UsageError("only Hermitian operators of electrons are Pauli sums")
        return PauliSum({label: c.real for label, c in kept.items()} or {self._string(0, 0)[0]: 0})

    def _string(self, x: int, z: int) -> tuple[str, complex]:
        """X^x Z^z as a Pauli string and its factor."""
        sign = 1
        if self.mapping == "parity":
            if x & self._known:
                raise UsageError("with parity, operators keep the numbers of electrons")
            odd = (self.up % 2, (self.up + self.down) % 2)
            sign = (-1) ** sum(bit for q, bit in zip(self._dropped, odd, strict=True) if z >> q & 1)
            x, z = self._reduced(x), self._reduced(z)
        letters = [
            "IXZY"[(x >> q & 1) + 2 * (z >> q & 1)] for q in reversed(range(self.num_qubits))
        ]
        return "".join(letters), sign * (-1j) ** (x & z).bit_count()

    @property
    def _dropped(self) -> tuple[int, int]:
        """Qubits that hold the parities of all with spin up, and of all."""
        return self.orbitals - 1, 2 * self.orbitals - 1

    @property
    def _known(self) -> int:
        return sum(1 << q for q in self._dropped)

    def _encoded(self, bits: int) -> int:
        """Bits of occupations -> bits of all qubits."""
        if self.mapping == "jordan_wigner":
            return bits
        return sum(((bits & (2 << q) - 1).bit_count() & 1) << q for q in range(2 * self.orbitals))

    def _encoded_signs(self, z: int) -> int:
        """Z on these occupations -> Z on these qubits: an occupation is where parity changes."""
        return z if self.mapping == "jordan_wigner" else z ^ z >> 1

    def _reduced(self, bits: int) -> int:
        """Without the bits of the qubits that are left out."""
        if self.mapping == "jordan_wigner":
            return bits
        low = bits & (1 << self.orbitals - 1) - 1
        high = bits >> self.orbitals & (1 << self.orbitals - 1) - 1
        return low | high << self.orbitals - 1


# --- Products of ladder operators -----------------------------------------------------------------


def ladder(spin_orbital: int, *, creates: bool) -> Terms:
    """The operator that creates an electron there, or annihilates it (Jordan and Wigner, 1928)."""
    here = 1 << spin_orbital
    lower = here - 1
    return {(here, lower): 0.5, (here, lower | here): 0.5 if creates else -0.5}


def product(*factors: Terms) -> Terms:
    """The product of operators, in that order."""
    return reduce(_product, factors)


def _product(first: Terms, second: Terms) -> Terms:
    found: Terms = {}
    for (x, z), left in first.items():
        for (u, v), right in second.items():
            key, sign = (x ^ u, z ^ v), -1 if (z & u).bit_count() & 1 else 1
            found[key] = found.get(key, 0) + sign * left * right
    return found


def combination(parts: Iterable[tuple[complex, Terms]]) -> Terms:
    """The sum of operators times numbers."""
    found: Terms = {}
    for factor, terms in parts:
        for key, number in terms.items():
            found[key] = found.get(key, 0) + factor * number
    return found


def adjoint(terms: Terms) -> Terms:
    """The Hermitian conjugate."""
    return {
        (x, z): (-1) ** (x & z).bit_count() * np.conj(number) for (x, z), number in terms.items()
    }


@lru_cache(maxsize=4096)
def _moved(orbitals: int, into: int, out_of: int) -> Terms:
    """An electron from one spatial orbital into another, of either spin."""
    return combination(
        (1.0, product(ladder(into + s, creates=True), ladder(out_of + s, creates=False)))
        for s in (0, orbitals)
    )


def hamiltonian(constant: float, one_body: np.ndarray, two_body: np.ndarray) -> Terms:
    """The energy of electrons: c + sum h_pq E_pq + 1/2 sum (pq|rs) (E_pq E_rs - delta_qr E_ps).

    E_pq moves an electron from orbital q to p (Helgaker, Jorgensen and Olsen, Molecular
    Electronic-Structure Theory, 2.2).

    Args:
        constant: repulsion of nuclei, and what does not depend on the electrons.
        one_body: h_pq, real [orbitals, orbitals].
        two_body: (pq|rs) in the chemists' order, real [orbitals] * 4.
    """
    n = len(one_body)
    alone = one_body - np.einsum("pqqs->ps", two_body) / 2
    pairs = [(p, q) for p in range(n) for q in range(n)]
    parts: list[tuple[complex, Terms]] = [(constant, {(0, 0): 1.0})]
    for p, q in pairs:
        others = [
            (two_body[p, q, r, s] / 2, _moved(n, r, s))
            for r, s in pairs
            if abs(two_body[p, q, r, s]) > _NEGLIGIBLE
        ]
        inner = combination([(alone[p, q], {(0, 0): 1.0}), *others])
        parts.append((1.0, product(_moved(n, p, q), inner)))
    return combination(parts)


def excitation(into: Iterable[int], out_of: Iterable[int]) -> Terms:
    """i (T - T+) of T, which moves electrons between spin orbitals: exp(-i theta of it) is real."""
    moved = product(
        *(ladder(p, creates=True) for p in into),
        *(ladder(p, creates=False) for p in out_of),
    )
    return combination([(1j, moved), (-1j, adjoint(moved))])
