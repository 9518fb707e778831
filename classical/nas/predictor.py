"""A small network that predicts accuracy from a gene, so that a search costs next to nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from classical.errors import UsageError
from classical.metrics.running import evaluating
from classical.nas.space import Gene, Space


class AccuracyPredictor(nn.Module):
    """Three layers on the one-hot encoding of a gene (arXiv:1908.09791, appendix A).

    Example:
        predictor = AccuracyPredictor(space)
        predictor.fit(genes, [score(gene) for gene in genes])
        found = evolve(limited, predictor.predict)
    """

    def __init__(self, space: Space, width: int = 400, seed: int = 0) -> None:
        super().__init__()
        self.space = space
        inputs = len(space.encode(space.smallest))
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Linear(inputs, width),
                nn.ReLU(),
                nn.Linear(width, width),
                nn.ReLU(),
                nn.Linear(width, 1),
            )
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, codes: Tensor) -> Tensor:
        """Encodings [N, options] -> standardized scores [N]."""
        scores: Tensor = self.layers(codes).squeeze(1)
        return scores

    def fit(
        self, genes: Sequence[Gene], scores: Sequence[float], epochs: int = 300, lr: float = 1e-3
    ) -> float:
        """Train in place on scored genes, all in a batch, with Adam.

        Returns:
            the last mean squared error, in units of the scores' variance.

        Raises:
            UsageError: for fewer than two genes, or another number of scores.
        """
        if len(genes) < 2 or len(genes) != len(scores):
            raise UsageError(
                "a predictor learns from two genes or more with a score each, not from "
                f"{len(genes)} genes and {len(scores)} scores"
            )
        codes = torch.stack([self.space.encode(self.space.canonical(gene)) for gene in genes])
        targets = torch.tensor(scores, dtype=torch.float32)
        self.mean, self.scale = targets.mean(), targets.std().clamp_min(1e-12)
        optimizer = torch.optim.Adam(self.parameters(), lr)
        for _ in range(epochs):
            optimizer.zero_grad()
            loss = mse_loss(self(codes), (targets - self.mean) / self.scale)
            loss.backward()
            optimizer.step()
        return loss.item()

    def predict(self, gene: Gene) -> float:
        """The score of a gene.

        Raises:
            UsageError: for a gene that is not of the space.
        """
        with evaluating(self):
            score = self(self.space.encode(self.space.canonical(gene))[None])
        return float(self.mean + self.scale * score)
