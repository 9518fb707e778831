"""Weights of neighbouring layers brought to the same range, without a change of the function."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.quantization.folding import owner
from classical.quantization.graph import Graph, Node, trace
from classical.quantization.layers import Model

_LAYERS = ("conv2d", "linear")
# Scaling every channel by a positive number before or after these is the same.
_HOMOGENEOUS = ("relu", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "mean", "flatten",
                "dropout", "pad")  # fmt: skip
_ROUNDS = 20


def equalize(model: Model, x: Tensor) -> Model:
    """A copy of the model, in evaluation mode, whose layers have like ranges in all channels.

    Cross-layer equalization (Nagel et al., arXiv:1906.04721, section 4.1): where a layer feeds only
    the next one, through ReLU or pooling at most, output channel i of the first is divided by s_i
    and input channel i of the second multiplied by it, such that both have the same greatest
    weight. One scale per tensor then serves all channels.

    Args:
        model: with folded normalizations, see `fold_batch_norm`.
        x: an input, batch included.

    Raises:
        UsageError: if no two layers follow each other so.
    """
    copy = deepcopy(model).eval()
    pairs = list(_pairs(trace(copy, x)))
    if not pairs:
        raise UsageError(
            "no two layers follow each other with only ReLU or pooling between: fold batch "
            "normalizations first, and replace ReLU6 by ReLU"
        )
    with torch.no_grad():
        for _ in range(_ROUNDS):
            for first, second, groups in pairs:
                _equalize(copy.get_submodule(first), copy.get_submodule(second), groups)
    return copy


def _pairs(graph: Graph) -> Iterator[tuple[str, str, int]]:
    """Names of two layers in a row, and the groups of the second."""
    for node in graph.nodes:
        if node.op in _LAYERS and _plain(graph, node):
            after = _next(graph, node)
            if after is not None and after.op in _LAYERS and _plain(graph, after):
                yield owner(node), owner(after), after.arguments.get("groups", 1)


def _plain(graph: Graph, node: Node) -> bool:
    """A layer of the model that is used once."""
    return node.weight is not None and sum(n.weight == node.weight for n in graph.nodes) == 1


def _next(graph: Graph, node: Node) -> Node | None:
    """What alone reads a result, behind operations that scale with it."""
    users = graph.users(node.name)
    if len(users) != 1:
        return None
    (user,) = users
    if user.op not in _HOMOGENEOUS:
        return user
    channels_kept = user.shape[1] == node.shape[1]
    return _next(graph, user) if channels_kept else None


def _equalize(first: nn.Module, second: nn.Module, groups: int) -> None:
    before, after = first.weight, second.weight
    assert isinstance(before, Tensor)
    assert isinstance(after, Tensor)
    # [groups, outputs, inputs, kernel] of one group; input channels count through all groups.
    grouped = after.view(groups, len(after) // groups, after.shape[1], -1)
    range_before = before.abs().flatten(1).amax(1)
    range_after = grouped.abs().amax((1, 3)).flatten()
    factor = (range_before / range_after).sqrt()
    factor = torch.where((range_before > 0) & (range_after > 0), factor, 1.0)
    before.div_(factor.reshape(-1, *[1] * (before.dim() - 1)))
    if isinstance(first.bias, Tensor):
        first.bias.div_(factor)
    grouped.mul_(factor.reshape(groups, 1, -1, 1))
