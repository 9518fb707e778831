"""Criteria of channels: how important each unit of a group is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from classical.errors import UsageError
from classical.metrics.running import evaluating
from classical.pruning.channels import ChannelGroup, Member
from classical.pruning.criteria import Criterion

ChannelCriterion: TypeAlias = Callable[[nn.Module, ChannelGroup], Tensor]
"""(model, group of its channels) -> importance of the units, real [units]."""

Reader: TypeAlias = nn.Conv2d | nn.Linear
"""Layers whose outputs are sums over the channels that they read."""


def by_weights(criterion: Criterion, role: Literal["out", "in"] = "out") -> ChannelCriterion:
    """Importance of a unit: mean over the weights of a channel, summed over its channels.

    With `l1` it is that of Li et al. (arXiv:1608.08710).

    Args:
        criterion: of single weights.
        role: "out" for the weights that make a channel, "in" for those that read it, which are
            small where nobody listens.
    """

    def importance(model: nn.Module, group: ChannelGroup) -> Tensor:
        total = torch.zeros(group.units)
        for member in group.role(role):
            weight = model.get_parameter(member.tensor).detach()
            score = criterion(member.tensor, weight).movedim(member.dim, 0)
            total += _by_unit(member, score.flatten(1).mean(1), group.units)
        return total

    return importance


def batch_norm_scale(model: nn.Module, group: ChannelGroup) -> Tensor:
    """|gamma| of the batch normalization: network slimming (Liu et al., arXiv:1708.06519).

    It tells most after training with an L1 penalty on these factors, `scale_penalty`.

    Raises:
        UsageError: for a group without batch normalization.
    """
    total = torch.zeros(group.units)
    members = group.role("scale")
    if not members:
        raise UsageError(
            f"the channels of {group.name} have no batch normalization with a factor: take another "
            "criterion, such as by_weights(l1)"
        )
    for member in members:
        total += _by_unit(member, model.get_parameter(member.tensor).detach().abs(), group.units)
    return total


def scale_penalty(model: nn.Module) -> Tensor:
    """Sum of |gamma| of all batch normalizations, to add to the loss times a small factor.

    Liu et al., arXiv:1708.06519.
    """
    scales = [
        module.weight.abs().sum()
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine
    ]
    return torch.stack(scales).sum() if scales else torch.zeros(())


class NonZeros:
    """Fraction of activations that are not zero where channels are read.

    One minus the average percentage of zeros (Hu et al., arXiv:1607.03250), for networks with ReLU.

    Args:
        inputs: what the model takes, some hundred samples.
    """

    def __init__(self, *inputs: Tensor) -> None:
        self.inputs = inputs

    def __call__(self, model: nn.Module, group: ChannelGroup) -> Tensor:
        total, count = torch.zeros(group.units), torch.zeros(group.units)
        for member, layer, x in readings(model, group, self.inputs):
            channels = x.movedim(channel_dim(layer), 0).flatten(1)
            total += _by_unit(member, (channels != 0).double().mean(1), group.units)
            count += _by_unit(member, torch.ones(len(channels)), group.units)
        return total / count.clamp_min(1)


class Regression:
    """How well the next layers' outputs are regressed without a unit: ThiNet.

    Luo et al., arXiv:1707.06342: at sampled places an output of the next layer is a sum of what
    each unit contributes. Units are removed greedily, so that the square of what is missing stays
    least; importance is the place in the order of removal.

    Args:
        inputs: what the model takes, some hundred samples.
        samples: places in the outputs of each of the next layers.
        seed: draws them.
    """

    def __init__(self, *inputs: Tensor, samples: int = 500, seed: int = 0) -> None:
        self.inputs = inputs
        self.samples = samples
        self.seed = seed

    def __call__(self, model: nn.Module, group: ChannelGroup) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        parts = [
            self._contributions(layer, x, member, group.units, generator)
            for member, layer, x in readings(model, group, self.inputs)
        ]
        return removal_order(torch.cat(parts))

    def _contributions(
        self, layer: Reader, x: Tensor, member: Member, units: int, generator: torch.Generator
    ) -> Tensor:
        """What every unit adds to sampled outputs: [samples, units]."""
        outputs = torch.randint(layer.weight.shape[0], (8,), generator=generator).tolist()
        rows = []
        for number in outputs:
            found = _apart(layer, x, number)
            rows.append(found[torch.randperm(len(found), generator=generator)[: self.samples // 8]])
        return _by_unit(member, torch.cat(rows).T, units).T


def removal_order(contributions: Tensor) -> Tensor:
    """Place of every unit in the order of greedy removal.

    Args:
        contributions: [samples, units]; the units removed so far sum up to what is missing.

    Returns:
        int64 [units], 0 for the first to go.
    """
    gram = contributions.double().T @ contributions.double()
    order = torch.empty(len(gram), dtype=torch.int64)
    missing = gram.diagonal().clone()  # squared, once each unit goes as well
    left = torch.ones(len(gram), dtype=torch.bool)
    for place in range(len(gram)):
        unit = int(missing.masked_fill(~left, torch.inf).argmin())
        order[unit] = place
        left[unit] = False
        missing += 2 * gram[unit]
    return order


def readings(
    model: nn.Module, group: ChannelGroup, inputs: tuple[Tensor, ...]
) -> list[tuple[Member, Reader, Tensor]]:
    """The layers that read a group of channels, each with what it reads.

    The model is run in evaluation mode and left as it was.

    Raises:
        UsageError: if none is a convolution without groups or a linear layer.
    """
    found: list[tuple[Member, Reader, Tensor]] = []
    hooks = []
    for member in group.role("in"):
        layer = model.get_submodule(member.layer)
        if isinstance(layer, Reader):

            def keep(layer: Reader, given: tuple[Tensor], member: Member = member) -> None:
                found.append((member, layer, given[0].detach()))

            hooks.append(layer.register_forward_pre_hook(keep))
    try:
        with evaluating(model, *inputs):
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise UsageError(
            f"the channels of {group.name} are read by no Conv2d or Linear, whose inputs the "
            "criterion looks at: take another, such as by_weights(l1)"
        )
    return found


def channel_dim(layer: Reader) -> int:
    """Where the channels lie in what a layer reads."""
    return -1 if isinstance(layer, nn.Linear) else 1


def _apart(layer: Reader, x: Tensor, output: int) -> Tensor:
    """One output of a layer as what each input channel adds to it: [places, channels]."""
    weight = layer.weight.detach()[output]
    if isinstance(layer, nn.Linear):
        return (x * weight).reshape(-1, x.shape[-1])
    parts = conv2d(
        x, weight[:, None], None, layer.stride, layer.padding, layer.dilation, len(weight)
    )
    return parts.movedim(1, -1).flatten(0, -2)


def _by_unit(member: Member, values: Tensor, units: int) -> Tensor:
    """Sum what belongs to the same unit: [size, ...] -> [units, ...]."""
    inside = (member.units >= 0).nonzero().flatten()
    total = torch.zeros(units, *values.shape[1:])
    return total.index_add(0, member.units[inside], values.cpu().float()[inside])
