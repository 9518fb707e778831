"""CIFAR-10, for who has a network: 60,000 small photographs of ten classes."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import torch

from classical.data.downloads import Download
from classical.data.images import DataSet, Split, stratified

CIFAR10 = Download(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    170_052_171,
)
"""The binary version: unlike the one for Python it is no pickle, which could run code."""
_SHAPE = (3, 32, 32)
_VALID = 0.1


def cifar10(seed: int = 0, folder: str | Path | None = None) -> DataSet:
    """CIFAR-10 in its own partition, with a tenth of the training part for validation.

    Krizhevsky, "Learning multiple layers of features from tiny images" (2009),
    https://www.cs.toronto.edu/~kriz/cifar.html: 45,000, 5,000 and 10,000 images [3, 32, 32].

    Args:
        seed: draws the validation part, of every class alike.
        folder: of the archive, 170 MB; by default the package's cache.

    Raises:
        UsageError: as `Download.fetch`.
    """
    trained: list[bytes] = []
    test: list[bytes] = []
    with tarfile.open(CIFAR10.fetch(folder), "r:gz") as archive:
        for member in archive:
            name = Path(member.name).name
            file = archive.extractfile(member)
            if file is not None and name.endswith(".bin"):
                (test if name == "test_batch.bin" else trained).append(file.read())
    train = _records(b"".join(trained))
    kept, valid = stratified(train.y.numpy(), seed, (1 - _VALID, _VALID))
    return DataSet(
        "cifar10",
        10,
        Split(train.x[kept], train.y[kept]),
        Split(train.x[valid], train.y[valid]),
        _records(b"".join(test)),
    )


def _records(content: bytes) -> Split:
    """Records of a label, one byte, and of pixels, a byte each, channel by channel."""
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + np.prod(_SHAPE))
    pixels = torch.from_numpy(records[:, 1:].reshape(-1, *_SHAPE).astype(np.float32))
    return Split(pixels.div_(255), torch.from_numpy(records[:, 0].astype(np.int64)))
