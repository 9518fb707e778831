"""Quantization: levels, gradients straight through, and the loss that draws values to levels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import mse_loss

from qml.data.tasks import Split
from qml.noise_aware.normalization import Normalization
from qml.noise_aware.quantization import Quantization, quantization_loss
from qml.training.loop import TrainConfig, fit
from qsim import UsageError


@given(st.integers(2, 9), st.floats(0.5, 3), st.lists(st.floats(-5, 5), min_size=1, max_size=20))
def test_values_become_the_nearest_level(levels, bound, given):
    y = torch.tensor(given, dtype=torch.float64)
    centroids = torch.linspace(-bound, bound, levels, dtype=torch.float64)
    distances = (y[:, None] - centroids).abs()
    quantize = Quantization(levels, bound)
    found = quantize(y)
    torch.testing.assert_close((y - found).abs(), distances.min(1).values)
    assert (found[:, None] - centroids).abs().min(1).values.max() < 1e-9
    torch.testing.assert_close(quantize.loss, distances.min(1).values.square().mean())


def test_errors_below_half_a_step_vanish():
    y = torch.linspace(-2, 2, 5) + 0.49 * (2 * torch.rand(8, 5) - 1)
    torch.testing.assert_close(Quantization(5)(y), torch.linspace(-2, 2, 5).expand(8, 5))


def test_gradients_go_straight_through():
    y = torch.tensor([-3.0, -0.3, 0.0, 1.4], requires_grad=True)
    slope = torch.tensor([1.0, 2.0, 3.0, 4.0])
    (Quantization(3)(y) * slope).sum().backward()
    assert torch.equal(y.grad, slope)


def test_the_loss_adds_what_is_weighted():
    model = nn.Sequential(Quantization(3), nn.Linear(2, 2), Quantization(5, 1.0))
    x, target = torch.randn(4, 2), torch.randn(4, 2)
    loss = quantization_loss(model, 0.3, mse_loss)
    out = model(x)
    between = model[1](model[0](x))
    distances = sum(
        (y - layer(y)).square().mean() for y, layer in [(x, model[0]), (between, model[2])]
    )
    torch.testing.assert_close(loss(out, target), mse_loss(out, target) + 0.3 * distances)


def test_its_gradient_draws_values_to_their_levels():
    y = torch.tensor([0.3, 1.2, -2.5], requires_grad=True)
    quantize = Quantization(5)
    out = quantize(y)
    quantization_loss(quantize, 1.0, lambda out, _: 0 * out.sum())(out, y).backward()
    torch.testing.assert_close(y.grad, 2 / 3 * torch.tensor([0.3, 0.2, -0.5]))


def test_fit_takes_the_loss(classifier):
    classifier.readout = nn.Sequential(Normalization(3), Quantization(3), nn.Linear(3, 3))
    split = Split(3 * torch.rand(40, 3), torch.arange(40) % 3)
    losses = []
    for weight in (0.0, 10.0):
        model = classifier.on(None)
        model.load_state_dict(classifier.state_dict())
        state = fit(
            model,
            split,
            split,
            TrainConfig(epochs=1),
            seed=0,
            loss=quantization_loss(model, weight),
        )
        losses.append(state.history[0].valid_loss)
    assert losses[1] > losses[0] + 0.1


@pytest.mark.parametrize(("levels", "bound"), [(1, 2.0), (2.5, 2.0), (3, 0.0), (3, float("nan"))])
def test_levels_that_are_none(levels, bound):
    with pytest.raises(UsageError, match="2 levels or more and a positive bound"):
        Quantization(levels, bound)


def test_a_model_that_does_not_quantize(classifier):
    with pytest.raises(UsageError, match="has no Quantization"):
        quantization_loss(classifier)


def test_a_model_that_was_not_run():
    with pytest.raises(UsageError, match="run the model before its loss"):
        quantization_loss(Quantization(3))(torch.rand(2, 2), torch.tensor([0, 1]))
