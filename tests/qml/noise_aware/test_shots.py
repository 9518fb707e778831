"""Shot noise in training: its mean and variance are those of shots."""

from __future__ import annotations

import pytest
import torch

from qml.noise_aware.shots import ShotNoise
from qsim import Circuit, UsageError, expval


def test_it_scatters_as_shots_do():
    angles, rows, shots = torch.tensor([0.2, 1.0, 2.5]), 4000, 64
    circuit = Circuit(3).ry(0.2, 0).ry(1.0, 1).ry(2.5, 2)
    z = angles.cos().expand(rows, 3)
    drawn = expval(circuit, inputs=torch.zeros(rows, 0), shots=shots)
    noisy = ShotNoise(shots)(z)
    for values in (noisy, drawn):
        assert (values.mean(0) - z[0]).abs().max() < 5 / (shots * rows) ** 0.5
        expected = ((1 - z[0] ** 2) / shots).sqrt()
        torch.testing.assert_close(values.std(0), expected, rtol=0.1, atol=0)


def test_gradients_go_through_it():
    z = torch.tensor([[-1.0, 0.3, 1.0]], requires_grad=True)
    ShotNoise(10**9)(z).sum().backward()
    torch.testing.assert_close(z.grad, torch.ones(1, 3), atol=1e-3, rtol=0)


def test_evaluation_is_left_to_shots_themselves():
    z = torch.rand(4, 2)
    assert torch.equal(ShotNoise().eval()(z), z)


@pytest.mark.parametrize("shots", [0, 2.5, None])
def test_no_number_of_shots(shots):
    with pytest.raises(UsageError, match="whole number from 1 on"):
        ShotNoise(shots)
