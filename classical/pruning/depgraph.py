"""Pruning of channels by Torch-Pruning, for operations that have no rule here."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from classical.errors import UsageError, need
from classical.metrics.running import evaluating
from classical.pruning.channel_pruner import ChannelPruner
from classical.pruning.channels import ChannelGroup, ChannelGroups, Member, check_runs
from classical.pruning.pruner import Model
from classical.pruning.tracing import Role

_Graph: TypeAlias = Any  # torch_pruning.DependencyGraph
_CONVOLUTION = nn.modules.conv._ConvNd
_MAKERS = (_CONVOLUTION, nn.Linear, nn.Embedding)
_ENTRANCE = "an input of the model"


class DepGraphPruner(ChannelPruner):
    """Removes channels of models that `ChannelPruner` cannot follow, by Torch-Pruning.

    Fang et al., arXiv:2301.12900, https://github.com/VainF/Torch-Pruning (extra `pruning`). It
    knows layers, among them nn.MultiheadAttention, GroupNorm, LayerNorm over the channels and the
    inputs of an LSTM, and takes all else as elementwise. Each group is tried out, so what is left
    runs; but that channels of zeros leave without a trace is the promise of `ChannelPruner` only,
    which is to be preferred where it works. Both take the same criteria and ratios.

        pruner = DepGraphPruner(x)
        smaller = pruner(model, dict.fromkeys(pruner.names(model), 0.3))
    """

    def groups(self, model: nn.Module) -> ChannelGroups:
        """What can be removed, each tried out; members are only what criteria look at."""
        traced = copy.deepcopy(model)
        graph = _trace(traced, self.inputs)
        groups: dict[str, ChannelGroup] = {}
        kept: dict[str, str] = {}
        seen: set[str] = set()
        for name, layer in traced.named_modules():
            if not isinstance(layer, _MAKERS) or layer not in graph.module2node or name in seen:
                continue
            try:
                group = _group(graph, name, layer)
                self._remove(model, [(group, torch.tensor([0]))])
            except UsageError as error:
                kept[name] = str(error)
            except Exception as error:  # whatever the package stumbles over
                kept[name] = f"Torch-Pruning cannot follow them ({error!r})"
            else:
                groups[name] = group
                seen |= {member.layer for member in group.role("out")}
        return ChannelGroups(groups, kept)

    def _remove(self, model: Model, removals: Iterable[tuple[ChannelGroup, Tensor]]) -> Model:
        pruned = copy.deepcopy(model)
        graph = _trace(pruned, self.inputs)
        for group, units in removals:
            root = group.members[0]
            index = torch.isin(root.units, units).nonzero().flatten().tolist()
            _dependents(graph, pruned.get_submodule(root.layer), index).prune()
            check_runs(pruned, self.inputs, group.name)
        for name, parameter in pruned.named_parameters():
            parameter.requires_grad_(model.get_parameter(name).requires_grad)
        return pruned


def _trace(model: nn.Module, inputs: tuple[Tensor, ...]) -> _Graph:
    """Run a model, whose parameters all take gradients from now on: the package follows these."""
    package = need("torch_pruning", extra="pruning", purpose="DepGraphPruner")
    model.requires_grad_()
    with evaluating(model, *inputs), torch.enable_grad():
        entering = [_entering(x) for x in inputs]
        try:
            return package.DependencyGraph().build_dependency(
                model,
                entering,
                forward_fn=lambda model, inputs: model(*inputs),
                output_transform=_leaving,
                verbose=False,
            )
        except Exception as error:
            raise UsageError(f"Torch-Pruning cannot follow the model ({error!r})") from error


def _entering(x: Tensor) -> Tensor:
    """A marked operation, for the graph of gradients knows no inputs."""
    x = x.detach().requires_grad_(x.is_floating_point()).clone()
    operation: Any = x.grad_fn
    if operation is not None:
        operation.metadata[_ENTRANCE] = True
    return x


def _leaving(outputs: Any) -> list[Tensor]:
    """Operations of their own, by which the package tells outputs from those of a last layer."""
    tensors = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
    return [tensor.clone() for tensor in tensors if tensor.requires_grad]


def _dependents(graph: _Graph, layer: nn.Module, index: Sequence[int]) -> Any:
    """What loses indices with these outputs of a layer: torch_pruning.Group."""
    cut = graph.get_pruner_of_module(layer).prune_out_channels
    return graph.get_pruning_group(layer, cut, index)


def _group(graph: _Graph, name: str, layer: nn.Module) -> ChannelGroup:
    """The channels that a layer makes; its own weight is the first member.

    Raises:
        UsageError: with the reason, if they have to stay.
    """
    channels = graph.get_out_channels(layer)
    _check_free(graph, layer, range(channels))
    owners: dict[tuple[nn.Module, bool], Tensor] = {}  # the channel that takes an index along
    ties: list[Tensor] = []
    for channel in range(channels):
        for dependency, index in _dependents(graph, layer, [channel]):
            module = dependency.target.module
            making = graph.is_out_channel_pruning_fn(dependency.handler)
            size = (graph.get_out_channels if making else graph.get_in_channels)(module)
            if size is None or isinstance(module, Tensor):
                continue
            owner = owners.setdefault((module, making), torch.full((size,), -1))
            owner[index] = channel
            if module is layer:
                ties.append(torch.tensor(index))
    for (module, _), owner in owners.items():
        blocks = owner.reshape(_divisions(module), -1)
        if len(blocks) > 1:
            if (owner < 0).any():
                raise UsageError("a layer divides them into blocks together with other channels")
            ties.extend(blocks.T)
    labels, units = _joined(channels, ties).unique(return_inverse=True)
    if len(labels) < 2:
        raise UsageError("they leave only all together")
    units = torch.cat([units, torch.tensor([-1])])  # the last for indices without an owner
    members = [
        Member(f"{graph._module2name[module]}.weight", dim, role, units[owner])
        for (module, making), owner in owners.items()
        for dim, role in _roles(module, making)
    ]
    return ChannelGroup(name, len(labels), tuple(members))


def _check_free(graph: _Graph, layer: nn.Module, index: Sequence[int]) -> None:
    """Raise UsageError for channels that an input, an output or a shared weight holds."""
    names: dict[int, list[str]] = {}
    for name, parameter in graph.model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    for dependency, _ in _dependents(graph, layer, index):
        node = dependency.target
        if node.type == graph.ops.OPTYPE.OUTPUT:
            raise UsageError("it makes an output of the model")
        if _ENTRANCE in getattr(node.grad_fn, "metadata", {}):
            raise UsageError(f"they are tied to {_ENTRANCE}")
        held = [node.module] if isinstance(node.module, Tensor) else node.module.parameters()
        for parameter in held:
            if len(names[id(parameter)]) > 1:
                raise UsageError(f"{' and '.join(names[id(parameter)])} are one shared weight")


def _divisions(module: nn.Module) -> int:
    """Into how many blocks a layer divides its channels, which have to stay of one size."""
    if isinstance(module, _CONVOLUTION) and module.groups < module.out_channels:
        return module.groups
    if isinstance(module, nn.GroupNorm):
        return module.num_groups
    return module.num_heads if isinstance(module, nn.MultiheadAttention) else 1


def _joined(count: int, ties: list[Tensor]) -> Tensor:
    """Labels of channels [count], equal where they are tied."""
    labels = torch.arange(count)
    while True:
        before = labels.clone()
        for tie in ties:
            labels[tie] = labels[tie].min()
        if torch.equal(before, labels):
            return labels


def _roles(module: nn.Module, making: bool) -> Iterator[tuple[int, Role]]:
    """The dimension of the weight of a layer that criteria look at, if any, and as what."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
        yield 0, "scale"
    if not isinstance(module, _MAKERS):
        return
    swapped = isinstance(module, nn.Embedding) or getattr(module, "transposed", False)
    if making:
        yield int(swapped), "out"
    elif getattr(module, "groups", 1) == 1:
        yield int(not swapped), "in"
