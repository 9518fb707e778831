"""Timing of one contender at one work, and the JSON line that its script prints.

Only NumPy is needed, so that this runs in every environment.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from importlib import metadata
from typing import ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.costs import Cost

FloatArray = NDArray[np.float64]
Run = Callable[[], tuple[float, NDArray]]
"""What is timed; gives a value and a gradient, which is empty where the work asks for none."""


@dataclass(frozen=True)
class Case:
    """The size of a work; each work has fields of its own."""

    tolerance: ClassVar[float] = 1e-4
    """By how much values may differ, relatively: sums of thousands of complex64 results."""

    @classmethod
    def parse(cls, text: str) -> Self:
        names = ",".join(field.name.upper() for field in fields(cls))
        try:
            pairs = zip(fields(cls), text.split(","), strict=True)
            return cls(*[field.type(value) for field, value in pairs])  # type: ignore[operator]
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {names}") from None

    def __str__(self) -> str:
        return ",".join(map(str, astuple(self)))

    def cost(self) -> Cost:
        """What the model of costs.py counts for this case."""
        raise NotImplementedError


C = TypeVar("C", bound=Case)


def threads() -> int:
    """Threads a script may use; OpenMP has read the same variable."""
    return int(os.environ["OMP_NUM_THREADS"])


def seconds_per_call(
    function: Callable[[], object], *, min_seconds: float = 1.0, max_seconds: float = 10.0
) -> float:
    """Median over at least 3 calls and min_seconds, or what fits in max_seconds; no warm-up."""
    times: list[float] = []
    start = now = time.perf_counter()
    while (len(times) < 3 or now - start < min_seconds) and now - start < max_seconds:
        before = time.perf_counter()
        function()
        now = time.perf_counter()
        times.append(now - before)
    return statistics.median(times)


def version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # ours, run from a checkout
        return "(checkout)"


def main(
    peer: str,
    distribution: str,
    precision: str,
    cases: Sequence[C],
    build: Callable[[C], Run],
) -> None:
    """Time build(case)() for the cases on the command line, one JSON line each.

    compile_seconds is what the first run, building included, took beyond a repeated one.
    gradient_sum adds the magnitudes; gradient_projection, along a fixed direction, would also
    show a wrong sign or order. cpu_share is the processor time per second of the repeated runs:
    below the number of threads, something else ran on these cores, or threads were idle.
    """
    parser = argparse.ArgumentParser(description=f"Time {peer}.")
    parser.add_argument(
        "--case",
        type=type(cases[0]).parse,
        action="append",
        help="what to time, may be repeated (default: " + " ".join(map(str, cases)) + ")",
    )
    for case in parser.parse_args().case or cases:
        gc.collect()  # what imports left behind; Python would take it up in the middle of a run
        start = time.perf_counter()
        run = build(case)
        value, gradient = run()
        first = time.perf_counter() - start
        wall, cpu = time.perf_counter(), time.process_time()
        repeated = seconds_per_call(run)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        direction = np.random.default_rng(1).standard_normal(gradient.shape)
        line = {
            "peer": peer,
            "version": version(distribution),
            "python": platform.python_version(),
            "precision": precision,
            **asdict(case),
            "threads": threads(),
            "milliseconds": 1e3 * repeated,
            "cpu_share": cpu / wall,
            "compile_seconds": max(0.0, first - repeated),
            "value": float(value),
            "gradient_sum": float(np.abs(gradient).sum()),
            "gradient_projection": float((gradient * direction).sum()),
        }
        print(json.dumps(line), flush=True)
