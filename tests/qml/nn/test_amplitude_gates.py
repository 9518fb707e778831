"""Amplitude encoding by gates against the state itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import Statevector

from qml.nn.amplitude_gates import amplitude_encoder
from qml.nn.ansatz import real_amplitudes
from qml.nn.encoders import add_encoder, amplitudes
from qsim import Circuit, expval, state
from qsim.errors import UsageError
from qsim.interop.qiskit import to_qiskit


def samples(count, features):
    generator = torch.Generator().manual_seed(features)
    return torch.randn(count, features, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_batch_becomes_its_amplitudes(n):
    x = samples(7, 2**n)
    torch.testing.assert_close(state(amplitude_encoder(Circuit(n)), inputs=x), amplitudes(x, n))


@given(
    st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=8).filter(any),
    st.floats(1e-3, 1e3),
)
def test_zeros_signs_and_missing_features(values, scale):
    x = scale * torch.tensor(values, dtype=torch.float64)
    circuit = add_encoder(Circuit(3), "amplitude", features=range(len(values)))
    torch.testing.assert_close(state(circuit, inputs=x), amplitudes(x, 3), atol=1e-12, rtol=0)


def test_a_bound_sample_is_a_circuit_for_devices():
    x = samples(1, 8)[0]
    bound = to_qiskit(amplitude_encoder(Circuit(3)).bind(inputs=x))
    torch.testing.assert_close(torch.from_numpy(Statevector(bound).data), amplitudes(x, 3))


def test_columns_may_be_chosen():
    x = samples(3, 6)
    circuit = amplitude_encoder(Circuit(2), [5, 1, 0])
    torch.testing.assert_close(state(circuit, inputs=x), amplitudes(x[:, [5, 1, 0]], 2))


def test_gates_are_as_many_as_the_amplitudes_less_one():
    counts = amplitude_encoder(Circuit(4)).count_ops()
    assert counts == {"ry": 15, "cx": 14}


def test_gradients_are_those_of_the_state():
    x = samples(4, 8).requires_grad_()
    ansatz = real_amplitudes(Circuit(3), reps=1)
    weights = torch.linspace(0, 1, ansatz.num_weights, dtype=torch.float64)
    by_gates = expval(amplitude_encoder(Circuit(3)).compose(ansatz), None, weights, x)
    by_state = expval(ansatz, None, weights, initial_state=amplitudes(x, 3))
    found, expected = (torch.autograd.grad(y.square().sum(), x)[0] for y in (by_gates, by_state))
    torch.testing.assert_close(found, expected)


def test_gradients_of_empty_pairs_are_finite():
    x = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 2.0], requires_grad=True)
    expval(amplitude_encoder(Circuit(3)), inputs=x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("bad", [[0.0] * 4, [float("nan"), 1.0, 1.0, 1.0]])
def test_samples_that_are_no_amplitudes(bad):
    with pytest.raises(UsageError, match="a sample is zero or not finite"):
        state(amplitude_encoder(Circuit(2)), inputs=torch.tensor(bad))


def test_features_that_do_not_fit():
    with pytest.raises(UsageError, match="2 qubits have 4 amplitudes for features, not 5"):
        amplitude_encoder(Circuit(2), range(5))
