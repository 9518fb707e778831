"""The Hadamard test: overlaps and gradients, against states and the adjoint method."""

from __future__ import annotations

import pytest
import torch

from qml.algorithms.hadamard import hadamard_gradient, overlap
from qml.nn.ansatz import efficient_su2
from qsim import Circuit, Input, PauliString, PauliSum, Weight, jacobian, random_circuit, state
from qsim.errors import UsageError


def test_overlaps_of_random_circuits():
    for seed in range(4):
        unitary, before = (random_circuit(2, 3, seed=seed + shift) for shift in (0, 10))
        psi = state(before)
        expected = torch.vdot(psi, state(unitary, initial_state=psi))
        torch.testing.assert_close(overlap(unitary, before), expected, atol=1e-5, rtol=0)


def test_overlaps_of_a_batch():
    x = torch.rand(4, 1)
    expected = torch.exp(-0.5j * x[:, 0])
    torch.testing.assert_close(overlap(Circuit(1).rz(Input(0), 0), inputs=x), expected)


def test_overlaps_estimated_from_shots():
    generator = torch.Generator().manual_seed(0)
    found = overlap(Circuit(1).s(0), Circuit(1).h(0), shots=20000, generator=generator)
    assert abs(found.item() - (0.5 + 0.5j)) < 0.03


@pytest.mark.parametrize("observable", [PauliString("XIZ"), PauliSum({"ZZI": 0.5, "IXY": -2.0})])
def test_gradients_are_those_of_the_adjoint_method(observable):
    circuit = efficient_su2(Circuit(3), reps=1).rzz(2 * Weight(0), 0, 2)
    circuit.pauli_rotation(-0.5 * Weight(1) + 0.3, "XYZ").ry(Input(0), 1)
    weights = torch.linspace(-1, 1, circuit.num_weights, dtype=torch.float64)
    inputs = torch.rand(2, 1, dtype=torch.float64)
    expected = jacobian(circuit, [observable], weights, inputs)[:, 0]
    found = hadamard_gradient(circuit, observable, weights, inputs)
    torch.testing.assert_close(found, expected)


def test_weights_that_turn_nothing():
    circuit = Circuit(1, num_weights=2).ry(Weight(1), 0)
    found = hadamard_gradient(circuit, PauliString("Z"), torch.tensor([0.4, 0.9]))
    torch.testing.assert_close(found, torch.tensor([0.0, -torch.sin(torch.tensor(0.9))]))


@pytest.mark.parametrize(
    ("circuit", "message"),
    [
        (Circuit(2).crx(Weight(0), 0, 1), "not crx"),
        (Circuit(2).rx(Weight(0) * Weight(1), 0), "angles a w"),
    ],
)
def test_gates_without_the_test(circuit, message):
    with pytest.raises(UsageError, match=message):
        hadamard_gradient(circuit, PauliString("ZZ"), torch.ones(circuit.num_weights))
