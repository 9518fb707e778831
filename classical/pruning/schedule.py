"""When to prune: in rounds with training between them, or a little more every few steps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from classical.data.images import DataSet
from classical.errors import UsageError
from classical.pruning.masks import Masks, check_fraction, make_masks
from classical.pruning.pruner import Model
from classical.training import TrainConfig, train


class GradualPruner:
    """Prunes while training: the sparsity rises from 0 to its target along a cubic.

    Zhu and Gupta, arXiv:1710.01878. It is a hook of `train`, after which the masks hold:

        pruner = GradualPruner(0.9, steps=200)
        train(model, data, after_step=[pruner])

    Args:
        sparsity: in the end, of all weights.
        steps: of training in which it rises; leave some after them to recover.
        every: how many steps lie between two new choices of masks.
        options: of `make_masks`.

    Raises:
        UsageError: for an impossible sparsity, or less than one step.
    """

    def __init__(self, sparsity: float, steps: int, every: int = 10, **options: Any) -> None:
        check_fraction(sparsity, "the end")
        if steps < 1 or every < 1:
            raise UsageError(
                f"pruning takes one step or more, not steps={steps} with a choice every {every}"
            )
        self.sparsity = sparsity
        self.steps = steps
        self.every = every
        self.options = options
        self.masks = Masks()
        self._step = 0

    def __call__(self, model: nn.Module) -> None:
        """Called after every step."""
        self._step += 1
        if self._step == self.steps or (self._step < self.steps and self._step % self.every == 0):
            self.masks = make_masks(model, self.at(self._step), **self.options)
        self.masks(model)

    def at(self, step: int) -> float:
        """The sparsity after so many steps."""
        return self.sparsity * (1 - (1 - min(1.0, step / self.steps)) ** 3)


def ladder(sparsity: float, rounds: int) -> list[float]:
    """Sparsities after each round, if every round prunes the same fraction of what is left.

    Raises:
        UsageError: for an impossible sparsity, or less than one round.
    """
    check_fraction(sparsity, "the last round")
    if rounds < 1:
        raise UsageError(f"pruning takes one round or more, not {rounds}")
    return [1 - (1 - sparsity) ** (k / rounds) for k in range(1, rounds + 1)]


def prune_iteratively(
    model: Model,
    data: DataSet,
    sparsity: float,
    *,
    rounds: int = 3,
    config: TrainConfig | None = None,
    seed: int = 0,
    watch: Callable[[float, Model], object] = lambda sparsity, model: None,
    **options: Any,
) -> tuple[Model, Masks]:
    """Prune and fine-tune in turn (Han et al., arXiv:1506.02626).

    Args:
        model: trained; it stays as it is.
        data: to fine-tune with.
        sparsity: in the end.
        rounds: each prunes the same fraction of what is left.
        config: of the training in every round.
        seed: of training.
        watch: called with sparsity and model after every round.
        options: of `make_masks`.

    Returns:
        the pruned copy and its masks.

    Raises:
        UsageError: for an impossible sparsity, or less than one round.
    """
    pruned, masks = copy.deepcopy(model), Masks()
    for target in ladder(sparsity, rounds):
        masks = make_masks(pruned, target, **options)
        masks(pruned)
        train(pruned, data, config, seed=seed, after_step=[masks])
        watch(target, pruned)
    return pruned, masks
