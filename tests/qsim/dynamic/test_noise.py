"""Dynamic circuits with channels, noise models and readout errors."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import DensityMatrix, partial_trace
from scipy.stats import chisquare

import qsim
from qsim import (
    Circuit,
    NoiseModel,
    PauliString,
    UsageError,
    Weight,
    channels,
    counts,
    expval,
    outcome_probabilities,
    samples,
)

pytestmark = pytest.mark.native
F64 = torch.float64
SHOTS = 4000

NOISE = (
    NoiseModel()
    .add("h", channels.depolarizing(0.1))
    .add("h", channels.amplitude_damping(0.2))
    .add_readout(0, 0.05, 0.12)
)


def tensors_for(circuit: Circuit, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weights = 4 * torch.rand(circuit.num_weights, dtype=F64, generator=generator) - 2
    inputs = 4 * torch.rand(2, circuit.num_inputs, dtype=F64, generator=generator) - 2
    return weights, inputs


@settings(max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_exact_results_are_those_of_density_matrices(
    dynamic_circuits: Callable, densities: Callable, engine: str, data: st.DataObject
) -> None:
    circuit = data.draw(dynamic_circuits(noisy=True))
    noise = data.draw(st.sampled_from([None, NOISE]))
    weights, inputs = tensors_for(circuit, data.draw(st.integers(0, 999)))
    n = circuit.num_qubits
    found = qsim.run(circuit, weights, inputs, noise=noise, engine=engine)
    outcomes = found.outcome_probabilities()
    part = data.draw(st.permutations(range(n)))[: data.draw(st.integers(1, n))]
    for k, row in enumerate(inputs):
        mixture = densities(circuit.bind(weights, row), noise)
        rho = sum(mixture.values())
        traces = [np.trace(mixture.get(bits, np.zeros((1, 1)))).real for bits in range(8)]
        np.testing.assert_allclose(outcomes[k], traces, atol=1e-12)
        matrix = found.reduced_density_matrix(range(n))[k]
        np.testing.assert_allclose(matrix, rho, atol=1e-12)
        others = [q for q in range(n) if q not in part]
        reduced = partial_trace(DensityMatrix(rho), others).data
        ordered = found.reduced_density_matrix(sorted(part))[k]
        np.testing.assert_allclose(ordered, reduced, atol=1e-12)


def test_noise_free_density_matrices_agree_with_pure_states() -> None:
    circuit = Circuit(2).ry(Weight(0), 0).cx(0, 1).measure(0)
    circuit.if_test((0, 1), Circuit(1).rx(Weight(1), 0), qubits=[1])
    weights = torch.tensor([0.4, 1.3], dtype=F64)
    strings = [PauliString(label) for label in ("ZI", "YZ", "XX", "IX")]
    torch.testing.assert_close(
        expval(circuit, strings, weights, noise=NoiseModel()), expval(circuit, strings, weights)
    )


def test_readings_at_the_end_are_wrong_as_often_as_said() -> None:
    noise = NoiseModel().add_readout(0, 0.1, 0.3)
    circuit = Circuit(2).x(0).measure(0).if_test((0, 0), Circuit(1).x(0), qubits=[1]).measure(0, 1)
    exact = outcome_probabilities(circuit, noise=noise, dtype=torch.complex128)
    assert exact.tolist() == pytest.approx([0.09, 0.21, 0.21, 0.49])
    values = expval(circuit, noise=noise, dtype=torch.complex128)
    assert values.tolist() == pytest.approx([-(0.7 - 0.3), 1 - 2 * 0.3])
    read = qsim.probabilities(circuit, noise=noise, dtype=torch.complex128)
    assert read.tolist() == pytest.approx([0.3 * 0.7, 0.7 * 0.7, 0.3 * 0.3, 0.7 * 0.3])


def test_two_readings_of_a_qubit_are_wrong_independently() -> None:
    noise = NoiseModel().add_readout(0, 0.1, 0.3)
    circuit = Circuit(1).measure(0, 0).measure(0, 1)
    exact = outcome_probabilities(circuit, noise=noise, dtype=torch.complex128)
    assert exact.tolist() == pytest.approx([0.81, 0.09, 0.09, 0.01])


@settings(max_examples=25)
@given(data=st.data())
def test_shots_have_the_exact_probabilities(
    dynamic_circuits: Callable, data: st.DataObject
) -> None:
    circuit = data.draw(dynamic_circuits(symbols=False, noisy=True))
    noise = data.draw(st.sampled_from([None, NOISE]))
    exact = outcome_probabilities(circuit, noise=noise, dtype=torch.complex128).numpy()
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    drawn = samples(circuit, SHOTS, noise=noise, generator=generator)
    found = np.bincount(drawn, minlength=len(exact))
    assert not found[exact < 1e-9].any()
    often = exact * SHOTS >= 5
    if often.sum() > 1:
        expected = exact[often] / exact[often].sum() * found[often].sum()
        assert chisquare(found[often], expected).pvalue > 1e-4


@settings(max_examples=15)
@given(data=st.data())
def test_estimates_come_close_to_expectation_values(
    dynamic_circuits: Callable, data: st.DataObject
) -> None:
    circuit = data.draw(dynamic_circuits(symbols=False, noisy=True))
    n = circuit.num_qubits
    strings = [PauliString("Z" * n), PauliString("X" * n), PauliString("Y" + "I" * (n - 1))]
    generator = torch.Generator().manual_seed(3)
    found = expval(circuit, strings, noise=NOISE, shots=SHOTS, generator=generator)
    assert ((found - expval(circuit, strings, noise=NOISE)).abs() < 5 / SHOTS**0.5).all()


@settings(max_examples=10)
@given(data=st.data())
def test_gradients_are_finite_differences(dynamic_circuits: Callable, data: st.DataObject) -> None:
    circuit = data.draw(dynamic_circuits(max_qubits=2, noisy=True))
    given_tensors = tensors_for(circuit, data.draw(st.integers(0, 999)))
    tensors = [tensor.requires_grad_() for tensor in given_tensors]
    assert torch.autograd.gradcheck(lambda w, x: expval(circuit, None, w, x, noise=NOISE), tensors)


def test_what_noise_cannot_do_here_is_refused() -> None:
    circuit = Circuit(1).h(0).measure(0).if_test((0, 1), Circuit(1).x(0))
    relaxing = NoiseModel().add_relaxation(0, 1e-4, 1e-4)
    with pytest.raises(UsageError, match="has no schedule, so that its qubits cannot relax"):
        counts(circuit, 5, noise=relaxing)
    with pytest.raises(UsageError, match="after the gate cx, but the circuit has no such gate"):
        expval(circuit, noise=NoiseModel().add("cx", channels.depolarizing(0.1, 2)))
    with pytest.raises(UsageError, match="no method 'guess'"):
        expval(circuit, noise=NOISE, method="guess")
    inside = NoiseModel().add("x", channels.bit_flip(1.0))  # which stands in a body alone
    assert expval(circuit, noise=inside).item() == pytest.approx(0, abs=1e-6)
