"""Injected noise: its mean is the exact twirled channel, and only training draws it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compile import compile, noisy
from qml.data.tasks import Split
from qml.noise_aware.devices import on_device
from qml.noise_aware.injection import NoiseInjection, pauli_noise, pauli_probabilities
from qml.training.loop import TrainConfig, fit, predict
from qsim import NoiseModel, UsageError, channels

CHANNELS = [
    channels.depolarizing(0.1, 1),
    channels.depolarizing(0.2, 2),
    channels.pauli_channel({"XZ": 0.1, "IY": 0.05, "ZI": 0.2}),
    channels.thermal_relaxation(80e-6, 60e-6, 30e-6),
    channels.amplitude_damping(0.3),
    channels.over_rotation("XX", 0.4),
]


@pytest.mark.parametrize("channel", CHANNELS, ids=str)
def test_a_twirl_keeps_the_diagonal_of_the_transfer_matrix(channel):
    probabilities = pauli_probabilities(channel)
    assert sum(probabilities.values()) == pytest.approx(1)
    twirled = channels.pauli_channel({p: x for p, x in probabilities.items() if set(p) != {"I"}})
    np.testing.assert_allclose(twirled.ptm(), np.diag(np.diag(channel.ptm())), atol=1e-12)


def test_the_mean_of_injected_noise_is_the_exact_channel(classifier, quito):
    compiled = noisy(compile(classifier.circuit, quito), quito)
    x, draws = torch.tensor([[0.4, 1.3, 2.0]]), 4000
    for factor in (0.5, 2.0):
        injection = NoiseInjection(compiled, factor)
        exact = injection.injected.expval(None, classifier.weights, x)
        sampled = injection.expval(None, classifier.weights, x.expand(draws, 3))
        assert (sampled.mean(0) - exact).abs().max() < 5 * sampled.std(0).max() / draws**0.5
        assert sampled.std(0).min() > 0.05  # each sample draws errors of its own


def test_its_mean_at_factor_1_is_close_to_the_device(classifier, quito):
    compiled = noisy(compile(classifier.circuit, quito), quito)
    x = 3 * torch.rand(10, 3)
    values = [
        n.expval(None, classifier.weights, x)
        for n in (compiled, NoiseInjection(compiled, 1.0).injected)
    ]
    clean = predict(classifier.on(None), x) / classifier.logit_scale
    assert (values[0] - values[1]).abs().max() < 0.2 * (values[0] - clean).abs().max()


def test_gradients_average_to_the_exact_ones(classifier, quito):
    compiled = noisy(compile(classifier.circuit, quito), quito)
    injection = NoiseInjection(compiled, 1.0, trajectories=3000)
    x, gradients = torch.tensor([[0.4, 1.3, 2.0]]), []
    for values in (injection, injection.injected):
        out = values.expval(None, classifier.weights, x).sum()
        gradients += torch.autograd.grad(out, classifier.weights)
    assert (gradients[0] - gradients[1]).abs().max() < 0.1
    assert gradients[1].abs().max() > 0.4


def test_only_training_draws(classifier, quito):
    model, x = on_device(classifier, quito, runner=NoiseInjection), 3 * torch.rand(6, 3)
    assert not torch.equal(model.train()(x), model(x))
    torch.testing.assert_close(predict(model, x), predict(on_device(classifier, quito), x))


def test_training_with_it_is_repeatable(classifier, quito):
    split = Split(3 * torch.rand(20, 3), torch.arange(20) % 3)
    first, weights = classifier.state_dict()["weights"].clone(), []
    for _ in "ab":
        with torch.no_grad():
            classifier.weights.copy_(first)
        model = on_device(classifier, quito, runner=NoiseInjection)
        fit(model, split, split, TrainConfig(epochs=2), seed=3)
        weights.append(classifier.weights.detach().clone())
    assert torch.equal(*weights)
    assert not torch.equal(weights[0], first)


def test_the_factor_scales_the_errors():
    channel = channels.depolarizing(0.1, 2)
    scaled = pauli_noise(NoiseModel().add("cx", channel), 0.3).gates[0].channel
    np.testing.assert_allclose(1 - np.diag(scaled.ptm()), 0.3 * (1 - np.diag(channel.ptm())))


def test_readout_errors_alone_or_left_out():
    noise = NoiseModel().add("cx", channels.depolarizing(0.1, 2)).add_readout(0, 0.1, 0.2)
    alone = pauli_noise(noise, 0.0)
    assert alone.readout == noise.readout
    np.testing.assert_allclose(alone.gates[0].channel.ptm(), np.eye(16), atol=1e-12)
    assert not pauli_noise(noise, 1.0, readout=False).readout


@pytest.mark.parametrize("factor", [-0.1, 20.0, float("nan")])
def test_factors_that_give_no_probabilities(factor):
    noise = NoiseModel().add("cx", channels.depolarizing(0.1, 2))
    with pytest.raises(UsageError, match=r"factor of injected noise is from 0 to 10\.7 for depol"):
        pauli_noise(noise, factor)


def test_relaxation_belongs_to_no_gate(quito):
    with pytest.raises(UsageError, match="relax while they wait"):
        pauli_noise(quito.noise_model(idle=True))
