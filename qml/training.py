"""One training loop for every stage: circuits, SuperCircuits and pruned circuits.

All randomness of an epoch comes from a generator derived from (seed, stage, epoch), and everything
else that an epoch depends on is in `TrainState`: training that is resumed from any finished epoch
repeats the unbroken run bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import cos, isfinite, pi
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from qml.model import Classifier
from qml.tasks import Split
from qsim import Circuit
from qsim.errors import UsageError

Choices: TypeAlias = tuple[int, ...]

CircuitSampler: TypeAlias = Callable[[np.random.Generator, Choices | None], tuple[Circuit, Choices]]
"""Draws the circuit of one step. It gets the epoch's generator and the choices that it returned for
the step before (None at first), and returns a circuit over the model's weights, and its choices."""

Pruner: TypeAlias = Callable[[int, Tensor, Tensor], Tensor]
"""Called before every epoch with (epoch, weights [W], frozen bool [W]). It may change the weights
in place, and returns the mask of those that stay as they are during the epoch."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training stage.

    Attributes:
        epochs: passes over the training samples.
        lr: peak learning rate of Adam.
        batch_size: samples a step; the last batch of an epoch may be smaller.
        weight_decay: L2 penalty of Adam.
        warmup: fraction of the steps in which the rate rises linearly; then it falls as a cosine to
            zero.
    """

    epochs: int = 40
    lr: float = 0.1
    batch_size: int = 32
    weight_decay: float = 1e-4
    warmup: float = 0.1

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1 or not self.lr > 0 or not 0 <= self.warmup < 1:
            raise UsageError(
                "training takes at least one epoch and one sample a step, a positive learning rate "
                f"and a warm-up from 0 to below 1, not {self}"
            )


class EpochRecord(NamedTuple):
    """What an epoch came to: mean cross-entropy (nats) in training and validation, and accuracy."""

    train_loss: float
    valid_loss: float
    valid_accuracy: float


class Evaluation(NamedTuple):
    """Mean cross-entropy (nats) and fraction of right answers."""

    loss: float
    accuracy: float


@dataclass
class TrainState:
    """All that the rest of a training run depends on, after `epoch` finished epochs.

    Attributes:
        tensors: "weights", Adam's "exp_avg", "exp_avg_sq" and "step", and the mask "frozen".
        epoch: number of finished epochs.
        choices: choices of the last sampled sub-circuit, if circuits are sampled.
        history: one record an epoch.
    """

    tensors: dict[str, Tensor]
    epoch: int = 0
    choices: Choices | None = None
    history: list[EpochRecord] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Everything but the tensors, ready for JSON."""
        return {
            "epoch": self.epoch,
            "choices": self.choices,
            "history": [list(record) for record in self.history],
        }

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], data: dict[str, Any]) -> TrainState:
        """Rebuild a state from its tensors and the value of `to_json`."""
        choices = data["choices"]
        return cls(
            dict(tensors),
            data["epoch"],
            None if choices is None else tuple(choices),
            [EpochRecord(*record) for record in data["history"]],
        )


def fit(
    model: Classifier,
    train: Split,
    valid: Split,
    config: TrainConfig,
    *,
    seed: int,
    stage: str,
    state: TrainState | None = None,
    on_epoch_end: Callable[[TrainState], None] | None = None,
    sampler: CircuitSampler | None = None,
    pruner: Pruner | None = None,
) -> TrainState:
    """Minimize the cross-entropy of `model` in place.

    Args:
        seed, stage: with the number of the epoch they determine every random draw.
        state: where to go on from; all else must be the same as when it was made.
        on_epoch_end: gets the state after every epoch, for checkpoints and progress.
        sampler: draws the circuit of every step; without it, every step trains the model's own.
        pruner: chooses weights that are held fixed, before every epoch.

    Returns:
        The state after the last epoch; the weights are those of the last epoch too.

    Raises:
        UsageError: if the loss is no longer a finite number: the last state that `on_epoch_end` got
            is the last good one.
    """
    state = state or _initial_state(model)
    optimizer = _resume(model, config, state)
    weights, frozen = model.weights, state.tensors["frozen"].clone()
    steps = -(-len(train) // config.batch_size)
    choices, history = state.choices, list(state.history)
    with _threads_for(model, config):
        for epoch in range(state.epoch, config.epochs):
            rng = epoch_generator(seed, stage, epoch)
            if pruner is not None:
                frozen = pruner(epoch, weights.detach(), frozen)
            held = frozen if frozen.any() else None
            order = torch.from_numpy(rng.permutation(len(train)))
            total = 0.0
            for step, index in enumerate(order.split(config.batch_size)):
                circuit = None
                if sampler is not None:
                    circuit, choices = sampler(rng, choices)
                optimizer.param_groups[0]["lr"] = _learning_rate(
                    config, epoch * steps + step, steps
                )
                loss = _step(model, train.x[index], train.y[index], optimizer, circuit, held)
                total += len(index) * _finite(loss, stage, epoch)
            found = evaluate(model, valid)
            _finite(found.loss, stage, epoch)
            history.append(EpochRecord(total / len(train), found.loss, found.accuracy))
            state = _state(model, optimizer, frozen, epoch + 1, choices, history)
            if on_epoch_end is not None:
                on_epoch_end(state)
    return state


def evaluate(model: Classifier, split: Split) -> Evaluation:
    """Loss and accuracy of the model's own circuit, all samples in one batch."""
    with torch.no_grad():
        logits = model(split.x)
        loss = cross_entropy(logits, split.y)
        accuracy = (logits.argmax(1) == split.y).float().mean()
    return Evaluation(loss.item(), accuracy.item())


# Amplitudes times samples below which a step is over before a second thread has woken up; on a busy
# machine PyTorch's threads would then wait for each other thousands of times as long as they work.
_SMALL_STEP = 2**16


@contextmanager
def _threads_for(model: Classifier, config: TrainConfig) -> Iterator[None]:
    """One thread for small circuits, the caller's number for others."""
    before = torch.get_num_threads()
    if config.batch_size << model.circuit.num_qubits < _SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def epoch_generator(seed: int, stage: str, epoch: int) -> np.random.Generator:
    """The generator of one epoch: independent streams for different seeds, stages and epochs."""
    name = int.from_bytes(hashlib.sha256(stage.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, name, epoch])


def _learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then a cosine to zero (Loshchilov and Hutter, arXiv:1608.03983)."""
    total = config.epochs * steps_per_epoch
    warmup = config.warmup * total
    if step < warmup:
        return config.lr * (step + 1) / (warmup + 1)
    return config.lr * (1 + cos(pi * (step - warmup) / (total - warmup))) / 2


def _step(
    model: Classifier,
    x: Tensor,
    y: Tensor,
    optimizer: torch.optim.Optimizer,
    circuit: Circuit | None,
    held: Tensor | None,
) -> float:
    """One step of gradient descent -> loss before it."""
    optimizer.zero_grad()
    loss = cross_entropy(model(x, circuit), y)
    loss.backward()
    if held is None:
        optimizer.step()
    else:
        # Momentum and weight decay move weights without a gradient too, so held ones are put back.
        before = model.weights.detach().clone()
        optimizer.step()
        with torch.no_grad():
            model.weights.copy_(torch.where(held, before, model.weights))
    return loss.item()


def _finite(loss: float, stage: str, epoch: int) -> float:
    if not isfinite(loss):
        raise UsageError(
            f"in epoch {epoch + 1} of {stage} the loss became {loss}: lower the learning rate and "
            "go on from the epoch before"
        )
    return loss


def _initial_state(model: Classifier) -> TrainState:
    weights = model.weights.detach().clone()
    tensors = {
        "weights": weights,
        "exp_avg": torch.zeros_like(weights),
        "exp_avg_sq": torch.zeros_like(weights),
        "step": torch.zeros(()),
        "frozen": torch.zeros_like(weights, dtype=torch.bool),
    }
    return TrainState(tensors)


def _resume(model: Classifier, config: TrainConfig, state: TrainState) -> torch.optim.Adam:
    """Put weights and moments of a state into the model and a new optimizer."""
    weights = state.tensors["weights"]
    if weights.shape != model.weights.shape:
        raise UsageError(
            f"the saved state has {len(weights)} weights, the model {len(model.weights)}: "
            "go on with the circuit that the state was saved with"
        )
    with torch.no_grad():
        model.weights.copy_(weights)
    # The fused kernel takes one call a step; a step on so few weights is all overhead.
    optimizer = torch.optim.Adam(
        [model.weights], lr=config.lr, weight_decay=config.weight_decay, fused=True
    )
    moments = {name: state.tensors[name].clone() for name in ("step", "exp_avg", "exp_avg_sq")}
    optimizer.state[model.weights] = moments
    return optimizer


def _state(
    model: Classifier,
    optimizer: torch.optim.Adam,
    frozen: Tensor,
    epoch: int,
    choices: Choices | None,
    history: list[EpochRecord],
) -> TrainState:
    moments = optimizer.state[model.weights]
    tensors = {name: moments[name].clone() for name in ("step", "exp_avg", "exp_avg_sq")}
    tensors |= {"weights": model.weights.detach().clone(), "frozen": frozen.clone()}
    return TrainState(tensors, epoch, choices, list(history))
