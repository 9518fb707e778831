"""Criteria: how important each weight is. Those that matter least are pruned first.

A criterion takes the name of a parameter and the parameter, and gives a tensor of the same shape. A
unit of several weights is as important as they are in the mean. For criteria of whole channels see
`classical.pruning.channel_criteria`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from classical.data.images import Split
from classical.errors import UsageError
from classical.metrics.running import evaluating

Criterion: TypeAlias = Callable[[str, Tensor], Tensor]
"""(name of the parameter, parameter) -> importance of its elements, of the same shape."""


def l1(name: str, weight: Tensor) -> Tensor:
    """|w|: small weights matter least (Han et al., arXiv:1506.02626)."""
    return weight.abs()


def l2(name: str, weight: Tensor) -> Tensor:
    """w^2: the same for single weights; among units it punishes spread less than `l1`."""
    return weight.square()


class Fisher:
    """F w^2 / 2: by how much the loss grows without w, to second order.

    Optimal Brain Damage (LeCun et al., NIPS 1989) with the diagonal of the empirical Fisher
    information F in place of the Hessian, as in Theis et al. (arXiv:1801.05787): the mean of the
    squared gradients of single samples.

    Args:
        model: images -> logits; it is run in evaluation mode and left as it was.
        split: samples of cross-entropy. A few hundred do.
        chunk: samples at a time, which bounds the memory.

    Raises:
        UsageError: for no samples.
    """

    def __init__(self, model: nn.Module, split: Split, chunk: int = 32) -> None:
        if len(split) == 0:
            raise UsageError("Fisher information is a mean over samples, and the split has none")
        weights = {name: p.detach() for name, p in model.named_parameters()}
        buffers = dict(model.named_buffers())

        def loss(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            logits = functional_call(model, weights | buffers, (x[None],))
            return cross_entropy(logits, y[None])

        single = vmap(grad(loss), in_dims=(None, 0, 0), randomness="same")
        total = {name: torch.zeros_like(p) for name, p in weights.items()}
        with evaluating(model, split.x), torch.enable_grad():
            for x, y in zip(split.x.split(chunk), split.y.split(chunk), strict=True):
                for name, gradient in single(weights, x, y).items():
                    total[name] += gradient.square().sum(0)
        self.information = {name: value / len(split) for name, value in total.items()}

    def __call__(self, name: str, weight: Tensor) -> Tensor:
        return self.information[name] * weight.square() / 2
