"""One cell of the study of compression: MNIST digits and the dense VGG, with one seed.

What several rows need is made once, when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from classical.data import DataSet, load_images
from classical.metrics import count_macs, model_size_bytes
from classical.models import VGG, mnist_vgg
from classical.pruning import ChannelPruner
from classical.training import TrainConfig, accuracy, train


@dataclass(frozen=True)
class Sizes:
    """Every size of the study.

    Attributes:
        samples: digits of training, validation and test, at most.
        prune_epochs, channel_epochs: of fine-tuning while weights are pruned, and after channels.
        values_epochs: of training the shared values of k-means.
        two_bits_epochs: the same where each layer has four of them.
        student_epochs: of a small network from scratch.
        supernet_epochs: of each phase of a once-for-all supernet.
        subnet_epochs: of fine-tuning what the supernet gives, and of each random network.
        population, generations: of the evolutionary search in the supernet.
        crops: of each photograph, to calibrate on and to compare on.
        latency_runs: of each model.
    """

    samples: tuple[int, int, int] = (3500, 500, 1000)
    prune_epochs: int = 3
    channel_epochs: int = 4
    values_epochs: int = 1
    two_bits_epochs: int = 2
    student_epochs: int = 5
    supernet_epochs: int = 3
    subnet_epochs: int = 8
    population: int = 12
    generations: int = 4
    crops: int = 6
    latency_runs: int = 200


@dataclass(frozen=True)
class Outcome:
    """What a row comes to.

    Attributes:
        model: the compressed one.
        reference: what it is compared with.
        size: bytes of the compressed one; by default those of its parameters.
    """

    model: nn.Module
    reference: nn.Module
    size: int | None = None


class Cell:
    """The digits and their dense VGG.

    Args:
        seed: of the partition and of everything random.
        sizes: of training and search.

    Raises:
        UsageError: if the data are not installed.
    """

    def __init__(self, seed: int, sizes: Sizes) -> None:
        self.seed = seed
        self.sizes = sizes
        data = load_images("mnist", seed)
        parts = zip((data.train, data.valid, data.test), sizes.samples, strict=True)
        chosen = (split.first(count) for split, count in parts)
        self.data = DataSet(data.name, data.num_classes, *chosen)
        self.pruner = ChannelPruner(data.example)

    @cached_property
    def dense(self) -> VGG:
        """Trained, from the cache or for it."""
        return mnist_vgg(self.seed)

    def macs(self, model: nn.Module) -> int:
        """Operations for one digit."""
        return count_macs(model, self.data.example)

    def steps(self, epochs: int) -> int:
        """Of training for so many epochs."""
        return epochs * -(-len(self.data.train) // TrainConfig.batch_size)

    def tune(self, model: nn.Module, epochs: int, lr: float = 0.02, **options: Any) -> None:
        """Train in place."""
        train(model, self.data, TrainConfig(epochs, lr), seed=self.seed, **options)

    def measure(self, outcome: Outcome) -> dict[str, Any]:
        """Facts of a row: [of the reference, of the compressed model] in everything.

        Returns:
            "accuracy" on test samples, "bytes" of weights or of the file, "macs" for one digit.
        """
        pair = (outcome.reference, outcome.model)
        before, after = map(model_size_bytes, pair)
        return {
            "accuracy": [accuracy(model, self.data.test) for model in pair],
            "bytes": [before, after if outcome.size is None else outcome.size],
            "macs": [self.macs(model) for model in pair],
        }
