"""Sensitivity scan: how good the model stays while one layer alone is pruned (lab 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from classical.plots import panels
from classical.pruning.masks import WeightPruner
from classical.pruning.pruner import Evaluate, Pruner


@dataclass(frozen=True)
class Sensitivity:
    """What a scan found.

    Attributes:
        dense: of the model as it is.
        ratios: how much was pruned.
        scores: by name, what was left after each of the ratios.
    """

    dense: float
    ratios: tuple[float, ...]
    scores: dict[str, tuple[float, ...]]

    def most(self, loss: float) -> dict[str, float]:
        """The largest ratio of each name before the first that costs more than this loss."""
        found = {}
        for name, scores in self.scores.items():
            found[name] = 0.0
            for ratio, score in sorted(zip(self.ratios, scores, strict=True)):
                if score < self.dense - loss:
                    break
                found[name] = ratio
        return found

    def plot(self, columns: int = 3) -> Any:
        """A matplotlib figure with a panel for every name.

        Raises:
            UsageError: if matplotlib is not installed.
        """
        purpose = "plotting a sensitivity scan"
        figure, axes = panels(list(self.scores), columns, purpose, sharey=True)
        for axis, scores in zip(axes, self.scores.values(), strict=True):
            axis.plot(self.ratios, scores, marker="o")
            axis.axhline(self.dense, color="grey", linestyle="--")
            axis.set(xlabel="pruned", ylabel="score")
        return figure


def sensitivity_scan(
    model: nn.Module,
    evaluate: Evaluate,
    *,
    pruner: Pruner | None = None,
    ratios: Sequence[float] = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    names: Sequence[str] | None = None,
) -> Sensitivity:
    """Prune one layer at a time, by each of the ratios, and see what is left; no fine-tuning.

    Han et al., arXiv:1506.02626, section 3.

        scan = sensitivity_scan(model, lambda model: accuracy(model, data.valid))
        scan.plot().savefig("scan.png")

    Args:
        model: trained; it stays as it is.
        evaluate: how good a model is.
        pruner: by default single weights by their magnitude.
        ratios: fractions to prune.
        names: of those that the pruner knows; by default all.

    Raises:
        UsageError: for a ratio outside [0, 1) or an unknown name.
    """
    pruner = pruner or WeightPruner()
    scores = {
        name: tuple(evaluate(pruner(model, {name: ratio})) for ratio in ratios)
        for name in (pruner.names(model) if names is None else names)
    }
    return Sensitivity(evaluate(model), tuple(ratios), scores)
