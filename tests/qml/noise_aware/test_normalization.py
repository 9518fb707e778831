"""Normalization: its formula, that affine noise drops out, and where its statistics come from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from qml.noise_aware.devices import on_device
from qml.noise_aware.normalization import Normalization, calibrate
from qml.training.loop import predict
from qsim import UsageError


def values(count=50, qubits=3, seed=0):
    return 2 * torch.rand(count, qubits, generator=torch.Generator().manual_seed(seed)) - 1


def test_values_have_mean_0_and_deviation_1():
    z = values()
    expected = (z - z.mean(0)) / z.var(0, correction=0).sqrt()
    for mode in (True, False):
        torch.testing.assert_close(Normalization(3).train(mode)(z), expected, atol=1e-4, rtol=0)


def test_noise_that_is_affine_drops_out():
    z, norm = values(), Normalization(3)
    noisy = z * torch.tensor([0.9, 0.3, 0.05]) + torch.tensor([0.1, -0.2, 0.5])
    torch.testing.assert_close(norm(noisy), norm(z), atol=1e-3, rtol=0)


def test_gradients():
    z = values(6).double().requires_grad_()
    assert torch.autograd.gradcheck(Normalization(3), (z,))


def test_calibration_serves_evaluation_alone():
    model = nn.Sequential(nn.Identity(), Normalization(3))
    z, others = values(), values(seed=1)
    fresh = Normalization(3)(others)
    calibrate(model, z)
    assert model.training
    expected = (others - z.mean(0)) / z.std(0, correction=0)
    torch.testing.assert_close(predict(model, others), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(predict(model, others[:1]), expected[:1], atol=1e-4, rtol=0)
    calibrate(model, others)  # forgets what it had
    torch.testing.assert_close(predict(model, others), fresh)
    torch.testing.assert_close(model(z), Normalization(3)(z))
    assert not model[1].calibrated


def test_normalizations_in_a_row_are_calibrated_one_behind_the_other():
    model = nn.Sequential(Normalization(3), nn.Linear(3, 2), Normalization(2))
    z = values()
    calibrate(model, z)
    torch.testing.assert_close(predict(model, z), model(z), atol=1e-4, rtol=0)


def test_statistics_are_saved_but_not_shared_with_the_device(classifier, quito):
    classifier.readout = nn.Sequential(Normalization(3), nn.Linear(3, 3))
    x, noisy = 3 * torch.rand(20, 3), on_device(classifier, quito)
    calibrate(noisy, x)
    assert noisy.readout[0].calibrated
    assert not classifier.readout[0].calibrated
    assert noisy.readout[1].weight is classifier.readout[1].weight
    again = Normalization(3)
    again.load_state_dict(noisy.readout[0].state_dict())
    torch.testing.assert_close(again.eval()(values()), noisy.readout[0].eval()(values()))


def test_a_single_sample():
    with pytest.raises(UsageError, match=r"one sample has no spread .* call calibrate"):
        Normalization(3)(values(1))


def test_values_of_other_qubits():
    with pytest.raises(UsageError, match="normalizes 3 values of a sample, not 2"):
        Normalization(3)(values(qubits=2))
