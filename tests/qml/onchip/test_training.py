"""On-chip training: it learns, resumes bit for bit after a kill, and costs what was said."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest
import torch
from torch import nn

from qml.data.tasks import Split
from qml.nn.model import Classifier
from qml.onchip.chip import OnChip
from qml.onchip.cost import estimate_cost
from qml.onchip.pruning import GradientPruning
from qml.onchip.training import OnChipConfig, train_on_chip
from qml.training.loop import evaluate
from qsim import UsageError

PRUNED = OnChipConfig(steps=6, batch_size=4, pruning=GradientPruning(ratio=0.5))


def trained(model, split, quito, config=PRUNED, **options):
    chip = OnChip(model.circuit, quito, shots=50)
    return train_on_chip(model, chip, split, config, seed=3, **options), chip


def test_it_learns(classifier, split, quito):
    chip = OnChip(classifier.circuit, quito, shots=200)
    with torch.no_grad():
        classifier.weights += 1.5
    before = evaluate(classifier.on(chip), split)
    train_on_chip(classifier, chip, split, OnChipConfig(8, 6, lr=0.4), seed=0)
    assert evaluate(classifier.on(chip), split).loss < before.loss - 0.1


def test_pruned_weights_stay_as_they_are(classifier, split, quito):
    classifier.readout = nn.Linear(2, 2)
    states = []
    trained(classifier, split, quito, callbacks=[states.append])
    for before, after in pairwise(states):
        moved = sum(
            before.tensors[k] != after.tensors[k] for k in ("model/weights", "adam/weights/exp_avg")
        )
        count = after.history[-1].gradients
        assert int((moved > 0).sum()) == count == (4 if (after.step - 1) % 3 == 0 else 2)
        assert (before.tensors["model/readout.bias"] != after.tensors["model/readout.bias"]).all()


def test_sizes_are_those_of_the_accumulation_window(classifier, split, quito):
    states = []
    trained(classifier, split, quito, callbacks=[states.append])
    sizes = [state.tensors["sizes"] for state in states]
    means = [state.tensors["adam/weights/exp_avg"] for state in states]
    assert torch.equal(sizes[0], sizes[1])
    assert torch.equal(sizes[0], sizes[2])
    # Adam's mean takes in a tenth of the gradient, so it tells what that was.
    for size, gradient in ((sizes[0], means[0]), (sizes[3], means[3] - 0.9 * means[2])):
        torch.testing.assert_close(size, gradient.abs() / 0.1, atol=1e-4, rtol=0)
    assert (sizes[0] > 0).any()


@pytest.mark.parametrize("stop", [1, 4])
def test_it_goes_on_bit_for_bit(classifier, split, quito, tmp_path, stop):
    start = {k: t.clone() for k, t in classifier.state_dict().items()}
    whole, _ = trained(classifier, split, quito)
    classifier.load_state_dict(start)

    def interrupt(state):
        if state.step == stop:
            raise KeyboardInterrupt

    path = tmp_path / "qoc.safetensors"
    with pytest.raises(KeyboardInterrupt):
        trained(classifier, split, quito, checkpoint=path, callbacks=[interrupt])
    classifier.load_state_dict(start)
    resumed, chip = trained(classifier, split, quito, checkpoint=path)
    assert resumed.history == whole.history
    assert chip.circuits == sum(record.circuits for record in whole.history[stop:])
    for name, tensor in whole.tensors.items():
        assert torch.equal(tensor, resumed.tensors[name]), name
    assert torch.equal(classifier.weights, whole.tensors["model/weights"])


def small_training(path):
    import torch

    from compile import Device
    from qml.data.tasks import Split
    from qml.nn.model import Classifier
    from qml.onchip.chip import OnChip
    from qml.onchip.training import OnChipConfig, train_on_chip
    from qsim import Circuit, Input, Weight

    circuit = Circuit(2).ry(Input(0), 0).ry(Weight(0), 0).cx(0, 1).ry(Weight(1), 1)
    model = Classifier(circuit, 2, weights=torch.tensor([0.1, 0.2]))
    split = Split(torch.linspace(0, 3, 12)[:, None], torch.arange(12) // 6)
    chip = OnChip(circuit, Device.from_name("quito"), shots=20)
    config = OnChipConfig(steps=6, batch_size=4)
    state = train_on_chip(model, chip, split, config, seed=0, checkpoint=path)
    return state, chip


def test_a_killed_process_goes_on(tmp_path):
    path = tmp_path / "killed"
    script = f"{inspect.getsource(small_training)}\nsmall_training({str(path)!r})"
    victim = subprocess.Popen([sys.executable, "-c", script])
    while not path.exists():
        time.sleep(0.01)
        assert victim.poll() is None
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    (resumed, chip), (whole, every) = small_training(path), small_training(tmp_path / "whole")
    assert 0 < chip.circuits < every.circuits
    assert resumed.history == whole.history
    assert torch.equal(resumed.tensors["model/weights"], whole.tensors["model/weights"])


def test_the_cost_is_known_beforehand(classifier, split, quito):
    for config in (OnChipConfig(3, 4), PRUNED):
        expected = estimate_cost(classifier, OnChip(classifier.circuit, quito, shots=50), config)
        state, _ = trained(classifier, split, quito, config)
        circuits = sum(record.circuits for record in state.history)
        if config.pruning is None:
            assert expected.circuits == circuits == 3 * 4 * 13
        assert expected.circuits == pytest.approx(circuits, rel=0.25)
        assert expected.jobs == config.steps
        assert expected.shots == 50 * expected.circuits
    assert str(expected).startswith(f"6 jobs, {expected.circuits:,} circuits")


def test_seconds_are_those_of_the_calibration(classifier, quito):
    chip = OnChip(classifier.circuit, quito, shots=50)
    cost = estimate_cost(classifier, chip, OnChipConfig(3, 4))
    duration = chip.compiled.measured().estimate_duration(quito.target, unit="s")
    # A job of 2 s for each step, and 250 us between executions.
    assert cost.seconds == pytest.approx(3 * 2 + cost.shots * (250e-6 + duration), rel=1e-3)


def test_a_checkpoint_of_other_settings(classifier, split, quito, tmp_path):
    path = tmp_path / "qoc"
    trained(classifier, split, quito, checkpoint=path)
    with pytest.raises(UsageError, match=r"training with lr 0\.1, not 0\.2"):
        trained(classifier, split, quito, OnChipConfig(6, 4, 0.2), checkpoint=path)
    wider = Classifier(classifier.circuit, 2, readout=nn.Linear(2, 2))
    with pytest.raises(UsageError, match=r"the model has readout.* the saved state nothing"):
        trained(wider, split, quito, checkpoint=path)
    path.write_bytes(b"nonsense")
    with pytest.raises(UsageError, match="damaged"):
        trained(classifier, split, quito, checkpoint=path)


def test_a_loss_that_is_not_finite_keeps_the_last_step(classifier, split, quito, tmp_path):
    def broken(outputs, targets):
        return outputs.sum() * (float("nan") if steps else 1.0)

    steps, path = [], tmp_path / "qoc"
    with pytest.raises(
        UsageError, match=r"step 2 of on-chip training the loss became nan.* step 1"
    ):
        trained(classifier, split, quito, checkpoint=path, callbacks=[steps.append], loss=broken)
    weights = classifier.weights.detach().clone()
    steps.clear()
    state, _ = trained(classifier, split, quito, checkpoint=path, loss=lambda o, t: o.sum())
    assert state.step == 6
    assert not torch.equal(weights, classifier.weights)


def test_settings_that_do_not_fit(classifier, split, quito):
    with pytest.raises(UsageError, match="at least one step"):
        OnChipConfig(steps=0)
    with pytest.raises(UsageError, match="takes 100 samples, but there are 24"):
        trained(classifier, split, quito, OnChipConfig(1, 100))
    other = OnChip(classifier.on(None).circuit.bind(), quito)
    with pytest.raises(UsageError, match="chip runs another circuit"):
        train_on_chip(classifier, other, Split(split.x, split.y), PRUNED, seed=0)
