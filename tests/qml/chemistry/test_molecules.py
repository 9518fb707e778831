"""Molecules: energies of PySCF and the literature, active spaces, files."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from qml.chemistry.molecules import MOLECULES, load_molecule, make_molecule
from qsim.errors import UsageError


def whole(name):
    value = json.loads(MOLECULES[name].read_text())
    n = int((2 * len(value["one_body"])) ** 0.5)
    return load_molecule(name, value["electrons"], range(n))


def test_the_molecules():
    assert list(MOLECULES) == ["beh2", "h2", "h2o", "lih"]


@pytest.mark.parametrize("name", ["h2", "h2o", "lih", pytest.param("beh2", marks=pytest.mark.slow)])
def test_energies_are_those_of_pyscf(name):
    """Full configuration interaction there is full diagonalization of the qubits here."""
    molecule = whole(name)
    energies = json.loads(MOLECULES[name].read_text())["energies"]
    assert molecule.hartree_fock_energy == pytest.approx(energies["hartree_fock"], abs=1e-9)
    assert molecule.exact_energy == pytest.approx(energies["fci"], abs=1e-9)


def test_hydrogen_is_that_of_the_literature():
    """Coefficients of Qiskit Nature's two qubits at 0.735 Angstrom, without the nuclei."""
    terms = {string.label: c for c, string in load_molecule("H2").hamiltonian("parity").terms}
    terms["II"] -= 0.71996899
    known = {"II": 1.05237325, "IZ": 0.39793742, "ZI": 0.39793742, "ZZ": 0.0112801, "XX": 0.1809312}
    assert {label: abs(c) for label, c in terms.items()} == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize("name", MOLECULES)
@pytest.mark.parametrize("mapping", ["jordan_wigner", "parity"])
def test_ground_states_of_the_qubits(name, mapping):
    molecule = load_molecule(name)
    hamiltonian = molecule.hamiltonian(mapping)
    assert hamiltonian.num_qubits == 2 * molecule.orbitals - 2 * (mapping == "parity")
    lowest = np.linalg.eigvalsh(hamiltonian.matrix())[0]
    assert lowest == pytest.approx(molecule.exact_energy, abs=1e-9)


def test_active_spaces_lie_above_the_whole():
    full, small = whole("lih"), load_molecule("LiH")
    assert full.hartree_fock_energy == pytest.approx(small.hartree_fock_energy, abs=1e-9)
    assert full.exact_energy < small.exact_energy < small.hartree_fock_energy


def test_frozen_core_of_pyscf():
    """Complete active space configuration interaction by PySCF, from its own integrals."""
    pyscf = pytest.importorskip("pyscf")
    mcscf = pytest.importorskip("pyscf.mcscf")
    molecule = load_molecule("LiH", 2, range(1, 6))
    mole = pyscf.M(atom=list(molecule.geometry), basis="sto-3g", verbose=0)
    found = mcscf.CASCI(pyscf.scf.RHF(mole).run(conv_tol=1e-12), 5, 2).run()
    assert molecule.exact_energy == pytest.approx(found.e_tot, abs=1e-8)


def test_making_a_molecule_of_the_package_again():
    pytest.importorskip("pyscf")
    known = whole("h2")
    made = make_molecule(known.geometry)
    assert (made.name, made.electrons) == ("HH", 2)
    np.testing.assert_allclose(made.one_body, known.one_body, atol=1e-8)
    np.testing.assert_allclose(made.two_body, known.two_body, atol=1e-8)


@pytest.mark.parametrize(
    ("geometry", "basis", "message"),
    [
        ([("H", [0, 0, 0])], "sto-3g", "even number of electrons, not 1"),
        ([("Qq", [0, 0, 0])], "sto-3g", "PySCF knows no such"),
        ([("He", [0, 0, 0])], "no-basis", "PySCF knows no such"),
    ],
)
def test_molecules_that_cannot_be_made(geometry, basis, message):
    pytest.importorskip("pyscf")
    with pytest.raises(UsageError, match=message):
        make_molecule(geometry, basis)


def test_without_pyscf(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyscf", None)
    with pytest.raises(UsageError, match=r"efficient-qml\[chemistry\]"):
        make_molecule([("He", [0, 0, 0])])


def test_files_hold_everything(tmp_path):
    path = whole("lih").save(tmp_path / "again.json")
    again = load_molecule(path)
    assert again.exact_energy == pytest.approx(whole("lih").exact_energy, abs=1e-9)
    assert again.geometry == whole("lih").geometry


@pytest.mark.parametrize(
    "change",
    [{"one_body": [1.0, 2.0]}, {"two_body": "x"}, {"electrons": None}, {"active": {}}],
)
def test_damaged_files(tmp_path, change):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(json.loads(MOLECULES["h2"].read_text()) | change))
    with pytest.raises(UsageError):
        load_molecule(path)


def test_a_name_that_is_not_there():
    with pytest.raises(UsageError, match="did you mean beh2"):
        load_molecule("BeH3")


@pytest.mark.parametrize("space", [(3, [0, 1]), (2, [0, 0]), (2, [9]), (4, [1]), (0, [0])])
def test_active_spaces_that_there_are_not(space):
    with pytest.raises(UsageError, match="no active space"):
        load_molecule("LiH", *space)


def test_half_an_active_space():
    with pytest.raises(UsageError, match="pass both"):
        load_molecule("LiH", electrons=2)
