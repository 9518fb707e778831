"""The lottery ticket hypothesis: a sparse part of a network that trains as well as the whole."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Generic

from torch import Tensor, nn

from classical.data.images import DataSet
from classical.errors import UsageError
from classical.pruning.masks import Masks, make_masks
from classical.pruning.pruner import Model
from classical.pruning.schedule import ladder
from classical.training import TrainConfig, train


@dataclass(frozen=True)
class Ticket(Generic[Model]):
    """What was drawn.

    Attributes:
        model: with the weights of the rewound step and zeros, to be trained under the masks.
        masks: of its weights.
        accuracies: in validation, of the model trained in every round, the dense one first.
    """

    model: Model
    masks: Masks
    accuracies: tuple[float, ...]


def lottery_ticket(
    model: Model,
    data: DataSet,
    sparsity: float,
    *,
    rounds: int = 3,
    rewind: int = 0,
    config: TrainConfig | None = None,
    seed: int = 0,
    **options: Any,
) -> Ticket[Model]:
    """Train, prune the smallest weights of all layers, rewind the others, and again.

    Frankle and Carbin, arXiv:1803.03635; rewinding to an early step instead of the first weights is
    Frankle et al., arXiv:1912.05671, though here training starts its schedule anew from there.

        ticket = lottery_ticket(model, data, 0.8)
        train(ticket.model, data, after_step=[ticket.masks])

    Args:
        model: not yet trained; it stays as it is.
        data: to train with.
        sparsity: of the ticket.
        rounds: each prunes the same fraction of what is left.
        rewind: the step of the first training whose weights are gone back to.
        config: of every training.
        seed: of every training.
        options: of `make_masks`; the scope is "global" by default.

    Raises:
        UsageError: for an impossible sparsity, less than one round, or a step that never comes.
    """
    work, masks = copy.deepcopy(model), Masks()
    start = _Snapshot(model, rewind)
    hooks: list[Any] = [start]
    accuracies = []
    for target in ladder(sparsity, rounds):
        accuracies.append(train(work, data, config, seed=seed, after_step=hooks)[-1].valid_accuracy)
        masks = make_masks(work, target, **{"scope": "global"} | options)
        work.load_state_dict(start.weights)
        masks(work)
        hooks = [masks]
    return Ticket(work, masks, tuple(accuracies))


class _Snapshot:
    """Keeps the weights after a step, or the first ones for step 0."""

    def __init__(self, model: nn.Module, step: int) -> None:
        self._step = step
        self._weights: dict[str, Tensor] | None = _copied(model) if step == 0 else None
        self._steps = 0

    def __call__(self, model: nn.Module) -> None:
        self._steps += 1
        if self._steps == self._step:
            self._weights = _copied(model)

    @property
    def weights(self) -> dict[str, Tensor]:
        if self._weights is None:
            raise UsageError(
                f"step {self._step} to rewind to never came, for training had {self._steps}"
            )
        return self._weights


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
