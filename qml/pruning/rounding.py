"""Rounding of more and more angles to a grid, while the others are trained."""

from __future__ import annotations

import torch
from torch import Tensor

from qml.pruning.angles import Grid, check_finite
from qml.pruning.criteria import Criterion, magnitude
from qml.pruning.schedule import PruneConfig
from qml.pruning.units import Unit, units
from qsim import Circuit
from qsim.errors import UsageError


class GradualRounding:
    """Chooses the weights that `fit` holds on a grid, more of them every epoch, as its `pruner`.

    What is left makes up for those that are held (incremental network quantization, Zhou et al.,
    arXiv:1702.03044). Pruning is rounding to zeros: `GatePruner`.

    Args:
        circuit: every weight the angle of one gate.
        grid: where angles are held.
        config: how many of the units, and when.
        epochs: of the training.
        criterion: says which units go first; by default those that move least.
    """

    def __init__(
        self,
        circuit: Circuit,
        grid: Grid,
        config: PruneConfig,
        epochs: int,
        criterion: Criterion = magnitude,
    ) -> None:
        """Raises UsageError for a circuit without such units."""
        self.grid = grid
        self.config = config
        self.epochs = epochs
        self.criterion = criterion
        self.units = units(circuit, config.unit, grid)
        if config.target > 0 and not self.units:
            raise UsageError(
                f"there is no {config.unit} to round: every angle of a unit is a weight, and some "
                "have a place on the grid"
            )

    def __call__(self, epoch: int, weights: Tensor, frozen: Tensor) -> Tensor:
        """Set further weights [W] in place -> mask of all that are held, bool [W].

        Raises:
            UsageError: for weights or costs that are no numbers.
        """
        check_finite(weights, "rounding")
        frozen = frozen.clone()
        left = [unit for unit in self.units if not frozen[list(unit)].all()]
        goal = round(self.config.fraction(epoch, self.epochs) * len(self.units))
        missing = goal - (len(self.units) - len(left))
        if missing > 0:
            for unit in self._cheapest(left, weights)[:missing]:
                chosen = list(unit)
                weights[chosen] = self.grid.wrapped(self.grid.nearest(weights))[chosen]
                frozen[chosen] = True
        return frozen

    def _cheapest(self, left: list[Unit], weights: Tensor) -> list[Unit]:
        """Units by what it costs to round them."""
        nearest = self.grid.nearest(weights)
        moved = weights.repeat(len(left), 1)
        for row, unit in zip(moved, left, strict=True):
            row[list(unit)] = nearest[list(unit)]
        costs = self.criterion(weights, moved)
        if not costs.isfinite().all():
            raise UsageError(
                "the criterion of pruning gives costs that are no numbers: is the loss finite?"
            )
        return [left[k] for k in torch.argsort(costs, stable=True).tolist()]
