"""Molecules: their integrals, in files of the package or by PySCF, and their Hamiltonians.

A file, version 1, holds the integrals over the orbitals of restricted Hartree-Fock::

    format, version   "qml molecule", 1
    name, basis       such as "H2" and "sto-3g"
    geometry          [[element, [x, y, z]] ...], in Angstrom
    source            how it was made
    electrons         their number, as many with spin up as down
    constant          repulsion of the nuclei, in Hartree like all energies
    one_body          [h_00, h_10, h_11, h_20 ...]: the lower triangle of [orbitals, orbitals]
    two_body          (pq|rs): the lower triangle of [pairs, pairs], pairs in the order of one_body
    active            {electrons, orbitals: [numbers]} that `load_molecule` keeps by default
    energies          {hartree_fock, fci}: what the maker found for all orbitals
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from qml.chemistry.fermions import Electrons, hamiltonian
from qml.nn.layers import named
from qsim import PauliSum
from qsim.errors import UsageError, need
from qsim.files import damaged, write_atomically
from qsim.parameters import whole
from qsim.serialization import load_json

FORMAT, VERSION = "qml molecule", 1
MOLECULES = {path.stem: path for path in sorted((Path(__file__).parent / "data").glob("*.json"))}
"""Files of the package by name: beh2, h2, h2o, lih."""

CHEMICAL_ACCURACY = 1.6e-3
"""Hartree: 1 kcal/mol."""

_DIGITS = 12  # of integrals in files

Geometry = Sequence[tuple[str, Sequence[float]]]


@dataclass(frozen=True, eq=False)
class Molecule:
    """Electrons of a molecule in orbitals, as many with spin up as down.

    Attributes:
        name: such as "H2".
        geometry: pairs (element, [x, y, z] in Angstrom).
        basis: of the orbitals.
        electrons: number of electrons that are looked at.
        constant: energy of the nuclei and of electrons that are not looked at, in Hartree.
        one_body: integrals h_pq, real [orbitals, orbitals].
        two_body: integrals (pq|rs), real [orbitals] * 4.
        source: how the integrals were made.
        active_space: {electrons, orbitals} that a file recommends.
        energies: {hartree_fock, fci} of the maker, in Hartree.
    """

    name: str
    geometry: Geometry
    basis: str
    electrons: int
    constant: float
    one_body: np.ndarray
    two_body: np.ndarray
    source: str = ""
    active_space: dict[str, Any] = field(default_factory=dict)
    energies: dict[str, float] = field(default_factory=dict)

    @property
    def orbitals(self) -> int:
        return len(self.one_body)

    def active(self, electrons: int, orbitals: Sequence[int]) -> Molecule:
        """The molecule with these electrons in these orbitals.

        The other electrons stay, two each, in the lowest of the other orbitals: the frozen core.

        Raises:
            UsageError: for orbitals that are repeated or not there, or a number of electrons that
                leaves an odd number to the core or does not fit.
        """
        kept = list(orbitals)
        core = [p for p in range(self.orbitals) if p not in kept][
            : (self.electrons - electrons) // 2
        ]
        right = len(set(kept)) == len(kept) and set(kept) <= set(range(self.orbitals))
        if (
            not right
            or (self.electrons - electrons) % 2
            or not 0 < electrons <= 2 * len(kept)
            or 2 * len(core) != self.electrons - electrons
        ):
            raise UsageError(
                f"{electrons} electrons in orbitals {kept} are no active space of "
                f"{self.electrons} electrons in {self.orbitals} orbitals"
            )
        field_of_core = self.one_body + _repulsion(self.two_body, core)
        energy = np.trace((self.one_body + field_of_core)[np.ix_(core, core)])
        return replace(
            self,
            electrons=electrons,
            constant=self.constant + float(energy),
            one_body=field_of_core[np.ix_(kept, kept)],
            two_body=self.two_body[np.ix_(kept, kept, kept, kept)],
            active_space={},
            energies={},
        )

    def on_qubits(self, mapping: str = "jordan_wigner") -> Electrons:
        """Its electrons by one of the mappings of `Electrons`."""
        half = self.electrons // 2
        return Electrons(self.orbitals, half, half, mapping)

    def hamiltonian(self, mapping: str = "jordan_wigner") -> PauliSum:
        """Its energy in Hartree, with 2 qubits an orbital, or 2 less by the mapping "parity"."""
        terms = hamiltonian(self.constant, self.one_body, self.two_body)
        return self.on_qubits(mapping).pauli_sum(terms)

    @property
    def hartree_fock_energy(self) -> float:
        """Of the lowest orbitals filled, in Hartree."""
        filled = range(self.electrons // 2)
        twice = 2 * self.one_body + _repulsion(self.two_body, filled)
        return self.constant + float(sum(twice[p, p] for p in filled))

    @cached_property
    def exact_energy(self) -> float:
        """The lowest with as many electrons of each spin, in Hartree: full diagonalization.

        In the space of all ways to place the electrons; for few orbitals.
        """
        n, half = self.orbitals, self.electrons // 2
        ways = [sum(1 << p for p in filled) for filled in combinations(range(n), half)]
        states = np.sort([up | down << n for up in ways for down in ways])
        matrix = np.zeros([len(states)] * 2)
        for number, string in self.hamiltonian().terms:
            rows = np.searchsorted(states, states ^ string.x_mask) % len(states)
            inside = states[rows] == states ^ string.x_mask
            signs = 1 - 2.0 * (np.bitwise_count(states & string.z_mask) & 1)
            values = (number * 1j**string.num_y).real * signs
            matrix[rows[inside], inside.nonzero()[0]] += values[inside]
        return float(np.linalg.eigvalsh(matrix)[0])

    def save(self, path: str | Path) -> Path:
        """Write it to a file, in one step, as the head of this module says."""
        lower = np.tril_indices(self.orbitals)
        pairs = self.two_body[lower][:, *lower]
        value = {
            "format": FORMAT,
            "version": VERSION,
            "name": self.name,
            "basis": self.basis,
            "geometry": [[element, list(place)] for element, place in self.geometry],
            "source": self.source,
            "electrons": self.electrons,
            "constant": self.constant,
            "one_body": _rounded(self.one_body[lower]),
            "two_body": _rounded(pairs[np.tril_indices(len(pairs))]),
            "active": self.active_space
            or {"electrons": self.electrons, "orbitals": list(range(self.orbitals))},
            "energies": self.energies,
        }
        return write_atomically(Path(path), json.dumps(value).encode())


def load_molecule(
    name: str | Path, electrons: int | None = None, orbitals: Sequence[int] | None = None
) -> Molecule:
    """A molecule of the package ("H2", "LiH", "BeH2", "H2O", all in STO-3G), or of a file.

    Args:
        name: its name in any case, or the path of a file that ends in .json.
        electrons, orbitals: the active space, both or neither; by default the one in the file,
            that of `Molecule.active`. All electrons and orbitals of a molecule of n and m are
            electrons=n, orbitals=range(m).

    Raises:
        UsageError: for a name that is not there, a damaged file, or an active space that is none.

    Example:
        >>> molecule = load_molecule("H2")
        >>> molecule.electrons, molecule.orbitals, round(molecule.exact_energy, 4)
        (2, 2, -1.1373)
    """
    text = str(name)
    path = Path(name) if text.endswith(".json") else named(MOLECULES, text.lower(), "molecule")
    value = load_json(path, FORMAT, VERSION)
    try:
        molecule = _from_json(value)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise damaged(path, f"{type(error).__name__}, {error}") from None
    if (electrons is None) != (orbitals is None):
        raise UsageError(
            "an active space is a number of electrons and a list of orbitals: pass both"
        )
    if electrons is None or orbitals is None:
        return molecule.active(**molecule.active_space)
    return molecule.active(electrons, orbitals)


def make_molecule(
    geometry: Geometry, basis: str = "sto-3g", *, charge: int = 0, name: str = ""
) -> Molecule:
    """A molecule with as many electrons of each spin, by PySCF's restricted Hartree-Fock.

    Args:
        geometry: pairs (element, [x, y, z] in Angstrom).
        basis: any that PySCF knows.
        charge: of the whole, in units of the elementary charge.
        name: for files; by default its elements.

    Raises:
        UsageError: if PySCF is missing, for a molecule that it does not know or one with an odd
            number of electrons, or if the iteration does not converge.
    """
    pyscf = need("pyscf", extra="chemistry", purpose="making molecules")
    need("pyscf.scf", extra="chemistry", purpose="making molecules")
    atoms = [(element, tuple(place)) for element, place in geometry]
    try:
        mole = pyscf.M(atom=atoms, basis=basis, charge=charge, spin=None, verbose=0)
    except Exception as error:  # whatever PySCF makes of an element or basis that is not there
        raise UsageError(f"PySCF knows no such molecule: {error}") from None
    if mole.nelectron % 2:
        raise UsageError(
            f"restricted Hartree-Fock takes an even number of electrons, not {mole.nelectron}: "
            "give the molecule a charge"
        )
    found = pyscf.scf.RHF(mole)
    found.conv_tol, found.conv_tol_grad = 1e-12, 1e-9
    found.kernel()
    if not found.converged:
        raise UsageError("Hartree-Fock does not converge: look at the geometry")
    orbitals = found.mo_coeff
    count = orbitals.shape[1]
    two_body = pyscf.ao2mo.restore(1, pyscf.ao2mo.kernel(mole, orbitals), count)
    return Molecule(
        name=name or "".join(element for element, _ in atoms),
        geometry=atoms,
        basis=basis,
        electrons=int(mole.nelectron),
        constant=float(mole.energy_nuc()),
        one_body=orbitals.T @ found.get_hcore() @ orbitals,
        two_body=two_body,
        source=f"PySCF {pyscf.__version__}, restricted Hartree-Fock",
        energies={"hartree_fock": float(found.e_tot)},
    )


def _repulsion(two_body: np.ndarray, filled: Sequence[int]) -> np.ndarray:
    """The field of two electrons in each of these orbitals: [orbitals, orbitals]."""
    coulomb = two_body[:, :, filled, filled].sum(2)
    exchange = two_body[:, filled, filled].sum(1)
    return np.asarray(2 * coulomb - exchange)


def _from_json(value: dict[str, Any]) -> Molecule:
    one_body = _square(np.array(value["one_body"], dtype=float))
    pairs = _square(np.array(value["two_body"], dtype=float))
    n = len(one_body)
    place = _square(np.arange(n * (n + 1) // 2)).astype(int)
    return Molecule(
        name=str(value["name"]),
        geometry=[(element, tuple(where)) for element, where in value["geometry"]],
        basis=str(value["basis"]),
        electrons=whole(value["electrons"]) or 0,
        constant=float(value["constant"]),
        one_body=one_body,
        two_body=pairs[place][:, :, place],
        source=str(value["source"]),
        active_space={key: value["active"][key] for key in ("electrons", "orbitals")},
        energies=dict(value["energies"]),
    )


def _square(lower: np.ndarray) -> np.ndarray:
    """The symmetric matrix of a lower triangle."""
    size = int((2 * len(lower)) ** 0.5)
    matrix = np.zeros((size, size))
    matrix[np.tril_indices(size)] = lower
    return np.where(np.tri(size, dtype=bool), matrix, matrix.T)


def _rounded(values: np.ndarray) -> list[float]:
    return [round(value, _DIGITS) + 0.0 for value in values.tolist()]
