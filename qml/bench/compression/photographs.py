"""EfficientNet-Lite0 with ImageNet weights, compressed without ImageNet.

Accuracy is agreement with the original's first guess. It is measured on photographs of scikit-image
and on crops of them, half of them at a time; what has to be calibrated, sees crops of the other
half alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from classical.data import photographs
from classical.metrics import count_macs, model_size_bytes
from classical.metrics.running import evaluating
from classical.models import EfficientNetLite0, efficientnet_lite0
from classical.pruning import ChannelPruner
from classical.quantization import IntegerModule, to_integer
from qml.bench.compression.cells import Outcome, Sizes

_SIDE, _LARGE, _SMALLEST = 224, 288, 176
_BATCH = 8
_RATIO = 0.05
"""Of the channels within a block: without ImageNet to train on, no more is forgiven."""


class PhotographCell:
    """The photographs and their network.

    Args:
        seed: of the crops.
        sizes: of the study.

    Raises:
        UsageError: if photographs or weights are not installed.
    """

    def __init__(self, seed: int, sizes: Sizes) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.sizes = sizes

    @cached_property
    def network(self) -> EfficientNetLite0:
        """As it was trained on ImageNet."""
        return efficientnet_lite0()

    @cached_property
    def halves(self) -> list[Tensor]:
        """Crops of every other photograph, and of the others; the first are whole."""
        whole, large = photographs(_SIDE), photographs(_LARGE)
        return [
            torch.cat([whole[first::2], *(c for x in large[first::2] for c in self._crops(x))])
            for first in (0, 1)
        ]

    def _crops(self, image: Tensor) -> Iterator[Tensor]:
        """[3, side, side] -> random squares, every other one flipped, each [1, 3, 224, 224]."""
        for number in range(self.sizes.crops):
            side = self._draw(_SMALLEST, _LARGE)
            top, left = (self._draw(0, _LARGE - side) for _ in range(2))
            square = image[None, :, top : top + side, left : left + side]
            crop = interpolate(square, (_SIDE, _SIDE), mode="bilinear", antialias=True)
            yield crop.flip(-1) if number % 2 else crop

    def _draw(self, low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=self.generator))

    def measure(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        """Facts of a row, as those of `Cell.measure`; outcome k has seen half k and not the other.

        "accuracy" is the fraction of the other half on which the first guesses agree.
        """
        agreements = [
            first_guesses(outcome.model, unseen) == first_guesses(outcome.reference, unseen)
            for outcome, unseen in zip(outcomes, reversed(self.halves), strict=True)
        ]
        outcome = outcomes[0]
        pair, example = (outcome.reference, outcome.model), self.halves[0][:1]
        before, after = map(model_size_bytes, pair)
        return {
            "accuracy": [1.0, torch.cat(agreements).float().mean().item()],
            "bytes": [before, after if outcome.size is None else outcome.size],
            "macs": [count_macs(model, example) for model in pair],
        }


def first_guesses(model: nn.Module, images: Tensor) -> Tensor:
    """The most likely class of each image, int64 [images]."""
    with evaluating(model):
        return torch.cat([model(batch).argmax(1) for batch in images.split(_BATCH)])


def integers(cell: PhotographCell) -> list[Outcome]:
    """Integers of 8 bits alone, calibrated on crops."""
    networks = [to_integer(cell.network, seen) for seen in cell.halves]
    return [
        Outcome(IntegerModule(network), cell.network, network.weight_bytes) for network in networks
    ]


def channels(cell: PhotographCell) -> list[Outcome]:
    """Channels within blocks removed by their weights, without training, for lack of ImageNet."""
    pruner = ChannelPruner(cell.halves[0][:1])
    within = [name for name in pruner.names(cell.network) if name.endswith("expand.conv")]
    model = pruner(cell.network, dict.fromkeys(within, _RATIO))
    return [Outcome(model, cell.network)] * len(cell.halves)


ROWS: dict[str, Callable[[PhotographCell], list[Outcome]]] = {
    "EfficientNet-Lite0, integers": integers,
    "EfficientNet-Lite0, channels": channels,
}
