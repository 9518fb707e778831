"""Removing channels for real: smaller tensors, not zeros."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.metrics.running import evaluating
from classical.pruning.pruner import Model
from classical.pruning.rules import RULES
from classical.pruning.tracing import FIXED, NONE, Role, Tracer, trace

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_HEADS = ("heads", "num_heads", "n_heads")


@dataclass(frozen=True, eq=False)
class Member:
    """A dimension of a parameter or buffer that loses indices with the channels of a group.

    Attributes:
        tensor: its name.
        dim: the dimension.
        role: "out" makes the channels, "in" reads them, "scale" is the factor of a normalization,
            "other" goes along.
        units: unit of every index, -1 where it belongs to none of the group: int64 [size].
    """

    tensor: str
    dim: int
    role: Role
    units: Tensor

    @property
    def layer(self) -> str:
        """Name of its module."""
        return self.tensor.rpartition(".")[0]


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Channels of layers that depend on each other.

    Attributes:
        name: of the first layer that makes them.
        units: how many can be removed, each for itself; a unit is one channel in each of the
            layers, or several, as in a head of attention.
        members: all that a removal cuts.
    """

    name: str
    units: int
    members: tuple[Member, ...]

    def role(self, *roles: Role) -> list[Member]:
        """The members with these roles."""
        return [member for member in self.members if member.role in roles]


@dataclass(frozen=True)
class ChannelGroups:
    """The groups of a model by name, and why the other layers keep their channels.

    Raises:
        UsageError: if there is no group.
    """

    groups: dict[str, ChannelGroup]
    kept: dict[str, str]

    def __post_init__(self) -> None:
        if not self.groups:
            why = "; ".join(f"{name}: {reason}" for name, reason in self.kept.items())
            raise UsageError(
                f"no layer has channels that can be removed ({why or 'there is none'})"
            )

    def __getitem__(self, name: str) -> ChannelGroup:
        """Raises UsageError for a name that is none, with the reason why not."""
        if name in self.groups:
            return self.groups[name]
        if name in self.kept:
            raise UsageError(f"the channels of {name} cannot be removed: {self.kept[name]}")
        raise UsageError(f"there is no group {name!r}: choose of {', '.join(self.groups)}")


def channel_groups(model: nn.Module, *inputs: Tensor) -> ChannelGroups:
    """Find the channels that can be removed, through sums, concatenations and attention.

    What depends on each other leaves together (Fang et al., arXiv:2301.12900).

    Args:
        model: any module; it is run once, in evaluation mode, and left as it was.
        inputs: what it takes; a batch of one is enough.

    Raises:
        UsageError: if there is no channel to remove.
    """
    tracer = trace(model, *inputs, rules=RULES)
    makers = [slot for slot in tracer.slots.values() if slot.role == "out"]
    groups: dict[str, ChannelGroup] = {}
    kept: dict[str, str] = {}
    seen: set[int] = set()
    for maker in makers:
        name = maker.tensor.rpartition(".")[0]
        labels = _removable(tracer, maker.labels)
        if len(labels) < 2:
            reason = "they are tied to channels that have to stay"
            kept[name] = tracer.reasons.get(maker.tensor, reason)
        elif int(labels[0]) not in seen:
            groups[name] = _group(tracer, name, _tied(tracer, labels))
            seen |= set(_tied(tracer, labels).tolist())
    return ChannelGroups(groups, kept)


def _removable(tracer: Tracer, labels: Tensor) -> Tensor:
    """The different labels that are those of channels and not fixed."""
    found = tracer.find(labels).unique()
    return found[(found != NONE) & (found != FIXED)]


def _tied(tracer: Tracer, labels: Tensor) -> Tensor:
    """All labels of the layers that make one of these, in the order of channels."""
    while True:
        more = [
            _removable(tracer, slot.labels)
            for slot in tracer.slots.values()
            if slot.role == "out" and torch.isin(tracer.find(slot.labels), labels).any()
        ]
        joint = torch.cat(more).unique()
        if len(joint) == len(labels):
            return joint
        labels = joint


def _group(tracer: Tracer, name: str, labels: Tensor) -> ChannelGroup:
    members = []
    for slot in tracer.slots.values():
        found = tracer.find(slot.labels)
        inside = torch.isin(found, labels)
        if inside.any():
            units = torch.where(inside, torch.searchsorted(labels, found), -1)
            members.append(Member(slot.tensor, slot.dim, slot.role, units))
    return ChannelGroup(name, len(labels), tuple(members))


def remove_channels(
    model: Model, removals: Iterable[tuple[ChannelGroup, Tensor]], *inputs: Tensor
) -> Model:
    """A copy of the model without some of its channels.

    Args:
        model: it stays as it is.
        removals: groups of the model, each with the units to remove, int64.
        inputs: to see that what is left runs.

    Raises:
        UsageError: if no unit of a group would be left, or if the model no longer runs because it
            has a number of channels written into its forward pass.
    """
    keeps: dict[tuple[str, int], Tensor] = {}
    pruned = copy.deepcopy(model)
    names = []
    for group, units in removals:
        names.append(group.name)
        keep = torch.ones(group.units, dtype=torch.bool)
        keep[units.cpu()] = False
        if not keep.any():
            raise UsageError(f"one of the {group.units} channels of {group.name} has to stay")
        for member in group.members:
            stays = (member.units < 0) | keep[member.units]
            key = (member.tensor, member.dim)
            keeps[key] = keeps.get(key, torch.ones_like(stays)) & stays
        _lower_heads(pruned, group, int(keep.sum()))
    for (name, dim), stays in keeps.items():
        _cut(pruned, name, dim, stays)
    for module in pruned.modules():
        _adopt_sizes(module)
    check_runs(pruned, inputs, *names)
    return pruned


def _cut(model: nn.Module, name: str, dim: int, stays: Tensor) -> None:
    path, _, attribute = name.rpartition(".")
    module = model.get_submodule(path)
    tensor = getattr(module, attribute)
    index = stays.nonzero().flatten().to(tensor.device)
    cut = tensor.detach().index_select(dim, index)
    if isinstance(tensor, nn.Parameter):
        setattr(module, attribute, nn.Parameter(cut, tensor.requires_grad))
    else:
        setattr(module, attribute, cut)


def _adopt_sizes(module: nn.Module) -> None:
    """Let what a layer says of its size agree with its weights."""
    if isinstance(module, _CONVOLUTIONS):
        # Groups leave with all of their channels, so each is as large as before.
        if module.groups > 1:
            size = module.out_channels // module.groups
            inputs = module.in_channels // module.groups
            module.groups = module.weight.shape[0] // size
            module.in_channels = module.groups * inputs
        else:
            module.in_channels = module.weight.shape[1]
        module.out_channels = module.weight.shape[0]
    elif isinstance(module, _TRANSPOSED) and module.groups == 1:
        module.in_channels, module.out_channels = module.weight.shape[:2]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = module.weight.shape[1]
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        known = module.weight if module.affine else module.running_mean
        if known is not None:
            module.num_features = len(known)


def _lower_heads(model: nn.Module, group: ChannelGroup, left: int) -> None:
    """The modules around the layers of a group may know its units as their heads."""
    for path in {member.layer.rpartition(".")[0] for member in group.role("out")}:
        module = model.get_submodule(path)
        for attribute in _HEADS:
            if getattr(module, attribute, None) == group.units:
                setattr(module, attribute, left)


def check_runs(model: nn.Module, inputs: tuple[Tensor, ...], *names: str) -> None:
    """Raise UsageError if a model does not run without channels of these groups."""
    try:
        with evaluating(model):
            model(*inputs)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UsageError(
            f"without channels of {', '.join(names)} the model no longer runs "
            f"({str(error).splitlines()[0]}): a number of channels is written into its forward "
            "pass; let it be found there, as by -1 in a view"
        ) from error
