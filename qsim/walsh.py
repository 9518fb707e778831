"""The Walsh-Hadamard transform."""

from __future__ import annotations

import torch
from torch import Tensor


def walsh_hadamard(values: Tensor) -> Tensor:
    """sum_b (-1)^(m.b) values[..., b] for every m, where values are [..., 2**n]."""
    shape, half = values.shape, 1
    while half < shape[-1]:
        pairs = values.reshape(-1, 2, half)
        values = torch.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], 1)
        half *= 2
    return values.reshape(shape)
