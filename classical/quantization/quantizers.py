"""Quantizers that training goes through: numbers in, the nearest of few numbers out.

Rounding has no useful derivative, so gradients go straight through it (Bengio et al.,
arXiv:1308.3432), and stop where values are cut.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.quantization.affine import MAX_BITS, Affine, Scheme
from classical.quantization.calibration import Calibration, fit


def straight_through(x: Tensor, value: Tensor) -> Tensor:
    """Exactly a value, with the gradient of x."""
    return value.detach() + (x - x.detach())


class Rounded(nn.Module):
    """Weights on the integers that fit them now (Jacob et al., arXiv:1712.05877).

    Args:
        scheme: bits and blocks.
        calibration: gives the range at every step, by default `MinMax`.
    """

    def __init__(self, scheme: Scheme, calibration: Calibration | None = None) -> None:
        super().__init__()
        self.scheme = scheme
        self.calibration = calibration

    def forward(self, x: Tensor) -> Tensor:
        """The nearest values, in the same shape."""
        return _rounded(x, fit(x, self.scheme, self.calibration))


class Started(nn.Module):
    """A quantizer that takes its first range from the first data it sees."""

    started: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("started", torch.tensor(False))

    def start(self, x: Tensor) -> None:
        """Take the first range from data."""
        raise NotImplementedError

    def quantize(self, x: Tensor) -> Tensor:
        """The nearest values."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """The nearest values, in the same shape."""
        if not self.started:
            with torch.no_grad():
                self.start(x)
                self.started.fill_(True)
        return self.quantize(x)


class Running(Started):
    """Activations on integers whose range follows that of the batches in training.

    Args:
        scheme: with one scale for all.
        momentum: share of a new batch in the range.
        calibration: gives the range of a batch, by default `MinMax`.

    Raises:
        UsageError: for scales per channel or group.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        scheme: Scheme | None = None,
        momentum: float = 0.1,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        self.scheme = scheme or Scheme(8, symmetric=False)
        if self.scheme.per != "tensor":
            raise UsageError(f'activations have one scale, per="tensor", not {self.scheme.per!r}')
        self.momentum = momentum
        self.calibration = calibration
        self.register_buffer("low", torch.zeros(1))
        self.register_buffer("high", torch.zeros(1))

    def start(self, x: Tensor) -> None:
        self._follow(x, 1.0)

    def quantize(self, x: Tensor) -> Tensor:
        if self.training:
            self._follow(x, self.momentum)
        return _rounded(x, Affine.between(self.low, self.high, self.scheme))

    def _follow(self, x: Tensor, share: float) -> None:
        grid = fit(x, self.scheme, self.calibration)
        ends = torch.tensor([[self.scheme.low], [self.scheme.high]], device=x.device)
        for kept, end in zip((self.low, self.high), ends, strict=True):
            kept.lerp_(grid.dequantize(end), share)


class LSQ(Started):
    """Learned step size, for weights or activations (Esser et al., arXiv:1902.08153).

    Activations without negative values get integers from 0 up.

    Args:
        bits: 2 to 16.

    Raises:
        UsageError: for another number of bits.
    """

    signed: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = _whole_bits(bits, 2)
        self.step = nn.Parameter(torch.ones(()))
        self.register_buffer("signed", torch.tensor(True))

    def start(self, x: Tensor) -> None:
        self.signed.copy_((x < 0).any())
        top = self._limits()[1]
        self.step.copy_(2 * x.abs().mean() / math.sqrt(top)).clamp_(min=1e-8)

    def quantize(self, x: Tensor) -> Tensor:
        low, high = self._limits()
        # Without this factor steps would learn much faster than weights (section 2.2).
        rate = 1 / math.sqrt(x.numel() * high)
        step = self.step.detach() + rate * (self.step - self.step.detach())
        scaled = (x / step).clamp(low, high)
        return straight_through(scaled, scaled.round()) * step

    def _limits(self) -> tuple[int, int]:
        if self.signed:
            return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        return 0, 2**self.bits - 1


class PACT(Started):
    """Activations cut at a learned height, and at 0 (Choi et al., arXiv:1805.06085).

    For layers behind ReLU. The height starts at the greatest value of the first data; weight decay
    is what lowers it.

    Args:
        bits: 1 to 16.

    Raises:
        UsageError: for another number of bits, or first data with negative values.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = _whole_bits(bits, 1)
        self.height = nn.Parameter(torch.ones(()))

    def start(self, x: Tensor) -> None:
        if bool((x < 0).any()):
            raise UsageError(
                "PACT cuts what is negative, and a layer gets such inputs: skip that layer, or "
                "take LSQ for activations"
            )
        self.height.copy_(x.max()).clamp_(min=1e-8)

    def quantize(self, x: Tensor) -> Tensor:
        cut = torch.where(x < self.height, x.relu(), self.height)
        step = self.height.detach() / (2**self.bits - 1)
        return straight_through(cut, (cut / step).round() * step)


def _rounded(x: Tensor, grid: Affine) -> Tensor:
    """Values on integers; where they are cut, the gradient is that of a constant."""
    rows = grid.scheme.blocks(x)
    low, high = (
        (grid.scale * (end - grid.zero_point))[:, None]
        for end in (grid.scheme.low, grid.scheme.high)
    )
    inside = rows.clamp(low, high).reshape(x.shape)
    return straight_through(inside, grid.round(x))


def _whole_bits(bits: int, least: int) -> int:
    if bits not in range(least, MAX_BITS + 1):
        raise UsageError(f"this quantizer takes {least} to {MAX_BITS} bits, not {bits}")
    return bits
