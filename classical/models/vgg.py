"""A VGG for small images, and one that the package trains itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from classical.cache import cached
from classical.data.images import load_images
from classical.training import TrainConfig, train

MNIST_VGG = (16, 32, "pool", 64, 64, "pool", 128, 128, "pool")
"""Layers for 28x28 pixels: channels of convolutions, and where to pool."""


class VGG(nn.Module):
    """3x3 convolutions with batch normalization and ReLU, pooled between, and a linear layer.

    Simonyan and Zisserman, arXiv:1409.1556, in the form of the course's labs.
    """

    def __init__(
        self,
        layers: Sequence[int | str] = MNIST_VGG,
        num_classes: int = 10,
        in_channels: int = 1,
    ) -> None:
        """`layers` are channels of a convolution, or "pool"."""
        super().__init__()
        backbone: OrderedDict[str, nn.Module] = OrderedDict()
        channels, number = in_channels, 0
        for k, layer in enumerate(layers):
            if isinstance(layer, str):
                backbone[f"pool{k}"] = nn.MaxPool2d(2)
                continue
            backbone[f"conv{number}"] = nn.Conv2d(channels, layer, 3, padding=1, bias=False)
            backbone[f"bn{number}"] = nn.BatchNorm2d(layer)
            backbone[f"relu{number}"] = nn.ReLU()
            channels, number = layer, number + 1
        self.backbone = nn.Sequential(backbone)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] -> logits [batch, classes]."""
        logits: Tensor = self.classifier(self.flatten(self.pool(self.backbone(x))))
        return logits


def mnist_vgg(seed: int = 0, cache: str | Path | None = None) -> VGG:
    """The VGG trained on the MNIST digits of `load_images`, in evaluation mode.

    The first call trains it, in about a minute on two cores, and keeps the weights.

    Args:
        seed: of the partition, the first weights and training.
        cache: folder of the weights; by default that of the user for this package.

    Raises:
        UsageError: if the data are not installed.
    """

    def trained() -> nn.Module:
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            model = VGG()
        train(model, load_images("mnist", seed), TrainConfig(epochs=8), seed=seed)
        return model

    return cached(VGG(), f"mnist-vgg-{seed}", trained, cache)
