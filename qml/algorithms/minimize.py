"""Minimizing a function of a circuit's weights with any optimizer of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from qml.nn.layers import times
from qsim import Circuit
from qsim.errors import UsageError

Optimizer: TypeAlias = Callable[[list[Tensor]], torch.optim.Optimizer]
"""Makes an optimizer of parameters: partial(torch.optim.Adam, lr=0.1)."""

LBFGS: Optimizer = partial(torch.optim.LBFGS, line_search_fn="strong_wolfe", tolerance_change=1e-12)
"""Where gradients are exact, the fastest for up to some thousand weights; 20 iterations a step."""


class Minimum(NamedTuple):
    """Where training ended.

    Attributes:
        weights: real [num_weights], without a gradient.
        value: of the function there.
        history: values before every step, and the last.
    """

    weights: Tensor
    value: float
    history: list[float]


def minimize(
    function: Callable[[Tensor], Tensor],
    weights: Tensor,
    *,
    optimizer: Optimizer = LBFGS,
    steps: int = 50,
    tolerance: float = 1e-6,
) -> Minimum:
    """Follow the gradient of a function down from the weights.

    Args:
        function: weights -> scalar.
        weights: where to start; they stay as they are.
        optimizer: makes the optimizer.
        steps: how many at most.
        tolerance: no component of the gradient is larger in the end, unless the steps run out.

    Raises:
        UsageError: for a negative number of steps, or where the function is not finite.
    """
    point = weights.detach().clone().requires_grad_()
    stepper = optimizer([point])
    history: list[float] = []

    def closure() -> Tensor:
        stepper.zero_grad()
        value = function(point)
        if not isfinite(value.item()):
            raise UsageError(
                f"the function became {value.item()} after {len(history)} steps: "
                "lower the learning rate"
            )
        value.backward()
        return value

    for _ in range(times(steps, "steps")):
        value: Any = stepper.step(closure)  # type: ignore[arg-type]  # returns the tensor
        history.append(value.item())
        if point.grad is None or not (point.grad.abs() > tolerance).any():
            break
    with torch.no_grad():
        history.append(function(point).item())
    return Minimum(point.detach(), history[-1], history)


def small_weights(circuit: Circuit, seed: int = 0, spread: float = 0.1, **options: Any) -> Tensor:
    """Weights drawn from a normal distribution: real [num_weights], float64 unless told otherwise.

    Small ones keep the first gradients from vanishing (Zhang et al., arXiv:2203.09376).
    """
    generator = torch.Generator().manual_seed(seed)
    options = {"dtype": torch.float64, **options}
    return spread * torch.randn(circuit.num_weights, generator=generator, **options)
