"""Ansatze: excitations are exact, and keep what they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from qml.chemistry.ansatz import excitations, hartree_fock, qubit_pool, uccsd
from qml.chemistry.fermions import Electrons, combination, ladder, product
from qml.chemistry.molecules import load_molecule
from qsim import Circuit, expval, state
from qsim.errors import UsageError

MAPPINGS = ["jordan_wigner", "parity"]


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("name", ["H2", "LiH", "H2O"])
def test_hartree_fock_has_its_energy(name, mapping):
    molecule = load_molecule(name)
    circuit = hartree_fock(molecule.on_qubits(mapping))
    energy = expval(circuit, [molecule.hamiltonian(mapping)], dtype=torch.complex128)[0]
    assert energy.item() == pytest.approx(molecule.hartree_fock_energy, abs=1e-9)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_evolution_by_an_excitation_is_exact(mapping):
    for generator in excitations(Electrons(3, 2, 1, mapping))[::2]:
        n = generator.num_qubits
        psi = np.random.default_rng(0).normal(size=2**n) + 0j
        psi /= np.linalg.norm(psi)
        expected = expm(-0.4j * generator.matrix()) @ psi
        circuit = Circuit(n).evolve(generator, 0.4)
        found = state(circuit, initial_state=torch.tensor(psi))
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("up", "down", "singles", "doubles"), [(1, 1, 4, 4), (2, 1, 4, 4)])
def test_number_of_excitations(up, down, singles, doubles):
    """Singles o v for each spin, doubles of both spins (o v)(o v), and pairs of one."""
    assert len(excitations(Electrons(3, up, down))) == singles + doubles


def test_excitations_of_equal_spins():
    assert len(excitations(Electrons(4, 2, 2))) == 2 * 4 + 16 + 2


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_uccsd_keeps_the_electrons_of_each_spin(mapping):
    electrons = Electrons(3, 2, 1, mapping)
    circuit = uccsd(electrons)
    weights = torch.randn(circuit.num_weights, dtype=torch.float64)
    for spin, expected in ((0, 2), (3, 1)):
        number = combination(
            (1, product(ladder(p + spin, creates=True), ladder(p + spin, creates=False)))
            for p in range(3)
        )
        found = expval(circuit, [electrons.pauli_sum(number)], weights)[0]
        assert found.item() == pytest.approx(expected, abs=1e-9)


def test_mappings_have_the_same_energy():
    molecule = load_molecule("LiH")
    energies = []
    for mapping in MAPPINGS:
        circuit = uccsd(molecule.on_qubits(mapping))
        weights = torch.linspace(-0.5, 0.5, circuit.num_weights, dtype=torch.float64)
        energies.append(expval(circuit, [molecule.hamiltonian(mapping)], weights).item())
    assert energies[0] == pytest.approx(energies[1], abs=1e-9)


def test_many_steps_come_close_to_the_exponential():
    electrons = Electrons(2, 1, 1)
    angles = [0.5, -0.4, 0.3]
    total = sum(w * g.matrix() for w, g in zip(angles, excitations(electrons)[::-1], strict=True))
    start = np.eye(16)[electrons.reference]
    exact = expm(-1j * total) @ start
    weights = torch.tensor(angles, dtype=torch.float64)
    errors = [
        np.abs(state(uccsd(electrons, steps), weights).numpy() - exact).max() for steps in (1, 16)
    ]
    assert errors[1] < errors[0] / 8


def test_no_steps():
    with pytest.raises(UsageError, match="steps"):
        uccsd(Electrons(2, 1, 1), 0)


def test_qubit_pool_has_each_string_once():
    pool = qubit_pool(excitations(Electrons(2, 1, 1)))
    assert len(pool) == len(set(pool)) == 8 + 4
    assert all(string.num_y % 2 for string in pool)
