"""Quanvolution: what a loop over patches gives, gradients, and a fixed circuit."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import pad

from qml.algorithms.quanvolution import Quanvolution
from qml.nn.ansatz import strongly_entangling
from qml.nn.encoders import rotation_encoder
from qsim import Circuit, PauliString, expval
from qsim.errors import UsageError


def circuit(num_inputs=4):
    gates = ("ry", "rz", "rx")
    return strongly_entangling(rotation_encoder(Circuit(4), range(num_inputs), gates))


@pytest.mark.parametrize(
    ("channels", "size", "stride", "padding"),
    [(1, 2, 2, 0), (1, 2, 1, 1), (2, 2, 2, 0), (1, 3, 2, 1)],
)
def test_patches_one_by_one(channels, size, stride, padding):
    run = circuit(channels * size**2)
    module = Quanvolution(run, size, stride, padding)
    images = torch.rand(2, channels, 5, 7)
    padded = pad(images, [padding] * 4)
    found = module(images)
    rows = (padded.shape[2] - size) // stride + 1
    columns = (padded.shape[3] - size) // stride + 1
    assert found.shape == (2, run.num_qubits, rows, columns)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            patch = padded[:, :, top : top + size, left : left + size].flatten(1)
            expected = expval(run, None, module.layer.weights, patch)
            torch.testing.assert_close(found[:, :, i, j], expected)


def test_gradients():
    module = Quanvolution(circuit(), observables=[PauliString("ZZII")]).double()
    images = torch.rand(1, 1, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, images)
    module(images).sum().backward()
    assert module.layer.weights.grad.abs().max() > 0


def test_a_fixed_circuit_is_not_trained():
    model = nn.Sequential(Quanvolution(circuit(), trainable=False), nn.Flatten(), nn.LazyLinear(2))
    model(torch.rand(3, 1, 4, 4)).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is not None] == [
        "2.weight",
        "2.bias",
    ]


def test_inputs_that_are_no_patches():
    with pytest.raises(UsageError, match="multiple of 9 numbers, but the circuit has 4"):
        Quanvolution(circuit(), kernel_size=3)


def test_images_with_other_channels():
    with pytest.raises(UsageError, match=r"\[batch, 1, height, width\]"):
        Quanvolution(circuit())(torch.rand(2, 3, 4, 4))
