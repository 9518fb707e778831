"""The classifier: readout, scale, shapes, gradients."""

from __future__ import annotations

import pytest
import torch

from qml.model import Classifier
from qsim import Circuit, Input, Weight, expval
from qsim.errors import UsageError


def rotations(num_qubits):
    circuit = Circuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.ry(Input(qubit), qubit).rx(Weight(qubit), qubit)
    return circuit


@pytest.mark.parametrize(
    ("qubits", "classes", "groups"),
    [
        (4, 4, [[0], [1], [2], [3]]),
        (4, 2, [[0, 1], [2, 3]]),
        (5, 2, [[0, 1, 2], [3, 4]]),
        (10, 10, [[q] for q in range(10)]),
    ],
)
def test_logits_are_scaled_means_of_groups(qubits, classes, groups):
    model = Classifier(rotations(qubits), classes, logit_scale=3.0)
    z = torch.rand(6, qubits) * 2 - 1
    expected = torch.stack([3 * z[:, group].mean(1) for group in groups], 1)
    torch.testing.assert_close(model.logits(z), expected)
    torch.testing.assert_close(model.logits(z.double()), expected.double(), atol=1e-6, rtol=0)


def test_forward_is_logits_of_expvals():
    model = Classifier(rotations(3), 3)
    x = torch.rand(5, 3)
    z = expval(model.circuit, weights=model.weights, inputs=x)
    torch.testing.assert_close(model(x), model.logits(z))
    model(x).sum().backward()
    assert model.weights.grad.abs().min() > 0


def test_scale_does_not_change_the_answer():
    weights, x = torch.randn(4), torch.rand(8, 4)
    answers = [
        Classifier(rotations(4), 2, weights=weights, logit_scale=scale)(x).argmax(1)
        for scale in (0.5, 20.0)
    ]
    assert torch.equal(*answers)


def test_another_circuit_over_the_same_weights():
    model = Classifier(rotations(2), 2)
    other = Circuit(2, num_weights=2, num_inputs=2).ry(Input(0), 0).ry(Weight(1), 1)
    x = torch.rand(3, 2)
    expected = model.logits(expval(other, weights=model.weights, inputs=x))
    torch.testing.assert_close(model(x, other), expected)


def test_weights_are_drawn_by_the_generator():
    drawn = [Classifier(rotations(3), 3, generator=torch.Generator().manual_seed(7)) for _ in "ab"]
    assert torch.equal(drawn[0].weights, drawn[1].weights)
    assert drawn[0].weights.abs().max() <= 0.5


def test_state_dict_round_trip():
    first, second = Classifier(rotations(3), 3), Classifier(rotations(3), 3)
    second.load_state_dict(first.state_dict())
    assert list(first.state_dict()) == ["weights"]
    assert torch.equal(first.weights, second.weights)


def test_given_weights_are_copied():
    weights = torch.zeros(2)
    model = Classifier(rotations(2), 2, weights=weights)
    weights += 1
    assert model.weights.abs().max() == 0


def test_more_classes_than_qubits():
    with pytest.raises(UsageError, match="5 classes need at least 5 qubits"):
        Classifier(rotations(4), 5)


def test_weights_of_another_shape():
    with pytest.raises(UsageError, match=r"2 weights, but the tensor given has the shape \[3\]"):
        Classifier(rotations(2), 2, weights=torch.zeros(3))
