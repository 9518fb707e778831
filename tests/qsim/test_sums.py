"""Sums that a GPU makes in a fixed order are those that others make."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qsim.sums import _doubled_sums, _sorted_sums, running_sums, sum_by_index

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@given(st.integers(1, 6), st.lists(st.integers(0, 5), max_size=30), SEEDS)
def test_sums_by_index(columns: int, index: list[int], seed: int) -> None:
    values = drawn(seed, len(index), columns)
    expected = torch.stack([values[[i == k for i in index]].sum(0) for k in range(6)])
    places = torch.tensor(index, dtype=torch.int64)
    found = (
        sum_by_index(values, places, 6),
        sum_by_index(values.T, places, 6, dim=-1).T,
        _sorted_sums(values, places, 6),
    )
    for sums in found:
        torch.testing.assert_close(sums, expected, rtol=0, atol=1e-13)


def test_sums_by_index_have_derivatives() -> None:
    values, index = drawn(0, 5, 2).requires_grad_(), torch.tensor([0, 2, 2, 1, 0])
    for sums in (lambda v: sum_by_index(v, index, 4), lambda v: _sorted_sums(v, index, 4)):
        assert torch.autograd.gradcheck(sums, values, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(sums, values)


@given(st.integers(1, 3), st.integers(1, 70), SEEDS)
def test_running_sums(rows: int, columns: int, seed: int) -> None:
    values = drawn(seed, rows, columns) ** 8  # some are tiny beside others
    for sums in (running_sums(values), _doubled_sums(values)):
        expected = torch.stack([values[:, : k + 1].sum(1) for k in range(columns)], 1)
        torch.testing.assert_close(sums, expected, rtol=1e-13, atol=0)
        assert bool((sums.diff(dim=1) >= 0).all())


@pytest.mark.gpu
def test_a_gpu_adds_in_one_order() -> None:
    values, index = drawn(0, 2**20, dtype=torch.float32).cuda(), torch.arange(2**20).cuda() % 7
    once, running = sum_by_index(values, index, 7), running_sums(values[None])
    for _ in range(20):
        assert torch.equal(sum_by_index(values, index, 7), once)
        assert torch.equal(running_sums(values[None]), running)
