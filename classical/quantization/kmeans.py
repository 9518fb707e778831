"""Weights that share few values, found by k-means and trained further (Deep Compression)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from classical.errors import UsageError

_ITERATIONS = 100


def kmeans(values: Tensor, clusters: int) -> Tensor:
    """Centers of clusters of numbers, ascending.

    Lloyd's iteration from centers in even steps from the least to the greatest, which keeps large
    weights best (Han et al., arXiv:1510.00149, section 3.2). A cluster that empties stays.

    Args:
        values: [n], at least one.
        clusters: how many.
    """
    x = values.double()
    centers = torch.linspace(0, 1, clusters, dtype=x.dtype, device=x.device)
    centers = x.min() + centers * (x.max() - x.min())
    for _ in range(_ITERATIONS):
        labels = nearest(x, centers)
        counts = torch.bincount(labels, minlength=clusters)
        sums = torch.bincount(labels, x, minlength=clusters)
        moved = torch.where(counts > 0, sums / counts.clamp(min=1), centers)
        if torch.equal(moved, centers):
            break
        centers = moved.sort().values
    return centers.to(values.dtype)


def nearest(values: Tensor, centers: Tensor) -> Tensor:
    """Number of the nearest of ascending centers, int64 in the shape of the values."""
    return torch.bucketize(values, (centers[1:] + centers[:-1]) / 2)


class KMeans(nn.Module):
    """A quantizer whose weight takes at most 2**bits values, for `prepare_qat`.

    Only the values are trained; the weights keep their clusters. The gradient of a value is the
    mean over its weights, so that learning rates of weights suit; Deep Compression (Han et al.,
    arXiv:1510.00149) takes the sum.
    Weights that are exactly zero, as pruning leaves them, stay zero, which is then a value.

    Args:
        bits: 1 to 8.

    Raises:
        UsageError: for another number of bits.

    Example:
        shared = prepare_qat(model, x, weights=lambda: KMeans(4))
        train(shared, data, TrainConfig(epochs=1, lr=0.01))
        pack(shared, "model.qpk")
    """

    labels: Tensor
    rate: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        if bits not in range(1, 9):
            raise UsageError(f"k-means takes 1 to 8 bits, 2 to 256 values, not {bits} bits")
        self.bits = bits
        self.register_buffer("labels", torch.zeros(0, dtype=torch.uint8))
        self.register_buffer("rate", torch.zeros(0))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The values for a weight: what is trained in its place."""
        zero = weight == 0
        pruned = bool(zero.any())
        others = weight[~zero] if not bool(zero.all()) else weight.flatten()
        centers = kmeans(others, 2**self.bits - pruned)
        labels = nearest(weight, centers)
        if pruned:  # the first value is that of pruned weights
            labels = torch.where(zero, 0, labels + 1)
            centers = torch.cat([centers.new_zeros(1), centers])
        counts = torch.bincount(labels.flatten(), minlength=len(centers))
        self.labels = labels.to(torch.uint8)
        self.rate = 1 / counts.clamp(min=1).to(weight.dtype)
        if pruned:
            self.rate[0] = 0
        return centers

    def forward(self, centers: Tensor) -> Tensor:
        """Values [2**bits] -> the weight."""
        fixed = centers.detach()
        slowed = fixed + self.rate * (centers - fixed)
        return slowed[self.labels.long()]
