"""Sums in an order that is always the same, on every device.

On a GPU, PyTorch's index_add and scatter_add work by atomic operations and its cumsum looks back at
what other blocks have got to, so that their rounding differs from run to run.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def sums_of_runs(values: Tensor, lengths: Sequence[int]) -> Tensor:
    """Sums of neighbouring columns, [rows, runs] from [rows, columns].

    Args:
        values: [rows, sum of lengths].
        lengths: how many columns each run has.
    """
    if all(length == 1 for length in lengths):
        return values
    return torch.stack([run.sum(1) for run in values.split(list(lengths), 1)], 1)


def sum_by_index(values: Tensor, index: Tensor, count: int, dim: int = 0) -> Tensor:
    """Sum of the entries with each index: [..., count, ...] from [..., entries, ...].

    Args:
        values: [..., entries, ...].
        index: int64 [entries], from 0 to count - 1.
        count: how many sums there are.
        dim: where the entries stand.
    """
    if values.is_cuda:
        return _sorted_sums(values.movedim(dim, 0), index, count).movedim(0, dim)
    shape = list(values.shape)
    shape[dim] = count
    return values.new_zeros(shape).index_add(dim, index, values)


def _sorted_sums(rows: Tensor, index: Tensor, count: int) -> Tensor:
    """By index_put, which on a GPU sorts by index before it adds."""
    return rows.new_zeros(count, *rows.shape[1:]).index_put((index,), rows, accumulate=True)


def running_sums(values: Tensor) -> Tensor:
    """Sums of the columns up to each, never falling for values that are not negative.

    Args:
        values: [rows, columns].
    """
    return _doubled_sums(values) if values.is_cuda else values.cumsum(1)


def _doubled_sums(values: Tensor) -> Tensor:
    """Of 1, 2, 4 ... columns. Rounding may let them fall; what is largest so far does not."""
    reach = 1
    while reach < values.shape[1]:
        further = values[:, reach:] + values[:, :-reach]
        values = torch.cat([values[:, :reach], further], 1)
        reach *= 2
    return values.cummax(1).values
