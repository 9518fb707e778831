"""Regression: a circuit learns the Fourier series that it can become."""

from __future__ import annotations

import torch
from torch.nn.functional import mse_loss

import qml
from qml.algorithms.regression import Regressor
from qml.nn.ansatz import data_reuploading
from qsim import Circuit, Input, PauliString, Weight, expval


def test_scale_and_shift():
    circuit, x = Circuit(2).ry(Input(0), 0).rx(Weight(0), 1), torch.randn(4, 1)
    model = Regressor(circuit)
    with torch.no_grad():
        model.scale.copy_(torch.tensor([2.0, 3.0]))
        model.shift.copy_(torch.tensor([0.5, -1.0]))
    expected = expval(circuit, None, model.weights, x) * model.scale + model.shift
    torch.testing.assert_close(model(x), expected)


def test_it_learns_a_series():
    x = torch.linspace(-3, 3, 120)[torch.randperm(120, generator=torch.Generator().manual_seed(0))]
    y = (2 * x).sin() + 0.5 * x.cos()
    train, valid = (qml.Split(x[part, None], y[part, None]) for part in (slice(90), slice(90, 120)))
    model = Regressor(
        data_reuploading(Circuit(1), 4, 1),
        [PauliString("Z")],
        generator=torch.Generator().manual_seed(0),
    )
    config = qml.TrainConfig(epochs=60, lr=0.1, weight_decay=0.0)
    state = qml.fit(model, train, valid, config, seed=0, loss=mse_loss)
    assert state.history[-1].valid_loss < 0.01 * y.var()
