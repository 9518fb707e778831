"""Layers and the classifier: readout, scale, shapes, gradients, files."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from qml.nn.ansatz import real_amplitudes
from qml.nn.encoders import rotation_encoder
from qml.nn.model import Classifier, QuantumLayer
from qsim import (
    Circuit,
    Input,
    NoiseModel,
    PauliString,
    PauliSum,
    Weight,
    channels,
    expval,
)
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


# --- Layers between other modules -----------------------------------------------------------------


def hybrid(circuit=None, **options):
    torch.manual_seed(1)
    if circuit is None:
        circuit = real_amplitudes(rotation_encoder(Circuit(3), gates=("ry",)), reps=1)
    return nn.Sequential(
        nn.Linear(5, 3), nn.Tanh(), QuantumLayer(circuit, **options), nn.Linear(3, 2)
    )


def test_a_layer_is_the_circuits_expectation_values():
    circuit, x = rotations(3), torch.rand(4, 3)
    observables = [PauliString("XYZ"), PauliSum({"ZZI": 0.5, "IXX": 2.0})]
    layer = QuantumLayer(circuit, observables)
    torch.testing.assert_close(layer(x), expval(circuit, observables, layer.weights, x))
    assert "3 qubits, 6 gates, 3 weights" in repr(layer)


def test_a_layer_without_inputs_needs_no_samples():
    layer = QuantumLayer(Circuit(2).ry(Weight(0), 0), weights=torch.tensor([0.3]))
    torch.testing.assert_close(layer(), torch.tensor([0.3, 0.0]).cos())


def test_a_layer_without_weights():
    x = torch.rand(4, 2)
    layer = QuantumLayer(rotation_encoder(Circuit(2), gates=("ry",)))
    torch.testing.assert_close(layer(x), x.cos())


def test_options_reach_the_simulator():
    noise = NoiseModel().add("ry", channels.depolarizing(0.4, 1))
    circuit, x = Circuit(1).ry(Input(0), 0), torch.rand(3, 1)
    clean = QuantumLayer(circuit)(x)
    torch.testing.assert_close(
        QuantumLayer(circuit, noise=noise)(x), expval(circuit, inputs=x, noise=noise)
    )
    assert (QuantumLayer(circuit, noise=noise)(x) < clean).all()


@pytest.mark.parametrize("amplitudes", [False, True])
def test_gradients_through_a_hybrid_model(amplitudes):
    circuit = Circuit(3) if amplitudes else rotation_encoder(Circuit(3), gates=("ry",))
    model = hybrid(real_amplitudes(circuit, reps=1), amplitudes=amplitudes).double()
    x = torch.randn(2, 5, dtype=torch.float64)
    names, parameters = zip(*model.named_parameters(), strict=True)

    def output(*tensors):
        return torch.func.functional_call(model, dict(zip(names, tensors, strict=True)), (x,))

    assert torch.autograd.gradcheck(output, parameters)


@pytest.mark.parametrize(("optimizer", "rate"), [(torch.optim.SGD, 0.8), (torch.optim.Adam, 0.1)])
def test_hybrid_models_train_with_any_optimizer(optimizer, rate):
    model = hybrid()
    x = torch.randn(40, 5)
    y = (x[:, 0] > 0).long()
    steps = optimizer(model.parameters(), lr=rate)
    losses = []
    for _ in range(40):
        steps.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_files_of_weights_hold_nothing_else(tmp_path):
    first, second, x = hybrid(), hybrid(), torch.randn(3, 5)
    with torch.no_grad():
        first[2].weights += 1
    assert not torch.allclose(first(x), second(x))
    torch.save(first.state_dict(), tmp_path / "model.pt")
    second.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    torch.testing.assert_close(first(x), second(x))
    assert "2.weights" in second.state_dict()


def test_amplitudes_besides_inputs():
    with pytest.raises(UsageError, match="amplitudes or inputs, but the circuit has 2 inputs"):
        QuantumLayer(rotations(2), amplitudes=True)


def test_amplitudes_without_samples():
    with pytest.raises(UsageError, match="call it with them"):
        QuantumLayer(Circuit(2), amplitudes=True)()


def test_observables_of_another_size():
    with pytest.raises(UsageError, match="qubits"):
        QuantumLayer(rotations(2), [PauliString("ZZZ")])


# --- Run by something else ------------------------------------------------------------------------


class Doubled(nn.Module):
    """Expectation values twice as large, and zero in evaluation."""

    def __init__(self, circuit):
        super().__init__()
        self.circuit = circuit

    def expval(self, observables=None, weights=None, inputs=None, **options):
        found = expval(self.circuit, observables, weights, inputs, **options)
        return 2 * found if self.training else 0 * found


def test_a_runner_runs_a_layer_over_the_same_weights():
    model, x = Classifier(rotations(3), 3), torch.rand(5, 3)
    before, other = model(x), model.on(Doubled(model.circuit), dtype=torch.complex128)
    torch.testing.assert_close(other(x), 2 * before.double(), atol=1e-5, rtol=0)
    assert other.weights is model.weights
    torch.testing.assert_close(model(x), before)
    other(x).sum().backward()
    assert model.weights.grad.abs().min() > 0


def test_a_runner_hears_of_training():
    model, x = Classifier(rotations(3), 3), torch.rand(5, 3)
    other = model.on(Doubled(model.circuit))
    assert not other.eval()(x).any()
    torch.testing.assert_close(other.on(None)(x), model(x))
    torch.testing.assert_close(other.train()(x, model.circuit), model(x))
    assert list(other.state_dict()) == ["weights"]


def test_a_runner_of_another_size():
    model = Classifier(rotations(3), 3)
    with pytest.raises(UsageError, match="qubits"):
        model.on(Doubled(rotations(2)))(torch.rand(5, 2))


def test_a_runner_for_amplitudes():
    with pytest.raises(UsageError, match=r"device, which starts from \|0\.\.\.0>"):
        QuantumLayer(Circuit(2), amplitudes=True).on(Doubled(Circuit(2)))


def test_a_circuit_that_is_replaced_loses_its_runner():
    model, x = Classifier(rotations(3), 2, readout=nn.Linear(3, 2)), torch.rand(5, 3)
    other = model.on(Doubled(model.circuit)).replaced(rotations(3), torch.ones(3))
    expected = model.readout(expval(rotations(3), None, torch.ones(3), x))
    torch.testing.assert_close(other(x), expected)
    assert other.readout.weight is not model.readout.weight


def test_a_readout_of_its_own():
    model, x = Classifier(rotations(3), 2, readout=nn.Linear(3, 2)), torch.rand(5, 3)
    expected = model.readout(expval(model.circuit, None, model.weights, x))
    torch.testing.assert_close(model(x), expected)
    assert {"weights", "readout.weight"} < set(model.state_dict())


def test_bound_weights_are_numbers_of_the_circuit():
    model, x = Classifier(rotations(3), 2, readout=nn.Linear(3, 2)), torch.rand(5, 3)
    bound = model.bound()
    assert (bound.circuit.num_weights, len(bound.weights)) == (0, 0)
    torch.testing.assert_close(bound(x), model(x))
    assert bound.readout.weight is not model.readout.weight
    assert model.circuit.num_weights == 3
