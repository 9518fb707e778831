"""Exact results of random dynamic circuits, against density matrices and finite differences."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Pauli

import qsim
from qsim import Circuit, PauliString, PauliSum, UsageError, Weight, expval, outcome_probabilities
from qsim.dynamic import execute

pytestmark = pytest.mark.native
F64 = torch.float64


def values_for(circuit: Circuit, seed: int, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weights = 4 * torch.rand(circuit.num_weights, dtype=F64, generator=generator) - 2
    inputs = 4 * torch.rand(batch, circuit.num_inputs, dtype=F64, generator=generator) - 2
    return weights, inputs


@settings(max_examples=60)
@given(data=st.data())
def test_results_are_those_of_density_matrices(
    dynamic_circuits: Callable, densities: Callable, data: st.DataObject
) -> None:
    circuit = data.draw(dynamic_circuits())
    weights, inputs = values_for(circuit, data.draw(st.integers(0, 999)), 2)
    n = circuit.num_qubits
    labels = ["Z" * n, "X" * n, "I" * n, ("XYZ" * n)[:n]]
    found = qsim.run(circuit, weights, inputs)
    engine = data.draw(st.sampled_from(["cpu", "reference"]))
    values = expval(circuit, [PauliString(p) for p in labels], weights, inputs, engine=engine)
    outcomes = outcome_probabilities(circuit, weights, inputs)
    for k, row in enumerate(inputs):
        mixture = densities(circuit.bind(weights, row))
        rho = sum(mixture.values())
        expected = [np.trace(rho @ Pauli(label).to_matrix()).real for label in labels]
        np.testing.assert_allclose(values[k], expected, atol=1e-12)
        traces = [np.trace(mixture.get(bits, np.zeros((1, 1)))).real for bits in range(8)]
        np.testing.assert_allclose(outcomes[k], traces, atol=1e-12)
        np.testing.assert_allclose(found.probabilities()[k], np.diag(rho).real, atol=1e-12)
        matrix = found.reduced_density_matrix(range(n))[k]
        np.testing.assert_allclose(matrix, rho, atol=1e-12)
        np.testing.assert_allclose(found.purity(range(n))[k], np.trace(rho @ rho).real, atol=1e-12)


@settings(max_examples=25)
@given(data=st.data())
def test_gradients_are_finite_differences(dynamic_circuits: Callable, data: st.DataObject) -> None:
    circuit = data.draw(dynamic_circuits(max_qubits=2))
    given = values_for(circuit, data.draw(st.integers(0, 999)), 2)
    tensors = [tensor.requires_grad_() for tensor in given]
    label = data.draw(st.text("XYZ", min_size=circuit.num_qubits, max_size=circuit.num_qubits))
    observable = [PauliString(label)]
    assert torch.autograd.gradcheck(lambda w, x: expval(circuit, observable, w, x), tensors)
    assert torch.autograd.gradcheck(lambda w, x: outcome_probabilities(circuit, w, x), tensors)


def test_initial_states_and_coefficients_have_gradients() -> None:
    circuit = Circuit(2).cx(0, 1).measure(1).if_test((1, 1), Circuit(1).rx(0.4, 0)).reset(1)
    generator = torch.Generator().manual_seed(3)
    psi = torch.randn(3, 4, dtype=torch.complex128, generator=generator)
    coefficients = torch.tensor([0.3, -0.7], dtype=F64, requires_grad=True)

    def value(psi: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        unit = psi / torch.linalg.vector_norm(psi, dim=1, keepdim=True)
        energy = PauliSum(["IX", "ZY"], coefficients)
        return expval(circuit, [energy], initial_state=unit)

    assert torch.autograd.gradcheck(value, (psi.requires_grad_(), coefficients))


def test_weights_may_have_the_batch() -> None:
    circuit = Circuit(1).ry(Weight(0), 0).measure(0).if_test((0, 1), Circuit(1).ry(Weight(1), 0))
    weights = torch.tensor([[0.3, 0.4], [1.2, -0.5], [0.0, 2.0]], dtype=F64)
    one = torch.sin(weights[:, 0] / 2) ** 2
    torch.testing.assert_close(
        expval(circuit, weights=weights)[:, 0], 1 - one - one * torch.cos(weights[:, 1])
    )


def test_gradients_are_right_where_an_outcome_has_probability_zero() -> None:
    circuit = Circuit(1).ry(Weight(0), 0).measure(0).if_test((0, 1), Circuit(1).x(0))
    circuit.ry(Weight(0), 0)
    weights = torch.zeros(1, dtype=F64, requires_grad=True)
    value = expval(circuit, weights=weights)
    (first,) = torch.autograd.grad(value.sum(), weights)
    assert first.item() == 0
    x = [PauliString("X")]
    (slope,) = torch.autograd.grad(expval(circuit, x, weights).sum(), weights)
    assert slope.item() == pytest.approx(1)  # d sin(w) / dw, whatever was measured
    value = expval(circuit, weights=weights)
    with pytest.raises(UsageError, match="first derivatives only"):
        torch.autograd.grad(value.sum(), weights, create_graph=True)


def test_second_derivatives_are_right_where_every_outcome_is_possible() -> None:
    circuit = Circuit(1).ry(Weight(0), 0).measure(0).if_test((0, 1), Circuit(1).ry(Weight(0), 0))
    weights = torch.tensor([0.8], dtype=F64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda w: expval(circuit, weights=w), weights)


def test_single_precision_does_not_take_rounding_for_an_outcome() -> None:
    circuit = Circuit(1)
    for bit in range(12):
        circuit.rx(0.3, 0).rx(-0.3, 0).h(0).h(0).measure(0, bit)
    assert len(qsim.run(circuit).states) == 1


def tossed(num_qubits: int) -> Circuit:
    """One qubit is measured 20 times, into three bits; the others look on."""
    circuit = Circuit(num_qubits)
    for toss in range(20):
        circuit.ry(0.3 + toss, 0).measure(0, toss % 3)
    return circuit


def test_branches_that_are_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "MOST_BRANCHES", 64)
    with pytest.raises(UsageError, match=r"128 branches and more, .* pass shots="):
        expval(tossed(12).h(0))
    assert expval(tossed(12), shots=100).shape == (12,)


def test_many_branches_of_few_qubits_and_bits_are_added_up(densities: Callable) -> None:
    mixture = densities(tossed(2))
    found = qsim.run(tossed(2), dtype=torch.complex128)
    assert found.states.shape == (8, 4, 4)  # density matrices, one for each value of the bits
    expected = [np.trace(mixture[bits]).real for bits in range(8)]
    np.testing.assert_allclose(found.outcome_probabilities(), expected, atol=1e-12)


def test_measurements_at_the_end_make_no_branches() -> None:
    circuit = Circuit(12).h([0, *range(2, 12)]).cx(0, 1).barrier().measure()
    found = qsim.run(circuit)
    assert len(found.states) == 1
    x = PauliString.from_sparse("X", [3], 12)
    assert expval(circuit, [x]).item() == 0
    assert outcome_probabilities(circuit, clbits=[0, 1]).tolist() == pytest.approx([0.5, 0, 0, 0.5])
    assert len(qsim.run(circuit.copy().h(5)).states) == 2  # one of them is followed by a gate
