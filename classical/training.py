"""One training loop for all methods: stochastic gradients, a one-cycle rate, hooks after steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from classical.data.images import DataSet, Split
from classical.errors import UsageError
from classical.metrics.running import check_inputs, evaluating


@dataclass(frozen=True)
class TrainConfig:
    """Settings of training.

    Attributes:
        epochs: passes over the training samples.
        lr: peak rate of SGD with Nesterov momentum 0.9, in one cycle (Smith, arXiv:1708.07120).
        batch_size: samples a step.
        weight_decay: L2 penalty.

    Raises:
        UsageError: for numbers that training cannot have.
    """

    epochs: int = 5
    lr: float = 0.05
    batch_size: int = 64
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.lr <= 0 or self.batch_size < 1 or self.weight_decay < 0:
            raise UsageError(
                "training takes no negative number of epochs, a positive rate, samples in a batch "
                f"and no negative decay, not {self}"
            )


class Epoch(NamedTuple):
    """Mean training loss (nats), and accuracy in validation."""

    train_loss: float
    valid_accuracy: float


Loss: TypeAlias = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(model, x, y) -> the mean loss of a batch."""

Hook: TypeAlias = Callable[[nn.Module], object]
"""Called with the model after every step, as masks and quantizers need it."""


def classification(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy, in nats."""
    return cross_entropy(model(x), y)


def train(
    model: nn.Module,
    data: DataSet,
    config: TrainConfig | None = None,
    *,
    seed: int = 0,
    loss: Loss = classification,
    after_step: Sequence[Hook] = (),
    after_epoch: Sequence[Callable[[int, Epoch], object]] = (),
) -> list[Epoch]:
    """Train a model in place; it is in evaluation mode afterwards.

    Args:
        model: images [batch, ...] -> logits, or whatever the loss takes.
        data: its training part is trained on, its validation part is watched.
        config: settings, by default those of `TrainConfig`.
        seed: of the order of the samples, and of dropout and the like.
        loss: what is minimized; one that is a module trains its own parameters along, as the
            losses of `classical.distillation` do.
        after_step: called with the model after every step.
        after_epoch: called with the number of finished epochs and what the last one came to.

    Returns:
        one record an epoch.

    Raises:
        UsageError: if the loss is no longer a finite number, or for data that are empty or on
            another device.
    """
    config = config or TrainConfig()
    check_inputs(model, data.train.x)
    learners = nn.ModuleList(m for m in (model, loss) if isinstance(m, nn.Module))
    trained = [p for p in learners.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(
        trained, config.lr, momentum=0.9, nesterov=True, weight_decay=config.weight_decay
    )
    steps = -(-len(data.train) // config.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.lr, total_steps=max(2, steps * config.epochs), pct_start=0.2
    )
    history: list[Epoch] = []
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        for epoch in range(config.epochs):
            model.train()
            total = 0.0
            for index in torch.randperm(len(data.train)).split(config.batch_size):
                optimizer.zero_grad()
                value = loss(model, data.train.x[index], data.train.y[index])
                value.backward()
                optimizer.step()
                schedule.step()
                for hook in after_step:
                    hook(model)
                total += len(index) * _finite(value.item(), epoch)
            history.append(Epoch(total / len(data.train), accuracy(model, data.valid)))
            for watch in after_epoch:
                watch(epoch + 1, history[-1])
    model.eval()
    return history


def predict(model: nn.Module, x: Tensor, batch_size: int = 500) -> Tensor:
    """Logits [N, classes] of samples [N, ...], in evaluation mode and without gradients.

    Raises:
        UsageError: for no samples, or samples on another device than the model.
    """
    with evaluating(model, x):
        return torch.cat([model(batch) for batch in x.split(batch_size)])


def accuracy(model: nn.Module, split: Split, batch_size: int = 500) -> float:
    """Fraction of right answers, in evaluation mode."""
    right = predict(model, split.x, batch_size).argmax(1) == split.y
    return int(right.sum()) / len(split)


def log_likelihood(model: nn.Module, split: Split, batch_size: int = 500) -> float:
    """Mean log-probability of the right answers in nats, 0 at best, in evaluation mode.

    Where samples are few it tells models apart that have the same accuracy.
    """
    return -float(cross_entropy(predict(model, split.x, batch_size), split.y))


def _finite(loss: float, epoch: int) -> float:
    if loss != loss or abs(loss) == float("inf"):
        raise UsageError(
            f"in epoch {epoch + 1} the loss became {loss}: lower the learning rate and start again"
        )
    return loss
