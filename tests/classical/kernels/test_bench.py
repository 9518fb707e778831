"""Timings of the kernels: all of them are there, right, and add up."""

import pytest
import torch

from classical.errors import UsageError
from classical.kernels import CONV2D_METHODS, MATMUL_METHODS, bench


def test_the_bench_checks_every_method_and_adds_up() -> None:
    before = torch.get_num_threads()
    timings = list(bench(threads=1, size=48))
    assert torch.get_num_threads() == before
    found = {(timing.study, timing.method) for timing in timings}
    assert {("matmul", method) for method in (*MATMUL_METHODS, "torch")} <= found
    convolutions = {
        f"{method} {layout.upper()}" for layout, names in CONV2D_METHODS.items() for method in names
    }
    assert {("conv2d", method) for method in (*convolutions, "torch")} <= found
    assert {("depthwise", method) for method in ("new memory", "in place", "torch")} <= found
    for timing in timings:
        assert timing.largest_error < 1e-4
        assert timing.threads == 1
        assert timing.share_of_peak == pytest.approx(timing.gflops / timing.peak_gflops)
    (own,) = (t for t in timings if (t.study, t.method) == ("matmul", "all"))
    assert own.gflops == pytest.approx(2e-9 * 48**3 / own.seconds)


def test_matrices_of_no_size_are_refused() -> None:
    with pytest.raises(UsageError, match="size=0 was given"):
        next(bench(size=0))
