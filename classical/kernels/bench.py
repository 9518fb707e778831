"""How fast the studies are, beside what the processor can do and beside PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter

import torch
from torch import Tensor
from torch.nn import functional

import classical.kernels._kernels as _kernels
from classical.errors import UsageError
from classical.kernels.convolution import CONV2D_METHODS, conv2d, depthwise, depthwise_
from classical.kernels.matmul import MATMUL_METHODS, matmul
from classical.kernels.operands import checked_threads

_LEAST_SECONDS = 0.2
_LEAST_RUNS = 5
_MOST_RUNS = 100
_ONE_THREAD = ("naive", "reordered", "tiled", "unrolled", "simd")


@dataclass(frozen=True)
class Timing:
    """A method at work.

    Attributes:
        study: what is computed.
        shape: sizes, in words.
        method: how; "torch" is PyTorch's own.
        threads: at work.
        seconds: median of several runs.
        gflops: 10^9 operations a second, a multiply-add being two; those of the direct sum also
            where Winograd does fewer.
        peak_gflops: what all threads reach in multiply-add within registers, measured in the same
            run.
        share_of_peak: gflops over that.
        times_torch: speed over that of PyTorch.
        largest_error: difference from PyTorch, over the largest value.
    """

    study: str
    shape: str
    method: str
    threads: int
    seconds: float
    gflops: float
    peak_gflops: float
    share_of_peak: float
    times_torch: float
    largest_error: float


@dataclass(frozen=True)
class _Study:
    name: str
    shape: str
    macs: int
    torch: Callable[[], Tensor]
    methods: dict[str, Callable[[], Tensor]]


def bench(threads: int | None = None, size: int = 512, seed: int = 0) -> Iterator[Timing]:
    """Time every method, one after the other.

    The convolutions are layers of ResNet-18 (64 channels of 56x56) and of MobileNetV2 (96 depthwise
    channels of 112x112).

    Args:
        threads: of the methods that have several, and of PyTorch; by default as it has.
        size: rows, columns and inner size of the matrices.
        seed: of the numbers.

    Raises:
        UsageError: for no threads, or matrices of no size.
    """
    if size < 1:
        raise UsageError(f"matrices have a size of 1 or more, and size={size} was given")
    count = checked_threads(threads)
    before = torch.get_num_threads()
    generator = torch.Generator().manual_seed(seed)
    torch.set_num_threads(count)
    try:
        peak = _peak(count)
        for study in (_matrices(size, count, generator), *_convolutions(count, generator)):
            yield from _timings(study, count, peak)
    finally:
        torch.set_num_threads(before)


def _peak(threads: int) -> float:
    steps = 5_000_000
    rounds = _kernels.multiply_add(1, threads)
    seconds = min(_seconds(partial(_kernels.multiply_add, steps, threads)) for _ in range(10))
    return float(1e-9 * rounds * steps * threads / seconds)


def _matrices(size: int, threads: int, generator: torch.Generator) -> _Study:
    a, b = (torch.randn(size, size, generator=generator) for _ in range(2))
    return _Study(
        "matmul",
        f"{size}x{size}x{size}",
        size**3,
        partial(torch.matmul, a, b),
        {name: partial(matmul, a, b, name, threads) for name in MATMUL_METHODS},
    )


def _convolutions(threads: int, generator: torch.Generator) -> Iterator[_Study]:
    x = torch.randn(1, 64, 56, 56, generator=generator)
    w = torch.randn(64, 64, 3, 3, generator=generator)
    last = [t.permute(0, 2, 3, 1).contiguous() for t in (x, w)]
    given = {"nchw": (x, w), "nhwc": (last[0], last[1])}
    yield _Study(
        "conv2d",
        "3x3, 64 to 64 channels of 56x56",
        56**2 * 9 * 64**2,
        partial(functional.conv2d, x, w, padding=1),
        {
            f"{name} {layout.upper()}": partial(
                conv2d,
                *given[layout],
                method=name,
                padding=1,
                layout=layout,
                threads=threads,
            )
            for layout, names in CONV2D_METHODS.items()
            for name in names
        },
    )
    x = torch.rand(1, 96, 112, 112, generator=generator)
    # Means of neighbours, so that what is written over again and again neither grows nor vanishes.
    w = torch.rand(96, 9, generator=generator).softmax(1).view(96, 1, 3, 3)
    yield _Study(
        "depthwise",
        "3x3, 96 channels of 112x112",
        112**2 * 9 * 96,
        partial(functional.conv2d, x, w, padding=1, groups=96),
        {
            "new memory": partial(depthwise, x, w, padding=1, threads=threads),
            "in place": partial(depthwise_, x.clone(), w, threads=threads),
        },
    )


def _timings(study: _Study, threads: int, peak: float) -> Iterator[Timing]:
    expected = study.torch()
    torch_seconds = _median_seconds(study.torch)
    for name, run in {**study.methods, "torch": study.torch}.items():
        several = not name.startswith(_ONE_THREAD)
        # The first run: what writes over its input has another one afterwards.
        result = run().clone()
        seconds = torch_seconds if name == "torch" else _median_seconds(run)
        if name.endswith("NHWC"):
            result = result.permute(0, 3, 1, 2)
        gflops = 2e-9 * study.macs / seconds
        yield Timing(
            study=study.name,
            shape=study.shape,
            method=name,
            threads=threads if several else 1,
            seconds=seconds,
            gflops=gflops,
            peak_gflops=peak,
            share_of_peak=gflops / peak,
            times_torch=torch_seconds / seconds,
            largest_error=float((result - expected).abs().max() / expected.abs().max()),
        )


def _median_seconds(run: Callable[[], Tensor]) -> float:
    run()
    seconds: list[float] = []
    while len(seconds) < _LEAST_RUNS or (
        sum(seconds) < _LEAST_SECONDS and len(seconds) < _MOST_RUNS
    ):
        seconds.append(_seconds(run))
    return median(seconds)


def _seconds(run: Callable[[], object]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start
