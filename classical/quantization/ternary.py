"""Trained ternary weights: three values for each layer, two of them learned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.quantization.quantizers import Started


class TernaryWeight(Started):
    """-negative, 0 or positive by a threshold (Zhu et al., arXiv:1612.01064).

    Both values are learned, and so are the weights behind them, whose gradients are scaled by the
    values (equation 7).

    Args:
        threshold: fraction of the greatest magnitude below which a weight is 0.

    Raises:
        UsageError: for a threshold that is not between 0 and 1.
    """

    def __init__(self, threshold: float = 0.05) -> None:
        super().__init__()
        if not 0 <= threshold < 1:
            raise UsageError(f"the threshold is a fraction, from 0 to below 1, not {threshold}")
        self.threshold = threshold
        self.positive = nn.Parameter(torch.ones(()))
        self.negative = nn.Parameter(torch.ones(()))

    def start(self, x: Tensor) -> None:
        codes = self._codes(x)
        for value, code in ((self.positive, 1), (self.negative, -1)):
            chosen = x[codes == code].abs()
            value.copy_(chosen.mean() if len(chosen) else x.abs().mean())

    def quantize(self, x: Tensor) -> Tensor:
        result: Tensor = _Ternary.apply(x, self._codes(x), self.positive, self.negative)
        return result

    def _codes(self, x: Tensor) -> Tensor:
        return torch.where(x.abs() > self.threshold * x.abs().max(), x.sign(), 0)


class _Ternary(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        ctx.save_for_backward(codes, positive, negative)
        return torch.where(codes > 0, positive, torch.where(codes < 0, -negative, 0))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
        codes, positive, negative = ctx.saved_tensors
        (gradient,) = gradients
        factor = torch.where(codes > 0, positive, torch.where(codes < 0, negative, 1))
        return (
            gradient * factor,
            None,
            gradient[codes > 0].sum(),
            -gradient[codes < 0].sum(),
        )
