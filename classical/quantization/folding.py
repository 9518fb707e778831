"""Batch normalization as part of the layer before it."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.quantization.graph import Graph, Node, trace
from classical.quantization.layers import Model, plain_weight

LAYERS = ("conv1d", "conv2d", "conv3d", "linear")


def fold_batch_norm(model: Model, x: Tensor) -> Model:
    """A copy of the model, in evaluation mode, whose normalizations are part of their layers.

    Each batch normalization right behind a convolution or linear layer becomes an identity, and
    the layer takes over its factor and offset (Jacob et al., arXiv:1712.05877, equation 14). Others
    stay.

    Args:
        model: one tensor in, one tensor out.
        x: an input, batch included.

    Raises:
        UsageError: if the model cannot be traced, or a layer to fold into is used twice.
    """
    copy = deepcopy(model).eval()
    graph = trace(copy, x)
    sources = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        source = sources.get(node.inputs[0]) if node.inputs else None
        if node.op == "batch_norm" and source and _foldable(graph, source):
            layer = copy.get_submodule(owner(source))
            _fold(layer, owner(source), node)
            copy.set_submodule(node.layer, nn.Identity())
    return copy


def owner(node: Node) -> str:
    """Name of the module that holds the weight of an operation."""
    assert node.weight is not None
    return node.weight.rpartition(".")[0]


def _foldable(graph: Graph, source: Node) -> bool:
    if source.op not in LAYERS or source.weight is None or len(graph.users(source.name)) > 1:
        return False
    if sum(node.weight == source.weight for node in graph.nodes) > 1:
        raise UsageError(
            f"{owner(source)!r} is used more than once, so no normalization can become part of it: "
            "give each use a layer of its own"
        )
    return True


def _fold(layer: nn.Module, name: str, norm: Node) -> None:
    mean, variance = norm.arguments["running_mean"], norm.arguments["running_var"]
    weight = plain_weight(layer, name)
    factor = (variance + norm.arguments["eps"]).rsqrt()
    if norm.arguments["weight"] is not None:
        factor = factor * norm.arguments["weight"]
    offset = -mean if layer.bias is None else layer.bias - mean
    bias = offset * factor
    if norm.arguments["bias"] is not None:
        bias = bias + norm.arguments["bias"]
    with torch.no_grad():
        weight.mul_(factor.reshape(-1, *[1] * (weight.dim() - 1)))
        layer.bias = nn.Parameter(bias.detach())
