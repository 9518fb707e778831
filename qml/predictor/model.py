"""The graph transformer of QuEst (Wang et al., arXiv:2210.16724)."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, layer_norm, softplus

from qml.predictor.graph import ERROR, KINDS, LEVEL, NUM_FEATURES, NUM_NEIGHBOURS, PULSES
from qsim.sums import sum_by_index

# Brings typical features near 1: errors of gates and readings are hundredths, levels hundreds.
_SCALE = [1.0] * len(KINDS) + [50.0] * 5 + [20.0] + [0.3] * 2 + [0.01]
_SMALL = 1e-5  # errors from here on look different to the network


class GraphTransformer(nn.Module):
    """Graphs of compiled circuits -> their probability of successful trials.

    Nodes attend to themselves and their neighbours in the graph, each of which has its own key and
    value for the place where it stands: before or after, on the first or the second qubit. As in
    the paper, the graph is then summed up by the mean of its nodes and by global features (qubits,
    gates, depth), from which a small network makes the prediction. Unlike there, it does so from
    the expected number of errors, too, a sum over nodes of error times a cost that the transformer
    finds: without errors the prediction is 1, and circuits may be longer than those of training.

    Args:
        width: numbers for a node between layers.
        heads: of attention; divides the width.
        layers: how often nodes look at their neighbours.
    """

    scale: Tensor

    def __init__(self, width: int = 32, heads: int = 4, layers: int = 3) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(_SCALE), persistent=False)
        self.embed = nn.Linear(NUM_FEATURES + 3, width)
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.cost = nn.Linear(width, 1)
        self.summary = nn.Sequential(
            nn.Linear(width + len(KINDS) + 2, width), nn.GELU(), nn.Linear(width, 1)
        )

    def forward(self, graphs: Tensor) -> Tensor:
        """Graphs, filled up with zeros, [batch, nodes, columns] -> predictions [batch]."""
        real = graphs[..., : len(KINDS)].any(-1)
        nodes, counts = graphs[real], real.sum(1)
        owner = torch.repeat_interleave(torch.arange(len(graphs)), counts)
        neighbours = _flat(nodes[:, NUM_FEATURES:].long(), (counts.cumsum(0) - counts)[owner])
        features = nodes[:, :NUM_FEATURES]
        error, pulses = features[:, ERROR], features[:, PULSES : PULSES + 2]
        magnitude = ((error + _SMALL).log10() + 3)[:, None]
        h = self.embed(torch.cat([features * self.scale, magnitude, pulses.log1p()], 1))
        for layer in self.layers:
            h = layer(h, neighbours)
        errors = sum_by_index(softplus(self.cost(h)) * error[:, None], owner, len(graphs))
        kinds = sum_by_index(features[:, : len(KINDS)], owner, len(graphs)) / 20
        depth = graphs[..., LEVEL].amax(1, keepdim=True) / 100
        mean = sum_by_index(h, owner, len(graphs)) / counts[:, None]
        rest = torch.sigmoid(self.summary(torch.cat([mean, kinds, depth, errors], 1)))
        survival = torch.exp(-errors)
        return (survival + (1 - survival) * rest)[:, 0]


class _Layer(nn.Module):
    """Attention to the neighbours, then a network for every node, each added to what was there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)
        self.places = nn.Parameter(0.1 * torch.randn(2, 1 + NUM_NEIGHBOURS, width))
        self.merge = nn.Linear(width, width)
        self.each = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, h: Tensor, neighbours: Tensor) -> Tensor:
        """h [nodes, width], neighbours [nodes, places] (-1 for none) -> [nodes, width]."""
        h = h + self.merge(self._attend(_normal(h), neighbours))
        each: Tensor = self.each(_normal(h))
        return h + each

    def _attend(self, h: Tensor, neighbours: Tensor) -> Tensor:
        size = (self.heads, h.shape[1] // self.heads)
        rows = neighbours.clamp(min=0)
        # The gradient of an embedding is summed in the same order by any number of threads.
        keys, values = (
            (embedding(rows, linear(h)) + place).unflatten(-1, size)
            for linear, place in zip((self.keys, self.values), self.places, strict=True)
        )
        scores = (self.query(h).unflatten(-1, size)[:, None] * keys).sum(-1) / sqrt(size[1])
        attention = scores.masked_fill((neighbours < 0)[..., None], -torch.inf).softmax(1)
        return (attention[..., None] * values).sum(1).flatten(1)


def _normal(h: Tensor) -> Tensor:
    return layer_norm(h, h.shape[-1:])


def _flat(neighbours: Tensor, start: Tensor) -> Tensor:
    """Every node and its neighbours, as rows of all graphs' nodes [nodes, 1 + places]."""
    own = torch.arange(len(neighbours))[:, None]
    moved = torch.where(neighbours < 0, neighbours, neighbours + start[:, None])
    return torch.cat([own, moved], 1)
