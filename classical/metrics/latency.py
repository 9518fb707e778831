"""Measured latency."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter

import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.metrics.running import evaluating


@dataclass(frozen=True)
class Latency:
    """Seconds of a forward pass.

    Attributes:
        median: of all runs.
        low, high: quartiles.
        runs: how many were measured.
        threads: PyTorch's threads.
        device: where it ran.
    """

    median: float
    low: float
    high: float
    runs: int
    threads: int
    device: str

    def __str__(self) -> str:
        spread = f"{1e3 * self.low:.3g} to {1e3 * self.high:.3g}"
        threads = f"{self.threads} thread" + "s" * (self.threads != 1)
        return f"{1e3 * self.median:.3g} ms ({spread} ms, {self.device}, {threads})"


def measure_latency(
    model: nn.Module,
    *inputs: Tensor,
    warm_up: int = 5,
    runs: int = 30,
    threads: int | None = None,
) -> Latency:
    """Median seconds of a forward pass without gradients, in evaluation mode.

    Args:
        model: any module.
        inputs: what it takes, on its device.
        warm_up: runs before the measurement.
        runs: measured runs, at least 4.
        threads: of PyTorch while it is measured; by default as they are.

    Raises:
        UsageError: for fewer runs, or no thread.
    """
    return compare_latency([model], *inputs, warm_up=warm_up, runs=runs, threads=threads)[0]


def compare_latency(
    models: Sequence[nn.Module],
    *inputs: Tensor,
    warm_up: int = 5,
    runs: int = 30,
    threads: int | None = None,
) -> list[Latency]:
    """The same of several models that take turns, so that what slows the computer slows them all.

    Args:
        models: they take the same inputs; the other arguments are those of `measure_latency`.

    Raises:
        UsageError: for fewer runs, or no thread.
    """
    if runs < 4 or warm_up < 0 or (threads is not None and threads < 1):
        raise UsageError(
            "a latency takes 4 runs or more and one thread or more, "
            f"not runs={runs}, warm_up={warm_up}, threads={threads}"
        )
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with ExitStack() as stack:
            for model in models:
                stack.enter_context(evaluating(model, *inputs))
            for _ in range(warm_up):
                for model in models:
                    model(*inputs)
            rounds = [[_once(model, inputs) for model in models] for _ in range(runs)]
        used = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    return [
        _summary(seconds, used, str(_device(model, inputs)))
        for model, seconds in zip(models, zip(*rounds, strict=True), strict=True)
    ]


def _summary(seconds: Sequence[float], threads: int, device: str) -> Latency:
    low, middle, high = quantiles(seconds, n=4)
    return Latency(middle, low, high, len(seconds), threads, device)


def _once(model: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    device = _device(model, inputs)
    _wait(device)
    start = perf_counter()
    model(*inputs)
    _wait(device)
    return perf_counter() - start


def _device(model: nn.Module, inputs: tuple[Tensor, ...]) -> torch.device:
    return next((t.device for t in (*inputs, *model.parameters())), torch.device("cpu"))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
