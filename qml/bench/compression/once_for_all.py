"""Once-for-all against random search at equal cost, under limits on operations and memory.

The cost is counted in multiply-accumulate operations: three times those of a forward pass for each
sample of training, once for each sample of evaluation or for a teacher. The supernet is trained
once; for each of the limits it is searched, and what is found is fine-tuned with soft labels of the
largest network. Random search may spend as much: it draws networks within the limits, trains each
from scratch for as many epochs as fine-tuning takes, and keeps the one that is best in validation.
Left out are the statistics of batch normalization of two networks for each of the limits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from statistics import mean
from typing import Any

import numpy as np
import torch

from classical.distillation import Logits
from classical.nas import (
    PHASES,
    Limited,
    MobileNet,
    MobileSpace,
    Stage,
    Supernet,
    evolve,
    recalibrated,
    shrink,
    subnet_accuracy,
)
from classical.nas.space import Gene, Space
from classical.training import TrainConfig, accuracy
from qml.bench.compression.cells import Cell, Outcome

SPACE = MobileSpace(
    (Stage(16), Stage(32)),
    resolutions=(10, 14),
    widths=(1.0,),
    kernels=(3, 5),
    expansions=(2, 3, 4),
    stem=8,
    head=48,
)
LIMITS: dict[str, dict[str, float]] = {
    "100k MACs, 3.5 KB": {"macs": 1e5, "peak_bytes": 3500},
    "150k MACs, 5 KB": {"macs": 1.5e5, "peak_bytes": 5000},
    "250k MACs, 6 KB": {"macs": 2.5e5, "peak_bytes": 6000},
}
_PHASES = PHASES[:-1]  # all but the width, which has one option
_SUBNETS = 2  # a step
_BACKWARD = 2  # passes for the gradient cost twice that of the values
_DRAWS = 200
_IMAGES = 250  # for recalibration


class SupernetCell(Cell):
    """The digits and a supernet for all limits."""

    @property
    def config(self) -> TrainConfig:
        """Of each phase."""
        return TrainConfig(self.sizes.supernet_epochs)

    @cached_property
    def supernet(self) -> Supernet:
        """Trained by progressive shrinking."""
        with torch.random.fork_rng([]):
            torch.manual_seed(self.seed)
            supernet = Supernet(SPACE)
        options: dict[str, Any] = {"phases": _PHASES, "samples": _SUBNETS, "seed": self.seed}
        shrink(supernet, self.data, self.config, **options)
        return supernet

    def training_cost(self) -> float:
        """Operations of progressive shrinking."""
        teacher = _macs(SPACE.space.largest)
        cost = (1 + _BACKWARD) * float(teacher)
        for number in range(len(_PHASES)):
            opened = SPACE.space.opened(_PHASES[: number + 1])
            cost += teacher + (1 + _BACKWARD) * _SUBNETS * _mean_macs(opened)
        return cost * self.config.epochs * len(self.data.train)

    def evolved(self, limited: Limited) -> tuple[MobileNet, float]:
        """The best sub-net, fine-tuned, and the operations that both took."""
        sizes, data = self.sizes, self.data
        score = subnet_accuracy(self.supernet, data, _IMAGES)
        found = evolve(limited, score, sizes.population, sizes.generations, seed=self.seed)
        images = min(_IMAGES, len(data.train)) + len(data.valid)
        cost = images * sum(_macs(gene) for gene, _ in found.history)
        model, teacher = (self._extracted(gene) for gene in (found.gene, SPACE.space.largest))
        soft = Logits(teacher, temperature=2.0, weight=0.5)
        self.tune(model, sizes.subnet_epochs, self.config.lr, loss=soft)
        step = (1 + _BACKWARD) * _macs(found.gene) + _macs(SPACE.space.largest)
        return model, cost + step * sizes.subnet_epochs * len(data.train)

    def _extracted(self, gene: Gene) -> MobileNet:
        return recalibrated(self.supernet.extract(gene), self.data.train.x)

    def random(self, limited: Limited, cost: float) -> MobileNet:
        """The best of random networks that are trained from scratch for this cost, at least one."""
        spent, epochs = 0.0, self.sizes.subnet_epochs
        rng = np.random.default_rng(self.seed)
        tried: list[MobileNet] = []
        while spent < cost:
            gene = limited.sample(rng)
            with torch.random.fork_rng([]):
                torch.manual_seed(self.seed + len(tried))
                tried.append(MobileNet(SPACE.plan(gene)))
            self.tune(tried[-1], epochs, self.config.lr)
            samples = (1 + _BACKWARD) * epochs * len(self.data.train) + len(self.data.valid)
            spent += _macs(gene) * samples
        return max(tried, key=lambda net: accuracy(net, self.data.valid))


def _macs(gene: Gene) -> int:
    return SPACE.costs(gene).macs


def _mean_macs(space: Space) -> float:
    rng = np.random.default_rng(0)
    return mean(_macs(space.sample(rng)) for _ in range(_DRAWS))


def under(limits: dict[str, float]) -> Callable[[SupernetCell], Outcome]:
    """Evolution in the supernet beside random search, under these limits."""

    def compared(cell: SupernetCell) -> Outcome:
        limited = SPACE.under(**limits)
        model, cost = cell.evolved(limited)
        return Outcome(model, cell.random(limited, cell.training_cost() / len(LIMITS) + cost))

    return compared


ROWS = {f"once-for-all, {name}": under(limits) for name, limits in LIMITS.items()}
