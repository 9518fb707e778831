"""Values and gradients from a device: against exact noise, and counted."""

from __future__ import annotations

import pytest
import torch

from compile import compile, execution, noisy
from qml.nn.model import QuantumLayer
from qml.onchip.chip import OnChip
from qml.training.loop import predict
from qsim import Circuit, PauliString, UsageError, Weight
from qsim.gradients.rules import Spsa

SHOTS = 20_000
X = torch.tensor([[0.4, 1.2], [2.0, 0.3], [1.0, 1.0]])


def exact(model, chip):
    """Values and gradients of a weighted sum under the device's exact noise."""
    layout = chip.compiled.initial_layout
    runner = noisy(compile(model.circuit, chip.device, layout=layout), chip.device)
    return gradient(model.on(runner))


def gradient(model, x=X):
    model.weights.grad = None
    out = model(x)
    (out * torch.arange(1.0, 1 + out.numel()).reshape(out.shape)).sum().backward()
    return out.detach(), model.weights.grad.clone()


def test_values_and_gradients_are_those_of_the_device(classifier, quito):
    chip = OnChip(classifier.circuit, quito, shots=SHOTS)
    generator = torch.Generator().manual_seed(0)
    values, slope = gradient(classifier.on(chip, generator=generator))
    expected, expected_slope = exact(classifier, chip)
    assert (values - expected).abs().max() < 0.3
    assert (slope - expected_slope).abs().max() < 0.1 * expected_slope.abs().max()


def test_spsa_estimates_the_gradient(classifier, quito):
    chip = OnChip(classifier.circuit, quito, shots=2000, gradient=Spsa(0.3, directions=60))
    _, slope = gradient(classifier.on(chip, generator=torch.Generator().manual_seed(0)))
    _, expected = exact(classifier, chip)
    assert (slope - expected).norm() < 0.35 * expected.norm()
    assert chip.circuits == len(X) * (1 + 2 * 60)


def test_one_job_takes_all_shifts(classifier, quito, monkeypatch):
    chip, rows = OnChip(classifier.circuit, quito, shots=10), []
    run = execution.run
    monkeypatch.setattr(
        "qml.onchip.chip.run", lambda *a, **k: rows.append(len(a[2])) or run(*a, **k)
    )
    gradient(classifier.on(chip))
    # Two shifts for each of the four rotations, four for the controlled one.
    assert rows == [len(X) * (1 + 2 * 4 + 4)] == [chip.circuits_of(len(X))] == [chip.circuits]


def test_only_wanted_gradients_are_measured(classifier, quito):
    chip = OnChip(classifier.circuit, quito, shots=100)
    wanted = torch.tensor([False, True, False, True])
    _, slope = gradient(classifier.on(chip, wanted=wanted))
    assert torch.equal(slope != 0, wanted)
    assert chip.circuits == len(X) * (1 + 4 + 2) == chip.circuits_of(len(X), wanted)


def test_evaluation_measures_no_gradients(classifier, quito):
    chip = OnChip(classifier.circuit, quito, shots=100)
    predict(classifier.on(chip), X)
    assert chip.circuits == len(X)


def test_gradients_of_inputs(classifier, quito):
    chip, x = OnChip(classifier.circuit, quito, shots=SHOTS), X[:1].clone().requires_grad_()
    slopes = []
    layout = chip.compiled.initial_layout
    runner = noisy(compile(classifier.circuit, quito, layout=layout), quito)
    for run in (chip, runner):
        slopes += torch.autograd.grad(classifier.on(run)(x)[:, 1].sum(), x)
    assert (slopes[0] - slopes[1]).abs().max() < 0.2
    assert slopes[1].abs().max() > 0.4


def test_the_same_generator_measures_the_same(classifier, quito):
    chip = OnChip(classifier.circuit, quito, shots=100)
    found = [
        gradient(classifier.on(chip, generator=torch.Generator().manual_seed(5))) for _ in "ab"
    ]
    assert torch.equal(found[0][1], found[1][1])
    other = gradient(classifier.on(chip, generator=torch.Generator().manual_seed(6)))
    assert not torch.equal(found[0][1], other[1])


def test_gradients_that_no_device_measures(classifier, quito):
    with pytest.raises(UsageError, match="cannot measure the gradient 'adjoint'"):
        OnChip(classifier.circuit, quito, gradient="adjoint")


def test_other_observables(quito):
    layer = QuantumLayer(Circuit(2).ry(Weight(0), 0), [PauliString("XX")])
    with pytest.raises(UsageError, match="measures Z of every qubit"):
        layer.on(OnChip(layer.circuit, quito))()


def test_a_mask_of_other_weights(classifier, quito):
    chip = OnChip(classifier.circuit, quito, shots=10)
    with pytest.raises(UsageError, match=r"mask of the circuit's 4 weights, not of shape \[3\]"):
        classifier.on(chip, wanted=torch.ones(3, dtype=torch.bool))(X)
