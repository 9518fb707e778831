"""Pruning of channels by a criterion: groups and their ratios in, a smaller copy out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from classical.pruning.channel_criteria import ChannelCriterion, by_weights
from classical.pruning.channels import ChannelGroup, ChannelGroups, channel_groups, remove_channels
from classical.pruning.criteria import l1
from classical.pruning.masks import check_fraction
from classical.pruning.pruner import Model


class ChannelPruner:
    """Removes the least important channels of a model (Li et al., arXiv:1608.08710).

        pruner = ChannelPruner(x)
        smaller = pruner(model, dict.fromkeys(pruner.names(model), 0.3))

    Args:
        inputs: what the model takes, to follow channels through it; a batch of one is enough.
        criterion: of channels.
    """

    def __init__(self, *inputs: Tensor, criterion: ChannelCriterion | None = None) -> None:
        self.inputs = inputs
        self.criterion = criterion or by_weights(l1)

    def groups(self, model: nn.Module) -> ChannelGroups:
        """What can be removed, and why the rest cannot."""
        return channel_groups(model, *self.inputs)

    def names(self, model: nn.Module) -> list[str]:
        """Groups that a ratio can be given for, by the first layer that makes their channels."""
        return list(self.groups(model).groups)

    def __call__(self, model: Model, ratios: Mapping[str, float]) -> Model:
        """A copy without these fractions of the channels; at least one of a group stays.

        Raises:
            UsageError: for a ratio outside [0, 1), a group that is none, and where
                `remove_channels` raises it.
        """
        groups = self.groups(model)
        removals = []
        for name, ratio in ratios.items():
            check_fraction(ratio, name)
            group = groups[name]
            count = min(round(ratio * group.units), group.units - 1)
            if count:
                order = self.criterion(model, group).argsort(stable=True)
                removals.append((group, order[:count]))
        return self._remove(model, removals)

    def _remove(self, model: Model, removals: Iterable[tuple[ChannelGroup, Tensor]]) -> Model:
        return remove_channels(model, removals, *self.inputs)
