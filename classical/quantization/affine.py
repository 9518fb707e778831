"""Values on integers: x = scale * (q - zero point), for a tensor, each channel or each group."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from classical.errors import UsageError

MAX_BITS = 16


@dataclass(frozen=True)
class Scheme:
    """How values become integers (Jacob et al., arXiv:1712.05877).

    Attributes:
        bits: of an integer, 2 to 16; with one bit, see `BinaryWeight`.
        symmetric: zero point 0, integers from -(2**(bits-1) - 1) to 2**(bits-1) - 1, as weights
            have it; otherwise the range of the values is used fully, -2**(bits-1) to
            2**(bits-1) - 1.
        per: what has a scale of its own: "tensor", "channel" (each index of the first dimension),
            or so many values in a row.

    Raises:
        UsageError: for other bit widths or divisions.
    """

    bits: int = 8
    symmetric: bool = True
    per: str | int = "tensor"

    def __post_init__(self) -> None:
        if self.bits not in range(2, MAX_BITS + 1):
            raise UsageError(f"linear quantization takes 2 to {MAX_BITS} bits, not {self.bits}")
        groups = isinstance(self.per, int) and self.per > 0
        if not groups and self.per not in ("tensor", "channel"):
            raise UsageError(
                f'a scale is per "tensor", "channel" or number of values, not {self.per!r}'
            )

    @property
    def high(self) -> int:
        """The largest integer."""
        return int(2 ** (self.bits - 1) - 1)

    @property
    def low(self) -> int:
        """The smallest integer."""
        return -self.high - (not self.symmetric)

    def blocks(self, x: Tensor) -> Tensor:
        """[blocks, values]: what shares a scale is a row.

        Raises:
            UsageError: if the values of x are not whole groups.
        """
        if self.per == "tensor":
            return x.reshape(1, -1)
        if self.per == "channel":
            return x.reshape(len(x), -1)
        size = int(self.per)
        if x.numel() % size:
            raise UsageError(
                f"{x.numel()} values of shape {list(x.shape)} are no groups of {size}: "
                "choose a divisor"
            )
        return x.reshape(-1, size)


@dataclass(frozen=True)
class Affine:
    """The integers of a scheme with their scales: x = scale * (q - zero_point).

    Jacob et al., arXiv:1712.05877, equation 1.

    Attributes:
        scheme: bits and blocks.
        scale: [blocks], in units of x.
        zero_point: the integer of 0, int32 [blocks].
    """

    scheme: Scheme
    scale: Tensor
    zero_point: Tensor

    @classmethod
    def between(cls, low: Tensor, high: Tensor, scheme: Scheme) -> Affine:
        """Integers for values from low to high, each [blocks]; 0 is one of them in any case.

        A block without extent, as a pruned channel is, has scale 1.
        """
        low, high = low.clamp(max=0), high.clamp(min=0)
        if scheme.symmetric:
            scale = torch.maximum(-low, high) / scheme.high
        else:
            scale = (high - low) / (scheme.high - scheme.low)
        scale = torch.where(scale > 0, scale, torch.ones_like(scale))
        zero = torch.zeros_like(low) if scheme.symmetric else scheme.low - low / scale
        return cls(scheme, scale, zero.round().clamp(scheme.low, scheme.high).int())

    def quantize(self, x: Tensor) -> Tensor:
        """The nearest integers, int32 in the shape of x."""
        rows = self.scheme.blocks(x)
        q = (rows / self.scale[:, None]).round() + self.zero_point[:, None]
        return q.clamp(self.scheme.low, self.scheme.high).int().reshape(x.shape)

    def dequantize(self, q: Tensor) -> Tensor:
        """What integers stand for, in the shape of q."""
        rows = self.scheme.blocks(q)
        return (self.scale[:, None] * (rows - self.zero_point[:, None])).reshape(q.shape)

    def round(self, x: Tensor) -> Tensor:
        """x where the integers can be, in its own shape and dtype: "fake quantization"."""
        return self.dequantize(self.quantize(x)).to(x.dtype)

    def storage_bits(self, values: int) -> int:
        """Of so many values with their scales (32 bits) and zero points."""
        zeros = 0 if self.scheme.symmetric else self.scheme.bits
        return values * self.scheme.bits + len(self.scale) * (32 + zeros)
