"""The range that integers cover: from data, by five criteria.

Each is a class that is called with values [blocks, n] and a scheme, and gives the lowest and the
highest value that is not cut, each [blocks]. Another criterion is another such class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from classical.errors import UsageError
from classical.quantization.affine import Affine, Scheme

_BINS = 2048


class Calibration(Protocol):
    """A criterion for the range."""

    def __call__(self, values: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
        """Values [blocks, n] -> lowest and highest, each [blocks]."""


def fit(x: Tensor, scheme: Scheme, calibration: Calibration | None = None) -> Affine:
    """The integers for data like x.

    Args:
        x: any shape, floating.
        scheme: bits and blocks.
        calibration: by default `MinMax`.

    Raises:
        UsageError: if there are no values, or one that is not finite.
    """
    check_values(x)
    low, high = (calibration or MinMax())(scheme.blocks(x.detach()), scheme)
    return Affine.between(low, high, scheme)


def check_values(x: Tensor) -> None:
    """Raise UsageError for data without values, or with one that is not finite."""
    if not x.numel():
        raise UsageError(f"there is nothing to calibrate on: the data have shape {list(x.shape)}")
    if not bool(x.isfinite().all()):
        raise UsageError("calibration data hold a value that is not finite: remove its sample")


def fit_activations(
    x: Tensor, scheme: Scheme, calibration: Calibration | None = None, name: str = "a layer"
) -> Affine:
    """The same for what a layer gives, which has to vary.

    Raises:
        UsageError: if it does not, too.
    """
    if x.numel() and bool((x == x.flatten()[0]).all()):
        raise UsageError(
            f"the values of {name} are all {float(x.flatten()[0]):g} on the calibration data: "
            "calibrate on real samples, or remove what is dead"
        )
    return fit(x, scheme, calibration)


@dataclass(frozen=True)
class MinMax:
    """All values: nothing is cut."""

    def __call__(self, values: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
        """See `Calibration`."""
        return values.amin(1), values.amax(1)


@dataclass(frozen=True)
class Percentile:
    """All but the outermost: `percent` of the values lie below the highest, and above the lowest.

    Raises:
        UsageError: for a percentage not above 50 and up to 100.
    """

    percent: float = 99.9

    def __post_init__(self) -> None:
        if not 50 < self.percent <= 100:
            raise UsageError(f"a percentile lies above 50 and up to 100, not at {self.percent}")

    def __call__(self, values: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
        """See `Calibration`."""
        both = [100 - self.percent, self.percent]
        low, high = np.percentile(values.cpu().numpy(), both, axis=1)
        return torch.as_tensor(low).to(values), torch.as_tensor(high).to(values)


@dataclass(frozen=True)
class MSE:
    """The range whose rounding and cutting has the least mean square error, of so many tried."""

    candidates: int = 100

    def __call__(self, values: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
        """See `Calibration`."""
        low, high = values.amin(1), values.amax(1)
        best = torch.full_like(low, math.inf)
        fraction = torch.ones_like(low)
        rows = replace(scheme, per="channel")
        for k in range(1, self.candidates + 1):
            part = k / self.candidates
            grid = Affine.between(part * low, part * high, rows)
            error = (grid.round(values) - values).square().mean(1)
            better = error <= best
            best = torch.where(better, error, best)
            fraction = torch.where(better, part, fraction)
        return fraction * low, fraction * high


@dataclass(frozen=True)
class KL:
    """The range whose histogram loses the least information, as TensorRT chooses it.

    Migacz, "8-bit inference with TensorRT" (GTC 2017): the values beyond a threshold are counted
    into the last bin, the others are merged into as many as there are integers, and the two
    histograms are compared by their Kullback-Leibler divergence.
    """

    def __call__(self, values: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
        """See `Calibration`. Raises UsageError above 8 bits."""
        if scheme.bits > 8:
            raise UsageError(f"KL compares up to 8 bits, not {scheme.bits}: take MSE or MinMax")
        low, high = values.amin(1), values.amax(1)
        found = []
        for row in values.cpu():
            signed = scheme.symmetric or bool((row < 0).any())
            levels = 2 ** (scheme.bits - signed)
            found.append(_threshold(row.abs().double().numpy(), levels))
        cut = torch.as_tensor(found).to(values)
        return torch.maximum(low, -cut), torch.minimum(high, cut)


def _threshold(magnitudes: np.ndarray, levels: int) -> float:
    """The magnitude at which the divergence is least."""
    top = float(magnitudes.max())
    if top == 0:
        return 0.0
    counts, edges = np.histogram(magnitudes, bins=_BINS, range=(0, top))
    ends = range(levels, _BINS + 1, max(1, levels // 16))
    return float(edges[min(ends, key=lambda end: _divergence(counts, end, levels))])


def _divergence(counts: np.ndarray, end: int, levels: int) -> float:
    inside = counts[:end].astype(float)
    clipped = inside.copy()
    clipped[-1] += counts[end:].sum()
    level = np.arange(end) * levels // end
    filled = inside > 0
    totals = np.bincount(level, inside)
    share = totals / np.maximum(np.bincount(level, filled), 1)
    merged = np.where(filled, share[level], 0)
    p, q = clipped / clipped.sum(), merged / max(merged.sum(), 1)
    # A bin that only cutting fills has no counterpart: it counts as if it had a tiny one.
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / np.maximum(q[seen], 1e-9))).sum())


@dataclass(frozen=True)
class ACIQ:
    """The range of least mean square error for values with the density of Laplace or Gauss.

    Banner et al., arXiv:1810.05723. Values without negative ones are taken for the upper half of
    such a density, as after ReLU.

    Raises:
        UsageError: for another density.
    """

    density: str = "laplace"

    def __post_init__(self) -> None:
        if self.density not in _ERRORS:
            raise UsageError(f"the density is one of {', '.join(_ERRORS)}, not {self.density!r}")

    def __call__(self, values: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
        """See `Calibration`."""
        low, high = values.amin(1), values.amax(1)
        half = low >= 0
        used = torch.where(half[:, None] & (values == 0), torch.nan, values)
        center = torch.where(half, torch.zeros_like(low), used.nanmean(1))
        distance = used - center[:, None]
        if self.density == "laplace":
            width = distance.abs().nanmean(1)
        else:
            width = distance.square().nanmean(1).sqrt()
        # Half a density has all integers for one side: one bit more.
        full = _clipping(self.density, scheme.bits)
        one_sided = full if scheme.symmetric else _clipping(self.density, scheme.bits + 1)
        cut = width.nan_to_num() * torch.where(half, one_sided, full)
        return torch.maximum(low, center - cut), torch.minimum(high, center + cut)


def _laplace_error(cut: float, bits: int) -> float:
    return 2 * math.exp(-cut) + cut**2 / (3 * 4**bits)


def _gauss_error(cut: float, bits: int) -> float:
    tail = (cut**2 + 1) * math.erfc(cut / math.sqrt(2))
    return tail - cut * math.sqrt(2 / math.pi) * math.exp(-(cut**2) / 2) + cut**2 / (3 * 4**bits)


_ERRORS = {"laplace": _laplace_error, "gauss": _gauss_error}
"""Mean square error of a density of width 1 that is cut at +-cut (equations 5 and 12)."""


def _clipping(density: str, bits: int) -> float:
    """Where that error is least, by golden-section search."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = 0.1, 30.0
    while right - left > 1e-6:
        one, two = right - ratio * (right - left), left + ratio * (right - left)
        if _ERRORS[density](one, bits) < _ERRORS[density](two, bits):
            right = two
        else:
            left = one
    return (left + right) / 2
