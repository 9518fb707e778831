"""Eigensolvers: chemical accuracy on every molecule, and what noise leaves of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qml.algorithms.vqe import adapt_vqe, pool_gradient, vqe
from qml.chemistry.ansatz import excitations, hartree_fock, qubit_pool, uccsd
from qml.chemistry.molecules import CHEMICAL_ACCURACY, MOLECULES, load_molecule
from qml.nn.ansatz import efficient_su2
from qsim import Circuit, PauliString, PauliSum, Weight, state
from qsim.errors import UsageError


@pytest.mark.parametrize("name", MOLECULES)
@pytest.mark.parametrize("mapping", ["jordan_wigner", "parity"])
def test_coupled_cluster_is_chemically_accurate(name, mapping):
    molecule = load_molecule(name)
    found = vqe(uccsd(molecule.on_qubits(mapping)), molecule.hamiltonian(mapping), steps=5)
    assert -1e-9 < found.value - molecule.exact_energy < CHEMICAL_ACCURACY


@pytest.mark.parametrize("name", MOLECULES)
def test_adapt_is_chemically_accurate_with_fewer_operators(name):
    molecule = load_molecule(name)
    electrons = molecule.on_qubits("parity")
    pool = excitations(electrons)
    start = hartree_fock(electrons)
    found = adapt_vqe(start, molecule.hamiltonian("parity"), pool, tolerance=0.05, steps=5)
    assert -1e-9 < found.value - molecule.exact_energy < CHEMICAL_ACCURACY
    assert found.circuit.num_weights == len(found.chosen) < len(pool)
    assert found.history[0] == pytest.approx(molecule.hartree_fock_energy, abs=1e-9)
    assert all(b < a for a, b in zip(found.history, found.history[1:], strict=False))


def test_a_hardware_efficient_circuit():
    molecule = load_molecule("H2")
    circuit = efficient_su2(hartree_fock(molecule.on_qubits("parity")), reps=1)
    found = vqe(circuit, molecule.hamiltonian("parity"))
    assert abs(found.value - molecule.exact_energy) < 1e-6


def test_any_hamiltonian():
    ising = PauliSum({"IZZ": -1, "ZZI": -1, "IIX": -0.7, "IXI": -0.7, "XII": -0.7})
    found = vqe(efficient_su2(Circuit(3), reps=2), ising, seed=1)
    assert found.value == pytest.approx(np.linalg.eigvalsh(ising.matrix())[0], abs=1e-5)


def test_gradients_of_the_pool_are_commutators():
    molecule = load_molecule("LiH")
    electrons = molecule.on_qubits("parity")
    hamiltonian = molecule.hamiltonian("parity")
    circuit = efficient_su2(hartree_fock(electrons), reps=1)
    weights = torch.linspace(-1, 1, circuit.num_weights, dtype=torch.float64)
    pool = qubit_pool(excitations(electrons))[:5] + excitations(electrons)[:5]
    psi, h = state(circuit, weights).numpy(), hamiltonian.matrix()
    expected = []
    for operator in pool:
        g = PauliSum([(1.0, operator)]) if isinstance(operator, PauliString) else operator
        expected.append((1j * psi.conj() @ (g.matrix() @ h - h @ g.matrix()) @ psi).real)
    found = pool_gradient(circuit, hamiltonian, pool, weights)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_under_noise_few_gates_win():
    """On Quito coupled cluster is exact and yet worse than a circuit with one CX a pair."""
    pytest.importorskip("qiskit_ibm_runtime")
    from compile import Device, compile, noisy

    device, molecule = Device.from_name("quito"), load_molecule("H2")
    electrons = molecule.on_qubits("parity")
    energies = []
    for circuit in (efficient_su2(hartree_fock(electrons), reps=1), uccsd(electrons)):
        clean = vqe(circuit, molecule.hamiltonian("parity"))
        runner = noisy(compile(circuit, device), device)
        start = clean.weights
        found = vqe(circuit, molecule.hamiltonian("parity"), weights=start, runner=runner, steps=2)
        assert found.value <= found.history[0]
        assert found.value > clean.value + CHEMICAL_ACCURACY
        energies.append(found.value)
    assert energies[0] < energies[1] - 0.02


def test_adapt_starts_without_weights():
    with pytest.raises(UsageError, match="1 weights and 1 operators"):
        adapt_vqe(Circuit(1).ry(Weight(0), 0), PauliSum({"Z": 1}), [PauliString("Y")])


def test_adapt_needs_a_pool():
    with pytest.raises(UsageError, match="0 operators"):
        adapt_vqe(Circuit(1), PauliSum({"Z": 1}), [])
