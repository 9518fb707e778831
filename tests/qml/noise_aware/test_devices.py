"""Models on the exact noise of devices: against compile.run, finite differences, and training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compile import compile, noisy, run
from qml.data.tasks import Split
from qml.nn.model import QuantumLayer
from qml.noise_aware.devices import on_device
from qml.noise_aware.normalization import Normalization
from qml.noise_aware.quantization import Quantization, quantization_loss
from qml.training.loop import TrainConfig, evaluate, fit, predict
from qsim import Circuit, UsageError, Weight

SHOTS = 20_000


def samples(count, features=3, seed=0):
    return 3 * torch.rand(count, features, generator=torch.Generator().manual_seed(seed))


def test_a_model_on_a_device_is_its_compiled_circuit(classifier, quito):
    x = samples(4)
    compiled = compile(classifier.circuit, quito, layout=(0, 1, 3))
    measured = noisy(compiled, quito).expval(None, classifier.weights, x)
    found = on_device(classifier, quito, layout=(0, 1, 3))(x)
    torch.testing.assert_close(found, classifier.logits(measured))
    bound = compile(classifier.circuit.bind(weights=classifier.weights), quito, layout=(0, 1, 3))
    through_aer = classifier.logits(run(bound, quito, x, shots=SHOTS))
    assert (found - through_aer).abs().max() < 5 * classifier.logit_scale / SHOTS**0.5


def test_shots_scatter_about_the_exact_values(classifier, quito):
    x = samples(1).expand(200, 3)
    exact = predict(on_device(classifier, quito), x)
    drawn = predict(on_device(classifier, quito, shots=400), x)
    deviation = classifier.logit_scale / 20 / len(x) ** 0.5
    assert ((drawn - exact).mean(0).abs() < 5 * deviation).all()
    assert (drawn.std(0) > 0).all()


def test_layers_in_hybrid_models_go_through_the_noise(classifier, quito):
    layer = QuantumLayer(classifier.circuit, weights=classifier.weights)
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(layer, nn.Linear(3, 2))).double()
    noisy_model, x = on_device(model, quito, idle=True), samples(2, 2).double()
    names, parameters = zip(*model.named_parameters(), strict=True)
    assert [name for name, _ in noisy_model.named_parameters()] == list(names)

    def output(*tensors):
        given = dict(zip(names, tensors, strict=True))
        return torch.func.functional_call(noisy_model, given, (x,))

    assert (output(*parameters) - model(x)).abs().max() > 1e-3
    assert torch.autograd.gradcheck(output, parameters)


def test_training_on_the_noise_trains_the_model(classifier, quito):
    x = samples(60)
    # What the device reads of other weights is what it can learn to read.
    teacher = classifier.on(None)
    teacher.weights = nn.Parameter(classifier.weights.detach() + 1.0)
    split = Split(x, predict(on_device(teacher, quito), x).argmax(1))
    on_noise = on_device(classifier, quito)
    before, clean = evaluate(on_noise, split), predict(classifier, x)
    fit(on_noise, split, split, TrainConfig(epochs=15), seed=0)
    assert evaluate(on_noise, split).loss < before.loss - 0.05
    assert (predict(classifier, x) - clean).abs().max() > 0.1


def test_more_qubits_than_the_device_has(quito):
    wide = QuantumLayer(Circuit(6).ry(Weight(0), 0))
    with pytest.raises(UsageError, match="has 6 qubits, but fake_quito has 5"):
        on_device(wide, quito)


def test_nodes_in_a_row(classifier, quito):
    """Several nodes of encoder and ansatz, with normalized values between them."""
    first, second = (QuantumLayer(classifier.circuit) for _ in range(2))
    model = nn.Sequential(first, Normalization(3), second, Normalization(3)).double()
    noisy_model, x = on_device(model, quito), samples(3).double()
    weights = (first.weights, second.weights)

    def output(*weights):
        given = dict(zip(("0.weights", "2.weights"), weights, strict=True))
        return torch.func.functional_call(noisy_model, given, (x,))

    by_hand = noisy_model[0](x)
    for module in list(noisy_model)[1:]:
        by_hand = module(by_hand)
    torch.testing.assert_close(output(*weights), by_hand)
    assert torch.autograd.gradcheck(output, weights)
    quantized = nn.Sequential(first, Normalization(3), Quantization(5), second).double()
    loss = quantization_loss(quantized, 0.1)
    loss(on_device(quantized, quito)(x), torch.tensor([0, 1, 2])).backward()
    assert first.weights.grad.abs().max() > 0
