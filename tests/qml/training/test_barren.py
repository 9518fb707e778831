"""Variance of gradients against the formulas for product circuits."""

from __future__ import annotations

import pytest
import torch

from qml.nn.ansatz import strongly_entangling
from qml.training.barren import gradient_variance
from qsim import Circuit, Input, PauliString, PauliSum, Weight
from qsim.errors import UsageError


def turned(num_qubits):
    circuit = Circuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.ry(Weight(qubit), qubit)
    return circuit


def found(circuit, label, **options):
    generator = torch.Generator().manual_seed(0)
    return gradient_variance(circuit, PauliString(label), generator=generator, **options)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_global_observables_halve_with_every_qubit(n):
    # <Z...Z> is a product of cosines, whose derivative has the variance (1/2)^n.
    variances = found(turned(n), "Z" * n, samples=40_000)
    torch.testing.assert_close(variances, torch.full((n,), 0.5**n), rtol=0.1, atol=0)


def test_local_observables_do_not():
    variances = found(turned(4), "IIIZ", samples=20_000)
    torch.testing.assert_close(variances, torch.tensor([0.5, 0, 0, 0]), rtol=0.05, atol=1e-7)


def test_deep_circuits_have_a_plateau():
    means = [
        found(strongly_entangling(Circuit(n), layers=3 * n), "Z" * n).mean() for n in (2, 4, 6)
    ]
    assert means[0] > 3 * means[1] > 9 * means[2]


def test_sums_and_inputs():
    circuit = Circuit(1).ry(Input(0), 0).ry(Weight(0), 0)
    variances = gradient_variance(circuit, PauliSum({"Z": 2.0}), 20_000, inputs=torch.ones(1))
    assert variances.item() == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize(("circuit", "samples"), [(Circuit(1).h(0), 10), (turned(1), 1)])
def test_what_has_no_variance(circuit, samples):
    with pytest.raises(UsageError, match="takes a circuit with weights and 2 samples"):
        gradient_variance(circuit, PauliString("Z"), samples)
