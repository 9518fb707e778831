"""Progressive shrinking: how a supernet learns, from the largest network to the smallest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from classical.data.images import DataSet
from classical.distillation.logits import frozen, soft_divergence
from classical.errors import UsageError
from classical.nas.space import Space
from classical.nas.supernet import Supernet
from classical.training import Epoch, TrainConfig, train

PHASES = ("resolution", "kernel", "depth", "expansion", "width")
"""Kinds of choices in the order in which they are opened."""


class SampledSubnets(nn.Module):
    """Loss of random sub-nets: cross-entropy, and soft labels of a teacher with the same weight.

    One step of progressive shrinking (Cai et al., arXiv:1908.09791, section 3.3).
    """

    def __init__(
        self, space: Space, teacher: nn.Module, samples: int = 2, weight: float = 1.0, seed: int = 0
    ) -> None:
        """Copy the teacher and freeze it.

        Args:
            space: of the sub-nets, that of the supernet or a part of it.
            teacher: the largest network, as it was trained alone.
            samples: sub-nets a step.
            weight: of the soft labels.
            seed: draws the sub-nets.

        Raises:
            UsageError: for no samples.
        """
        super().__init__()
        if samples < 1:
            raise UsageError(f"a step takes at least 1 sub-net, and samples={samples}")
        self.space = space
        self.teacher = frozen(teacher)
        self.samples = samples
        self.weight = weight
        self.rng = np.random.default_rng(seed)

    def forward(self, supernet: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Supernet, inputs and labels [batch] -> the mean loss of the sub-nets in nats."""
        with torch.no_grad():
            taught = self.teacher(x)
        losses = []
        for _ in range(self.samples):
            logits = supernet(x, self.space.sample(self.rng))
            soft = soft_divergence(logits, taught)
            losses.append(cross_entropy(logits, y) + self.weight * soft)
        return torch.stack(losses).mean()


def shrink(
    supernet: Supernet,
    data: DataSet,
    config: TrainConfig | None = None,
    *,
    phases: Sequence[str] = PHASES,
    samples: int = 2,
    seed: int = 0,
) -> dict[str, list[Epoch]]:
    """Train a supernet in place: the largest network first, then ever smaller ones beside it.

    Cai et al., "Once-for-All" (arXiv:1908.09791), section 3.3: every phase opens one kind of
    choice, and the largest network, as it was after the first phase, is the teacher. Hidden
    channels are sorted before they become elastic.

    Args:
        supernet: to be trained.
        data: to train on.
        config: of every phase; after the first with half the learning rate.
        phases: kinds of choices in the order in which they are opened.
        samples: sub-nets a step.
        seed: of everything random.

    Returns:
        the records of `train` by phase, "largest" first. Their validation accuracy is the largest
        network's, with statistics of all sub-nets in its batch normalization.

    Raises:
        UsageError: for a kind of choice that the space has not.
    """
    kinds = {name.partition(".")[0] for name in supernet.space.choices}
    unknown = [phase for phase in phases if phase not in kinds]
    if unknown:
        raise UsageError(
            f"the space has no choices of kind {unknown[0]!r}: it has {', '.join(sorted(kinds))}"
        )
    config = config or TrainConfig()
    records = {"largest": train(supernet, data, config, seed=seed)}
    teacher = supernet.extract(supernet.space.largest)
    gentle = replace(config, lr=config.lr / 2)
    for number, phase in enumerate(phases):
        if phase == "expansion":
            supernet.sort_channels()
        space = supernet.space.opened(phases[: number + 1])
        loss = SampledSubnets(space, teacher, samples, seed=seed + number)
        records[phase] = train(supernet, data, gentle, seed=seed + number + 1, loss=loss)
    return records
