"""The training loop: exact resume, reproducibility, schedules, hooks, errors."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from sklearn.datasets import load_diabetes
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.nn.functional import mse_loss, multi_margin_loss

from qml.data.tasks import Split
from qml.nas.spaces import U3CU3
from qml.nas.supercircuit import SuperCircuit
from qml.nn.ansatz import add_template
from qml.nn.encoders import rotation_encoder
from qml.nn.model import Classifier, QuantumLayer
from qml.pruning import GatePruner, PruneConfig
from qml.training.callbacks import TensorBoard, progress_bar
from qml.training.checkpoints import Checkpoint, TrainState, write_tensors
from qml.training.loop import TrainConfig, epoch_generator, evaluate, fit, predict
from qsim import Circuit, PauliString
from qsim.errors import UsageError

SUPER = SuperCircuit(U3CU3, 2, rotation_encoder(Circuit(2), range(4), ("ry", "rz")))
CONFIG = TrainConfig(epochs=6, lr=0.1, batch_size=16)


def blobs(count, seed):
    """Two classes of angles around different centres."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 2
    x = 0.3 * torch.randn(count, 4, generator=generator) + torch.where(y == 0, 0.5, 2.0)[:, None]
    return Split(x, y)


TRAIN, VALID = blobs(44, 0), blobs(20, 1)


def model():
    return Classifier(SUPER.full(), 2, generator=torch.Generator().manual_seed(2))


HOOKS = {
    "plain": lambda: {},
    "sampler": lambda: {"sampler": SUPER.sampler(max_changes=3)},
    "pruner": lambda: {"pruner": GatePruner(SUPER.full(), PruneConfig(0.5), CONFIG.epochs)},
}


def run(hooks, *, state=None, saved=None, seed=3, stage="stage"):
    trained = model()
    callbacks = [] if saved is None else [saved.append]
    end = fit(
        trained, TRAIN, VALID, CONFIG,
        seed=seed, stage=stage, state=state, callbacks=callbacks, **HOOKS[hooks](),
    )  # fmt: skip
    assert torch.equal(end.tensors["model/weights"], trained.weights)
    return end


@pytest.mark.parametrize("hooks", HOOKS)
def test_resume_from_any_epoch_is_exact(hooks):
    saved = []
    end = run(hooks, saved=saved)
    assert [state.epoch for state in saved] == [1, 2, 3, 4, 5, 6]
    for state in saved:
        tensors, data = load(save(state.tensors)), json.loads(json.dumps(state.to_json()))
        resumed = run(hooks, state=TrainState.from_parts(tensors, data))
        assert resumed.history == end.history
        assert resumed.choices == end.choices
        for name, tensor in end.tensors.items():
            assert torch.equal(resumed.tensors[name], tensor), name


def test_states_are_snapshots():
    saved = []
    run("plain", saved=saved)
    weights = [state.tensors["model/weights"] for state in saved]
    assert not any(torch.equal(a, b) for a, b in pairwise(weights))
    assert [len(state.history) for state in saved] == [1, 2, 3, 4, 5, 6]


def test_seed_and_stage_change_the_run():
    first = run("plain").tensors["model/weights"]
    assert torch.equal(first, run("plain").tensors["model/weights"])
    assert not torch.equal(first, run("plain", seed=4).tensors["model/weights"])
    assert not torch.equal(first, run("plain", stage="other").tensors["model/weights"])


def test_epoch_generators_are_independent():
    draws = {
        epoch_generator(seed, stage, epoch).integers(2**62)
        for seed in (0, 1)
        for stage in ("a", "b")
        for epoch in (0, 1)
    }
    assert len(draws) == 8
    assert epoch_generator(0, "a", 1).random() == epoch_generator(0, "a", 1).random()


def test_it_learns():
    trained = model()
    before = evaluate(trained, VALID)
    config = TrainConfig(epochs=15, lr=0.1, batch_size=11)
    history = fit(trained, TRAIN, VALID, config, seed=0, stage="learn").history
    after = evaluate(trained, VALID)
    assert after.loss < 0.6 * before.loss
    assert after.accuracy > 0.9
    assert history[-1][1:] == after
    assert history[-1].train_loss < history[0].train_loss


def test_train_loss_is_the_mean_over_samples():
    trained = model()
    config = TrainConfig(epochs=1, lr=1e-12, batch_size=15)
    record = fit(trained, TRAIN, VALID, config, seed=0, stage="still").history[0]
    assert record.train_loss == pytest.approx(evaluate(trained, TRAIN).loss, rel=1e-5)


def test_matches_plain_adam():
    """One batch an epoch, constant rate: the loop is torch's Adam."""
    config = TrainConfig(epochs=1, lr=0.05, batch_size=44, weight_decay=0.1, warmup=0.0)
    trained, expected = model(), model()
    fit(trained, TRAIN, VALID, config, seed=0, stage="adam")
    optimizer = torch.optim.Adam(expected.parameters(), lr=0.05, weight_decay=0.1)
    torch.nn.functional.cross_entropy(expected(TRAIN.x), TRAIN.y).backward()
    optimizer.step()
    torch.testing.assert_close(trained.weights, expected.weights)


def test_learning_rate_warms_up_and_falls():
    rates = []

    def sampler(rng, previous):
        rates.append(step_size())
        return SUPER.full(), ()

    trained = model()
    before = trained.weights.detach().clone()

    def step_size():
        nonlocal before
        moved = (trained.weights.detach() - before).abs().max().item()
        before = trained.weights.detach().clone()
        return moved

    config = TrainConfig(epochs=20, lr=0.01, batch_size=44, warmup=0.5)
    fit(trained, TRAIN, VALID, config, seed=0, stage="rate", sampler=sampler)
    moves = [*rates[1:], step_size()]
    assert max(moves) < 0.02
    assert moves[0] < 0.3 * max(moves)
    assert moves[-1] < 0.1 * max(moves)


def test_sampled_circuits_are_trained():
    """Weights of gates that are never sampled get no gradient."""
    small = SUPER.largest(1)
    trained = model()
    before = trained.weights.detach().clone()
    config = TrainConfig(epochs=2, weight_decay=0.0)
    fit(
        trained, TRAIN, VALID, config,
        seed=0, stage="one", sampler=lambda rng, previous: (SUPER.subcircuit(small), ()),
    )  # fmt: skip
    used = SUPER.dense(small)[1]
    changed = trained.weights.detach() != before
    assert changed[used].sum() > 4
    assert changed.sum() == changed[used].sum()


def test_frozen_weights_stay():
    frozen = torch.arange(SUPER.num_weights) % 3 == 0
    trained = model()
    before = trained.weights.detach().clone()
    fit(
        trained, TRAIN, VALID, TrainConfig(epochs=3, weight_decay=0.1),
        seed=0, stage="held", pruner=lambda epoch, weights, old: frozen,
    )  # fmt: skip
    assert torch.equal(trained.weights[frozen], before[frozen])
    assert (trained.weights[~frozen] != before[~frozen]).all()


def test_loss_that_is_not_finite():
    seen = []

    def sampler(rng, previous):
        if seen:
            with torch.no_grad():
                trained.readout.matrix.fill_(np.nan)
        return SUPER.full(), ()

    trained = model()
    with pytest.raises(UsageError, match="in epoch 2 of bad the loss became nan"):
        fit(
            trained, TRAIN, VALID, CONFIG,
            seed=0, stage="bad", sampler=sampler, callbacks=[seen.append],
        )  # fmt: skip
    assert [state.epoch for state in seen] == [1]
    assert seen[0].tensors["model/weights"].isfinite().all()


def test_state_of_another_circuit():
    state = fit(model(), TRAIN, VALID, TrainConfig(epochs=1), seed=0, stage="a")
    other = Classifier(SUPER.dense(SUPER.largest(2))[0], 2)
    with pytest.raises(UsageError, match=r"the model has weights \[24\], the saved state \[96\]"):
        fit(other, TRAIN, VALID, TrainConfig(epochs=2), seed=0, stage="a", state=state)


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"warmup": 1.0}])
def test_settings_that_cannot_train(bad):
    with pytest.raises(UsageError, match="training takes"):
        TrainConfig(**bad)


def test_patience_of_no_epoch():
    with pytest.raises(UsageError, match="1 epoch or more, not 0"):
        TrainConfig(patience=0)


# --- Hybrid models, early stopping, callbacks -----------------------------------------------------


def hybrid():
    torch.manual_seed(5)
    circuit = rotation_encoder(Circuit(2), gates=("ry",))
    return nn.Sequential(
        nn.Linear(4, 8),
        nn.BatchNorm1d(8),
        nn.Dropout(0.3),
        nn.Linear(8, 2),
        QuantumLayer(add_template(circuit, "strongly_entangling", layers=2)),
        nn.Linear(2, 2),
    )


def test_hybrid_models_resume_exactly(tmp_path):
    """Dropout, running means and all moments go on where they were."""
    keep = Checkpoint(tmp_path / "train.safetensors")
    assert keep.load() is None
    whole = hybrid()
    end = fit(whole, TRAIN, VALID, CONFIG, seed=0, callbacks=[keep])
    broken = hybrid()

    def stop(state):
        keep(state)
        if state.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(broken, TRAIN, VALID, CONFIG, seed=0, callbacks=[stop])
    resumed = hybrid()
    torch.manual_seed(99)  # the caller's own draws do not matter
    again = fit(resumed, TRAIN, VALID, CONFIG, seed=0, state=keep.load(), callbacks=[keep])
    assert again.history == end.history
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
    assert keep.load().epoch == CONFIG.epochs
    assert "adam/4.weights/exp_avg" in end.tensors


def test_training_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    trained = hybrid()
    torch.manual_seed(1)
    fit(trained, TRAIN, VALID, TrainConfig(epochs=1), seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_predictions_are_made_without_dropout():
    trained = hybrid().train()
    assert torch.equal(predict(trained, VALID.x), predict(trained, VALID.x))
    assert trained.training


def test_early_stopping_gives_the_best_epoch():
    config = TrainConfig(epochs=60, lr=0.8, batch_size=8, patience=3)
    trained, seen = hybrid(), []
    end = fit(trained, TRAIN, VALID, config, seed=0, callbacks=[seen.append])
    losses = [record.valid_loss for record in end.history]
    best = 1 + int(np.argmin(losses))
    assert end.epoch == best + 3 < 60
    assert end.best_epoch == best
    assert evaluate(trained, VALID).loss == pytest.approx(min(losses), rel=1e-5)
    for name, tensor in seen[best - 1].part("model").items():
        assert torch.equal(trained.state_dict()[name], tensor)
    resumed = hybrid()
    again = fit(resumed, TRAIN, VALID, config, seed=0, state=seen[best])
    assert again.history == end.history
    assert torch.equal(resumed[0].weight, trained[0].weight)


def test_a_loss_that_is_not_finite_keeps_the_last_good_state(tmp_path):
    class Poisoned(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = hybrid()
            self.steps = 0

        def forward(self, x):
            self.steps += self.training
            out = self.inner(x)
            return out * torch.nan if self.steps == 5 else out

    keep = Checkpoint(tmp_path / "kept.safetensors")
    trained = Poisoned()  # three steps an epoch
    with pytest.raises(
        UsageError,
        match=r"in epoch 2 of training the loss became nan at step 2: .* of epoch 1, which "
        r"'.*kept.safetensors' holds",
    ):
        fit(trained, TRAIN, VALID, CONFIG, seed=0, callbacks=[keep])
    state = keep.load()
    assert state.epoch == 1
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, state.part("model")[name])


def test_hooks_on_a_model_without_a_circuit_of_its_own():
    with pytest.raises(UsageError, match="a QuantumLayer or Classifier, not of Sequential"):
        fit(hybrid(), TRAIN, VALID, CONFIG, seed=0, sampler=SUPER.sampler())


# --- Other losses --------------------------------------------------------------------------------


def diabetes(count):
    """Four features of real patients as angles, and how far their illness went, standardized."""
    data = load_diabetes()
    x = torch.as_tensor(data.data[:count, [2, 3, 7, 8]], dtype=torch.float32)
    y = torch.as_tensor(data.target[:count], dtype=torch.float32)
    x, y = 0.5 * (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
    cut = 3 * count // 4
    return Split(x[:cut], y[:cut]), Split(x[cut:], y[cut:])


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        circuit = add_template(rotation_encoder(Circuit(4), gates=("ry",)), "real_amplitudes")
        generator = torch.Generator().manual_seed(4)
        self.layer = QuantumLayer(circuit, [PauliString("IIIZ")], generator=generator)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.scale * self.layer(x)[:, 0]


def test_regression_on_real_data(tmp_path, capsys):
    train, valid = diabetes(320)
    config, keep = TrainConfig(epochs=12, lr=0.05), Checkpoint(tmp_path / "fit.safetensors")
    board, trained = TensorBoard(tmp_path), Regressor()
    with progress_bar("Training", config.epochs) as bar:
        end = fit(
            trained, train, valid, config,
            seed=0, loss=mse_loss, callbacks=[keep, board, bar],
        )  # fmt: skip
    errors = predict(trained, valid.x) - valid.y
    assert end.history[-1].valid_loss == pytest.approx(errors.square().mean().item(), rel=1e-5)
    assert end.history[-1].valid_loss < 0.6 * valid.y.var()  # linear regression comes to 0.44
    assert evaluate(trained, valid, mse_loss) == end.history[-1][1:]
    assert keep.load().history == end.history
    assert {record.valid_accuracy for record in end.history} == {None}
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["scalars"] == ["loss/train", "loss/validation"]
    assert end.note == f"loss {end.history[-1].valid_loss:.3f}"
    assert end.note in capsys.readouterr().out


def test_losses_of_ones_own():
    def margin(logits, classes):
        return multi_margin_loss(logits, classes, margin=2.0)

    trained = model()
    end = fit(trained, TRAIN, VALID, TrainConfig(epochs=15, batch_size=11), seed=0, loss=margin)
    expected = multi_margin_loss(predict(trained, VALID.x), VALID.y, margin=2.0).item()
    assert end.history[-1].valid_loss == pytest.approx(expected, rel=1e-5)
    assert end.history[-1].valid_accuracy > 0.9


def test_losses_that_do_not_fit():
    train, valid = diabetes(20)
    with pytest.raises(UsageError, match=r"takes classes .* not torch.float32 of .*mse_loss"):
        fit(Regressor(), train, valid, TrainConfig(epochs=1), seed=0)
    with pytest.raises(UsageError, match=r"one number, not a tensor of the shape \[15\]"):
        fit(
            Regressor(), train, valid, TrainConfig(epochs=1),
            seed=0, loss=lambda outputs, targets: (outputs - targets) ** 2,
        )  # fmt: skip


def test_files_that_are_no_checkpoints(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"nonsense")
    with pytest.raises(UsageError, match=r"damaged .* delete it to start anew"):
        Checkpoint(path).load()
    path.write_bytes(save({"weights": torch.zeros(2)}))
    with pytest.raises(UsageError, match="damaged"):
        Checkpoint(path).load()
    write_tensors(path, {"weights": torch.zeros(2)}, {"seconds": 3})
    with pytest.raises(UsageError, match="it holds no state of training"):
        Checkpoint(path).load()


def test_states_of_models_with_more_or_less():
    state = fit(hybrid(), TRAIN, VALID, TrainConfig(epochs=1), seed=0)
    with pytest.raises(UsageError, match=r"the model has weights .* nothing of that name"):
        fit(model(), TRAIN, VALID, TrainConfig(epochs=2), seed=0, state=state)
    with pytest.raises(UsageError, match=r"the saved state has .*5\.weight.* the model lacks"):
        fit(hybrid()[:5], TRAIN, VALID, TrainConfig(epochs=2), seed=0, state=state)


def test_tensorboard_gets_the_scalars(tmp_path):
    end = fit(model(), TRAIN, VALID, CONFIG, seed=0, callbacks=[TensorBoard(tmp_path)])
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    for place, tag in enumerate(["loss/train", "loss/validation", "accuracy/validation"]):
        found = [(event.step, event.value) for event in events.Scalars(tag)]
        assert found == [
            (epoch, pytest.approx(record[place])) for epoch, record in enumerate(end.history, 1)
        ]


def test_missing_tensorboard_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError, match=r"efficient-qml\[tensorboard\]"):
        TensorBoard(tmp_path)


def test_progress_in_a_log_is_a_line(capsys):
    with progress_bar("Training", CONFIG.epochs) as bar:
        end = fit(model(), TRAIN, VALID, CONFIG, seed=0, callbacks=[bar])
    assert capsys.readouterr().out == f"Training: 6 epochs, {end.note}\n"
