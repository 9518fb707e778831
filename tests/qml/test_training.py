"""The training loop: exact resume, reproducibility, schedules, hooks, errors."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from qml.checkpoints import TrainState
from qml.encoders import rotation_encoder
from qml.model import Classifier
from qml.pruning import PruneConfig, SmallAnglePruner
from qml.spaces import U3CU3
from qml.supercircuit import SuperCircuit
from qml.tasks import Split
from qml.training import TrainConfig, epoch_generator, evaluate, fit
from qsim import Circuit
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
    "pruner": lambda: {"pruner": SmallAnglePruner(SUPER.full(), PruneConfig(0.5), CONFIG.epochs)},
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
                trained.votes.fill_(np.nan)
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
