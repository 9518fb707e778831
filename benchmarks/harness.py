"""The training step that is measured, its timing, and the JSON line that each script prints.

The step: RY encodes one input per qubit; each layer is RX RY RZ on every qubit and a ring of CX;
the loss is the sum of <Z> over qubits and samples; value and gradient of all layers x qubits x 3
weights, which the batch shares. Only NumPy is needed, so that this runs in every environment.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Step = Callable[[], tuple[float, NDArray]]
"""One training step: loss and gradient, of the shape of the weights [layers, qubits, 3]."""


@dataclass(frozen=True)
class Case:
    qubits: int
    layers: int
    batch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        try:
            qubits, layers, batch = map(int, text.split(","))
        except ValueError:
            reason = f"{text!r} is not QUBITS,LAYERS,BATCH, such as 10,8,64"
            raise argparse.ArgumentTypeError(reason) from None
        return cls(qubits, layers, batch)

    def __str__(self) -> str:
        return f"{self.qubits},{self.layers},{self.batch}"

    def angles(self) -> tuple[FloatArray, FloatArray]:
        """Inputs [batch, qubits] and weights [layers, qubits, 3], in radians."""
        generator = np.random.default_rng(0)
        inputs = generator.uniform(-np.pi, np.pi, (self.batch, self.qubits))
        weights = generator.uniform(-np.pi, np.pi, (self.layers, self.qubits, 3))
        return inputs, weights


CASES = (Case(4, 4, 256), Case(10, 8, 64), Case(16, 4, 8), Case(20, 4, 1))


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
        before = now
        function()
        now = time.perf_counter()
        times.append(now - before)
    return statistics.median(times)


def main(
    peer: str,
    distribution: str,
    precision: str,
    build: Callable[[Case, FloatArray, FloatArray], Step],
) -> None:
    """Time build(case, inputs, weights)() for the cases on the command line, one JSON line each.

    compile_seconds is what the first step, building included, took beyond a repeated one.
    gradient_sum adds the magnitudes; gradient_projection, along a fixed direction, would also
    show a wrong sign or order. cpu_share is the processor time per second of the repeated steps:
    below the number of threads, something else ran on these cores, or threads were idle.
    """
    parser = argparse.ArgumentParser(description=f"Time the training step of {peer}.")
    parser.add_argument(
        "--case",
        type=Case.parse,
        action="append",
        metavar="QUBITS,LAYERS,BATCH",
        help="what to time, may be repeated (default: " + " ".join(map(str, CASES)) + ")",
    )
    for case in parser.parse_args().case or CASES:
        inputs, weights = case.angles()
        start = time.perf_counter()
        step = build(case, inputs, weights)
        loss, gradient = step()
        first = time.perf_counter() - start
        wall, cpu = time.perf_counter(), time.process_time()
        repeated = seconds_per_call(step)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        direction = np.random.default_rng(1).standard_normal(weights.shape)
        line = {
            "peer": peer,
            "version": metadata.version(distribution),
            "python": platform.python_version(),
            "precision": precision,
            **asdict(case),
            "threads": threads(),
            "milliseconds": 1e3 * repeated,
            "cpu_share": cpu / wall,
            "compile_seconds": max(0.0, first - repeated),
            "loss": float(loss),
            "gradient_sum": float(np.abs(gradient).sum()),
            "gradient_projection": float((gradient * direction).sum()),
        }
        print(json.dumps(line), flush=True)
