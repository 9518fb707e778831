"""The rows of the study on digits: how each method makes the dense VGG smaller."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from classical.distillation import Logits
from classical.metrics import model_size_bytes
from classical.models import VGG
from classical.pruning import GradualPruner, uniform
from classical.quantization import IntegerModule, KMeans, pack, prepare_qat, to_integer
from qml.bench.compression.cells import Cell, Outcome

STUDENT = (4, 8, "pool", 8, 8, "pool", 16, 16, "pool")
EARLY = {
    **dict.fromkeys(("backbone.conv0", "backbone.conv1", "backbone.conv3"), 1 / 2),
    **dict.fromkeys(("backbone.conv2", "backbone.conv4"), 1 / 4),
}
"""Of the VGG's channels, what is removed."""
_CALIBRATION = 256  # digits


def fine_grained(cell: Cell) -> Outcome:
    """Nine of ten weights become zero while the network is trained; the bytes are the others'."""
    model = _pruned(cell, 0.9)
    return Outcome(model, cell.dense, model_size_bytes(model, nonzero_only=True))


def uniform_channels(cell: Cell) -> Outcome:
    """The same fraction of all channels, so that half the operations stay."""
    return _without(cell, uniform(cell.dense, cell.pruner, cell.macs, 0.5))


def early_channels(cell: Cell) -> Outcome:
    """More of the channels on large maps, and of those that pooling reads.

    Pooling and normalization are no operations that count, but they take time; and what stays are
    8, 16, 48, 32, 96 and 128 channels, whole vectors of the processor.
    """
    return _without(cell, EARLY)


def four_bits(cell: Cell) -> Outcome:
    """16 values for each layer, found by k-means and trained further, in a packed file."""
    return _shared(cell, cell.dense, 4, cell.sizes.values_epochs, 0.01)


def two_bits(cell: Cell) -> Outcome:
    """The same with 4 values."""
    return _shared(cell, cell.dense, 2, cell.sizes.two_bits_epochs, 0.02)


def integers(cell: Cell) -> Outcome:
    """Integers of 8 bits alone, after training, without any more of it."""
    network = to_integer(cell.dense, cell.data.train.x[:_CALIBRATION])
    return Outcome(IntegerModule(network), cell.dense, network.weight_bytes)


def deep_compression(cell: Cell) -> Outcome:
    """Pruning, k-means and Huffman codes in turn (Han et al., arXiv:1510.00149)."""
    return _shared(cell, _pruned(cell, 0.93), 4, cell.sizes.values_epochs, 0.01)


def student(cell: Cell) -> Outcome:
    """A small VGG with soft labels of the dense one, beside itself without."""
    return Outcome(_student(cell, loss=Logits(cell.dense)), _student(cell))


def _student(cell: Cell, **options: nn.Module) -> VGG:
    with torch.random.fork_rng([]):
        torch.manual_seed(cell.seed)
        model = VGG(STUDENT)
    cell.tune(model, cell.sizes.student_epochs, 0.05, **options)
    return model


def _pruned(cell: Cell, sparsity: float) -> VGG:
    """Two thirds of the training for pruning, the rest to recover."""
    model, epochs = copy.deepcopy(cell.dense), cell.sizes.prune_epochs
    pruner = GradualPruner(sparsity, steps=cell.steps(epochs) * 2 // 3, scope="global")
    cell.tune(model, epochs, after_step=[pruner])
    return model


def _without(cell: Cell, ratios: Mapping[str, float]) -> Outcome:
    model = cell.pruner(cell.dense, ratios)
    cell.tune(model, cell.sizes.channel_epochs)
    return Outcome(model, cell.dense)


def _shared(cell: Cell, model: nn.Module, bits: int, epochs: int, lr: float) -> Outcome:
    shared = prepare_qat(model, cell.data.example, weights=lambda: KMeans(bits))
    cell.tune(shared, epochs, lr)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.qpk"
        pack(shared, path)
        return Outcome(shared, cell.dense, path.stat().st_size)


ROWS: dict[str, Callable[[Cell], Outcome]] = {
    "90 % of weights pruned": fine_grained,
    "channels, the same everywhere": uniform_channels,
    "channels, early layers harder": early_channels,
    "k-means, 4 bits": four_bits,
    "k-means, 2 bits": two_bits,
    "integers, 8 bits": integers,
    "Deep Compression": deep_compression,
    "distilled student": student,
}
