"""Distillation without a teacher that was there before: among peers, and within one network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from classical.distillation.features import captured, features
from classical.distillation.logits import soft_divergence
from classical.errors import UsageError


class MutualLearning(nn.Module):
    """Student and peers learn together, each from the labels and from the others' probabilities.

    Zhang et al., "Deep Mutual Learning" (arXiv:1706.00384), all networks in one step. The peers are
    trained in place and stand in `peers` afterwards.
    """

    def __init__(self, peers: Sequence[nn.Module], temperature: float = 1.0) -> None:
        """Take the peers, one or more.

        Raises:
            UsageError: for none.
        """
        super().__init__()
        if not peers:
            raise UsageError("mutual learning takes at least one peer, and none was given")
        self.peers = nn.ModuleList(peers)
        self.temperature = temperature

    def forward(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Student, inputs and labels [batch] -> the sum of all networks' losses."""
        self.peers.train(model.training)
        cohort = [model(x), *(peer(x) for peer in self.peers)]
        return torch.stack([self._of(k, cohort, y) for k in range(len(cohort))]).sum()

    def _of(self, number: int, cohort: list[Tensor], y: Tensor) -> Tensor:
        own = cohort[number]
        others = [logits.detach() for k, logits in enumerate(cohort) if k != number]
        soft = [soft_divergence(own, other, self.temperature) for other in others]
        return cross_entropy(own, y) + torch.stack(soft).mean()


class SelfDistillation(nn.Module):
    """Classifiers on inner layers learn from the labels and from the network's own output.

    Zhang et al., "Be Your Own Teacher" (arXiv:1905.08094), with one linear classifier on the
    averaged channels of each layer and without the paper's hint loss. They fall away afterwards, or
    serve as early exits: `classifiers`, in the order of `layers`.
    """

    def __init__(
        self,
        student: nn.Module,
        layers: Sequence[str],
        example: Tensor,
        temperature: float = 3.0,
        weight: float = 0.3,
    ) -> None:
        """Make a classifier for every layer.

        Args:
            student: the network to be trained, for its sizes.
            layers: names of inner layers with features [batch, channels, ...].
            example: of its inputs.
            temperature: of the soft labels.
            weight: of the soft labels; the labels have 1 - weight.

        Raises:
            UsageError: for no layers, or unknown ones.
        """
        super().__init__()
        if not layers:
            raise UsageError("self-distillation takes at least one inner layer, and none was given")
        found = features(student, [*layers, ""], example)
        self.classifiers = nn.ModuleList(
            nn.Linear(found[layer].shape[1], found[""].shape[1]).to(example.device)
            for layer in layers
        )
        self.layers = tuple(layers)
        self.temperature = temperature
        self.weight = weight

    def forward(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Student, inputs and labels [batch] -> the sum of all classifiers' losses."""
        with captured(model, self.layers) as found:
            logits = model(x)
        loss = cross_entropy(logits, y)
        for layer, classifier in zip(self.layers, self.classifiers, strict=True):
            inner = classifier(found[layer].flatten(2).mean(2))
            soft = soft_divergence(inner, logits.detach(), self.temperature)
            loss = loss + (1 - self.weight) * cross_entropy(inner, y) + self.weight * soft
        return loss
