"""Granularities: which weights are pruned as one.

From fine to coarse, after Mao et al., "Exploring the granularity of sparsity in convolutional
networks" (arXiv:1705.08922). The coarser, the easier to use, and the more accuracy it costs.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from torch import Tensor

from classical.errors import UsageError

Granularity: TypeAlias = Literal["fine", "vector", "kernel", "channel"]
"""For weights [outputs, inputs, height, width]:

- "fine": single weights;
- "vector": rows of kernels, [width];
- "kernel": kernels, [height, width];
- "channel": all that leads to an output, [inputs, height, width], or [inputs] of a linear layer.
"""


def as_units(tensor: Tensor, granularity: Granularity, name: str) -> Tensor:
    """View a weight as [units, weights of a unit].

    Args:
        tensor: [outputs, inputs, ...].
        granularity: what a unit is.
        name: of the weight, for the errors.

    Raises:
        UsageError: for an unknown granularity, or one that the weight does not have.
    """
    if granularity not in get_args(Granularity):
        kinds = ", ".join(map(repr, get_args(Granularity)))
        raise UsageError(f"the granularity is one of {kinds}, not {granularity!r}")
    if granularity in ("vector", "kernel") and tensor.ndim < 3:
        raise UsageError(
            f"{name} {list(tensor.shape)} has no kernels, which {granularity!r} prunes: "
            "give sparsities by name without it, or prune 'fine' or 'channel'"
        )
    # The dimensions before it number the units.
    first = {"fine": tensor.ndim, "vector": tensor.ndim - 1, "kernel": 2, "channel": 1}[granularity]
    return tensor.reshape(tensor.shape[:first].numel(), -1)
