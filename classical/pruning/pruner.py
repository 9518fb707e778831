"""What a pruner is, for all that chooses how much to prune where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias, TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)

Evaluate: TypeAlias = Callable[[nn.Module], float]
"""model -> how good it is, such as its accuracy in validation; more is better."""

Cost: TypeAlias = Callable[[nn.Module], float]
"""model -> what it costs, such as its MACs or its measured latency."""


class Pruner(Protocol):
    """`WeightPruner` or `ChannelPruner`, or anything else with the same two methods."""

    def names(self, model: nn.Module) -> list[str]:
        """What ratios can be given for."""

    def __call__(self, model: Model, ratios: Mapping[str, float], /) -> Model:
        """A copy without these fractions of what the names stand for."""
