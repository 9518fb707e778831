"""Rounding up or down, learned for each weight."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from classical.errors import UsageError
from classical.quantization.affine import Affine, Scheme
from classical.quantization.calibration import MSE, fit
from classical.quantization.layers import Model, plain_weight, watch, weighted_layers

# Of the paper: stretch of the sigmoid, weight of the regularizer, its first and last power.
_LOW, _HIGH = -0.1, 1.1
_WEIGHT = 0.01
_POWERS = (20.0, 2.0)
_WARM_UP = 0.2


def adaround(
    model: Model,
    x: Tensor,
    scheme: Scheme,
    *,
    steps: int = 1000,
    lr: float = 0.01,
    batch_size: int = 32,
    seed: int = 0,
) -> Model:
    """A copy of the model with weights rounded such that the outputs of layers change least.

    AdaRound (Nagel et al., arXiv:2004.10568): layer by layer, in the order in which they work, each
    on what the layers before it give after rounding.

    Args:
        model: any; normalizations may be folded before, see `fold_batch_norm`.
        x: samples, batch included; some hundred.
        scheme: of weights.
        steps: of Adam for each layer.
        lr: its rate.
        batch_size: samples of a step.
        seed: of the order of samples.

    Raises:
        UsageError: for fewer than one step, or weights that are computed.

    Example:
        rounded = adaround(model, data.train.x[:256], Scheme(3, per="channel"))
    """
    if steps < 1:
        raise UsageError(f"adaround takes one step or more, not {steps}")
    copy = deepcopy(model)
    layers = weighted_layers(copy)
    generator = torch.Generator().manual_seed(seed)
    for name, (_, output) in watch(model, x, layers).items():
        weight = plain_weight(layers[name], name)
        rounding = _Rounding(weight.detach(), fit(weight, scheme, MSE()))
        inputs = watch(copy, x, [name])[name][0]
        optimizer = torch.optim.Adam(rounding.parameters(), lr)
        for step in range(steps):
            index = torch.randint(len(x), (batch_size,), generator=generator).to(x.device)
            given = functional_call(layers[name], {"weight": rounding()}, (inputs[index],))
            loss = (given - output[index]).square().flatten(1).sum(1).mean()
            loss = loss + _WEIGHT * rounding.undecided(step / steps)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            weight.copy_(rounding.decided())
    return copy


class _Rounding(nn.Module):
    """Weights between the two nearest integers, as far up as `logits` say."""

    def __init__(self, weight: Tensor, grid: Affine) -> None:
        super().__init__()
        self.grid = grid
        self.shape = weight.shape
        steps = grid.scheme.blocks(weight) / grid.scale[:, None]
        self.floor = steps.floor()
        share = (steps - self.floor - _LOW) / (_HIGH - _LOW)
        self.logits = nn.Parameter(share.logit())

    def _up(self) -> Tensor:
        return (self.logits.sigmoid() * (_HIGH - _LOW) + _LOW).clamp(0, 1)

    def _weight(self, up: Tensor) -> Tensor:
        scheme, zero = self.grid.scheme, self.grid.zero_point[:, None]
        q = (self.floor + up + zero).clamp(scheme.low, scheme.high)
        return (self.grid.scale[:, None] * (q - zero)).reshape(self.shape)

    def forward(self) -> Tensor:
        """The weight now."""
        return self._weight(self._up())

    def decided(self) -> Tensor:
        """The weight on integers."""
        return self._weight((self._up() >= 0.5).to(self.floor))

    def undecided(self, progress: float) -> Tensor:
        """How far from up or down they are; nothing at first, then ever stricter."""
        if progress < _WARM_UP:
            return self.logits.new_zeros(())
        share = (progress - _WARM_UP) / (1 - _WARM_UP)
        power = _POWERS[0] + share * (_POWERS[1] - _POWERS[0])
        return (1 - (2 * self._up() - 1).abs().pow(power)).sum()
