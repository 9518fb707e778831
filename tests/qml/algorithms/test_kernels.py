"""Kernels: overlaps of states, and a support vector machine with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qml.algorithms.kernels import QuantumKernel, alignment, fidelity_kernel
from qml.nn.encoders import iqp_encoder, rotation_encoder
from qsim import Circuit, Input, Weight, state


def test_entries_are_fidelities():
    circuit = iqp_encoder(Circuit(3))
    x, y = torch.randn(4, 3), torch.randn(2, 3)
    found = fidelity_kernel(circuit, x, y)
    for i, j in np.ndindex(4, 2):
        expected = torch.vdot(state(circuit, inputs=y[j]), state(circuit, inputs=x[i])).abs() ** 2
        torch.testing.assert_close(found[i, j], expected)


def test_product_states_by_formula():
    x = torch.randn(5, 2)
    circuit = rotation_encoder(Circuit(2), gates=("ry",))
    expected = ((x[:, None] - x) / 2).cos().square().prod(2)
    torch.testing.assert_close(fidelity_kernel(circuit, x), expected)


def test_gram_matrices_are_positive():
    kernel = QuantumKernel(iqp_encoder(Circuit(4)))
    gram = kernel(np.random.default_rng(0).normal(size=(20, 4)))
    assert gram.dtype == np.float64
    np.testing.assert_allclose(gram, gram.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(gram), 1, atol=1e-5)
    assert np.linalg.eigvalsh(gram)[0] > -1e-5


def test_gradient_of_the_alignment():
    circuit = Circuit(2)
    for q in range(2):
        circuit.ry(Weight(q) * Input(q), q)
    circuit.cx(0, 1).ry(Weight(2) * Input(0), 1)
    x, labels = torch.randn(4, 2, dtype=torch.float64), torch.tensor([0, 1, 1, 0])
    weights = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda w: alignment(fidelity_kernel(circuit, x, weights=w), labels), weights
    )


def test_the_best_alignment_is_one():
    labels = torch.tensor([0, 1, 1])
    ideal = torch.where(labels[:, None] == labels, 1.0, -1.0)
    assert alignment(ideal, labels).item() == pytest.approx(1)


def test_a_support_vector_machine_reads_digits():
    datasets = pytest.importorskip("sklearn.datasets")
    from sklearn.decomposition import PCA
    from sklearn.svm import SVC

    digits = datasets.load_digits()
    x = PCA(6, random_state=0).fit_transform(digits.data)
    x = 0.3 * x / x.std(0)
    machine = SVC(kernel=QuantumKernel(iqp_encoder(Circuit(6))), C=10)
    machine.fit(x[:600], digits.target[:600])
    assert machine.score(x[600:900], digits.target[600:900]) > 0.85
