"""Network augmentation: a tiny network is trained as a part of larger ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from classical.errors import UsageError

if TYPE_CHECKING:
    from classical.nas.space import Gene
    from classical.nas.supernet import Supernet


class NetAug(nn.Module):
    """Cross-entropy of a tiny sub-net, plus that of a random sub-net that contains it.

    Cai et al., "Network Augmentation for Tiny Deep Learning" (arXiv:2110.08890): tiny networks
    underfit, and the larger ones give them gradients that help.

    Example:
        train(supernet, data, loss=NetAug(supernet, tiny))
        net = recalibrated(supernet.extract(tiny), data.train.x)
    """

    def __init__(self, supernet: Supernet, gene: Gene, weight: float = 1.0, seed: int = 0) -> None:
        """Choose the tiny sub-net.

        Args:
            supernet: the network to be trained.
            gene: of the tiny sub-net.
            weight: of the larger one's loss.
            seed: draws the larger ones.

        Raises:
            UsageError: for a gene that is not of the supernet's space.
        """
        super().__init__()
        self.gene = supernet.space.canonical(gene)
        self.larger = supernet.space.larger(self.gene)
        self.weight = weight
        self.rng = np.random.default_rng(seed)

    def forward(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Supernet, inputs and labels [batch] -> the loss in nats."""
        if not hasattr(model, "space"):
            raise UsageError(
                f"NetAug trains a Supernet, and a {type(model).__name__} was given: "
                "the tiny network is a sub-net of it"
            )
        tiny = cross_entropy(model(x, self.gene), y)
        augmented = cross_entropy(model(x, self.larger.sample(self.rng)), y)
        return tiny + self.weight * augmented
