"""L0 regularization: channels with gates that learn to close.

Louizos et al., "Learning sparse neural networks through L0 regularization" (arXiv:1712.01312).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from classical.errors import UsageError
from classical.pruning.channel_criteria import Reader, channel_dim
from classical.pruning.channels import ChannelGroup, channel_groups, remove_channels

_TEMPERATURE, _LOW, _HIGH = 2 / 3, -0.1, 1.1  # as in the paper


class HardConcrete(nn.Module):
    """Gates in [0, 1], random while they are trained, that are exactly 0 or 1 with some chance.

    Args:
        units: how many.
        chance: of a gate to be open at first, in (0, 1).
    """

    def __init__(self, units: int, chance: float = 0.9) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.full((units,), log(chance / (1 - chance))))

    def forward(self) -> Tensor:
        """The gates [units]; in evaluation mode without chance."""
        logits: Tensor = self.log_alpha
        if self.training:
            uniform = torch.rand_like(logits).clamp(1e-6, 1 - 1e-6)
            logits = (uniform.logit() + logits) / _TEMPERATURE
        return (logits.sigmoid() * (_HIGH - _LOW) + _LOW).clamp(0, 1)

    def penalty(self) -> Tensor:
        """Expected number of gates that are not zero, scalar."""
        return logsigmoid(self.log_alpha - _TEMPERATURE * log(-_LOW / _HIGH)).exp().sum()


class GatedModel(nn.Module):
    """A copy of a model with a gate for every channel, where the next layers read it.

        gated = GatedModel(model, x)
        train(gated, data, loss=lambda m, x, y: classification(m, x, y) + 1e-3 * m.penalty())
        smaller = gated.collapse(x)

    Args:
        model: it stays as it is.
        inputs: what it takes.
        names: of groups of its channels; by default all.

    Raises:
        UsageError: for a group that cannot be removed, or that another layer than Conv2d and Linear
            reads.
    """

    def __init__(
        self, model: nn.Module, *inputs: Tensor, names: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        found = channel_groups(model, *inputs)
        self.model = copy.deepcopy(model)
        self.groups = [found[name] for name in (found.groups if names is None else names)]
        self.gates = nn.ModuleList(HardConcrete(group.units) for group in self.groups)
        self._open: list[Tensor] = []
        self._hooks: list[Any] = []
        for number, group in enumerate(self.groups):
            self._attach(number, group)

    def forward(self, *inputs: Tensor) -> Any:
        """What the model gives with its channels times their gates."""
        self._open = [gate() for gate in self.gates]
        return self.model(*inputs)

    def penalty(self) -> Tensor:
        """Expected number of channels, scalar, to add to the loss times a small factor."""
        return torch.stack([gate.penalty() for gate in self._by_group()]).sum()

    @torch.no_grad()
    def collapse(self, *inputs: Tensor) -> nn.Module:
        """The plain model: closed channels removed, and half-open gates part of the weights.

        Where all channels of a group are closed, the one that was last to close stays, silent.
        """
        gated = copy.deepcopy(self).eval()
        for hook in gated._hooks:
            hook.remove()
        removals = []
        for group, gate in zip(gated.groups, gated._by_group(), strict=True):
            opened = gate()
            for member in group.role("in"):
                weight = gated.model.get_parameter(member.tensor)
                shape = [-1 if dim == member.dim else 1 for dim in range(weight.ndim)]
                weight.mul_(_spread(opened, member.units).reshape(shape))
            closed = opened == 0
            closed[gate.log_alpha.argmax()] = False
            removals.append((group, closed.nonzero().flatten()))
        return remove_channels(gated.model, removals, *inputs)

    def _by_group(self) -> list[HardConcrete]:
        return [gate for gate in self.gates if isinstance(gate, HardConcrete)]

    def _attach(self, number: int, group: ChannelGroup) -> None:
        for member in group.role("in"):
            layer = self.model.get_submodule(member.layer)
            if not isinstance(layer, Reader):
                raise UsageError(
                    f"{member.layer}, which reads the channels of {group.name}, is "
                    f"{type(layer).__name__}, and gates are for Conv2d and Linear: leave the group "
                    "out by names="
                )
            self._hooks.append(layer.register_forward_pre_hook(_Gate(self, number, member.units)))


class _Gate:
    """Multiplies what a layer reads by the gates of a group."""

    def __init__(self, owner: GatedModel, number: int, units: Tensor) -> None:
        self.owner = owner
        self.number = number
        self.units = units

    def __call__(self, layer: Reader, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x, *others = inputs
        gates = _spread(self.owner._open[self.number], self.units)
        shape = [1] * x.ndim
        shape[channel_dim(layer)] = -1
        return (x * gates.reshape(shape), *others)


def _spread(gates: Tensor, units: Tensor) -> Tensor:
    """[units] -> [size], 1 where an index belongs to no unit."""
    return torch.where(units.to(gates.device) < 0, 1.0, gates[units.to(gates.device)])
