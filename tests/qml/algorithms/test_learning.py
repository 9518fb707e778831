"""States and unitary matrices that circuits learn."""

from __future__ import annotations

import pytest
import torch

from qml.algorithms.learning import learn_state, learn_unitary, unitary_fidelity
from qml.nn.ansatz import efficient_su2
from qsim import Circuit, Weight, fidelity, state
from qsim.errors import UsageError


def random_unitary(size):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(size, size, dtype=torch.complex128, generator=generator)
    return torch.linalg.qr(matrix)[0]


def test_any_state_of_two_qubits():
    circuit, target = efficient_su2(Circuit(2), reps=2), random_unitary(4)[0]
    found = learn_state(circuit, target)
    assert found.value < 1e-8
    assert fidelity(circuit, target, found.weights).item() == pytest.approx(1)


def test_any_unitary_of_two_qubits():
    circuit = Circuit(2).arbitrary_unitary([Weight(k) for k in range(15)])
    assert learn_unitary(circuit, random_unitary(4)).value < 1e-8


def test_fidelity_is_that_of_matrices():
    angles = torch.tensor([0.7], dtype=torch.float64)
    circuit = Circuit(2).cry(Weight(0), 1, 0).s(1)
    matrix = state(circuit, angles, initial_state=torch.eye(4, dtype=torch.complex128)).T
    assert unitary_fidelity(circuit, 1j * matrix, angles).item() == pytest.approx(1)
    target = random_unitary(4)
    expected = (target.mH @ matrix).trace().abs() ** 2 / 16
    torch.testing.assert_close(unitary_fidelity(circuit, target, angles), expected)


def test_a_matrix_of_another_size():
    with pytest.raises(UsageError, match=r"\[4, 4\], not \[2, 2\]"):
        unitary_fidelity(Circuit(2), torch.eye(2))
