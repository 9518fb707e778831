"""The GPU engine on the GPU at hand: built, checked and timed in one call.

    python -m benchmarks.gpu [--rows NAME ...] [--output FILE]

Every row is checked before it is timed: value and gradient against the cpu engine in double
precision. Times are medians by CUDA events, or of the clock where Python is part of the bar; a row
is timed eagerly and inside a CUDA graph. The floor of a row is what its plan moves and computes
(`gpu_works.counts`), at the rates that this GPU reaches in the same run (`gpu_rates.rates`).
gpu_notes.md says how the counts come about. Without a GPU there is nothing to do, and it says so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import gpu_peers
from benchmarks.gpu_rates import by_clock, by_events, captured, rates
from benchmarks.gpu_works import (
    Counts,
    Work,
    counts,
    ising,
    layered,
    layers_without_inputs,
    noisy,
)
from qsim import PauliString
from qsim.engines import _gpu

# --- Rows -----------------------------------------------------------------------------------------


def in_graph(work: Work) -> float:
    return by_events(captured(work.step("cuda", torch.float32)), calls=10)


def eager(work: Work) -> float:
    return by_events(work.step("cuda", torch.float32))


def with_python(work: Work) -> float:
    return by_clock(work.step("cuda", torch.float32))


@dataclass(frozen=True)
class Row:
    """A work with its bar.

    Attributes:
        name: of the row.
        work: makes it.
        seconds: the clock that the bar is about.
        bar: in words.
        checked: against the cpu engine; not where that takes too long or too much.
        graph: whether it is timed inside a CUDA graph as well.
        peer: whether TorchQuantum takes the same step.
        cpu: whether our own cpu engine takes it.
    """

    name: str
    work: Callable[[], Work]
    seconds: Callable[[Work], float]
    bar: str
    checked: bool = True
    graph: bool = True
    peer: bool = False
    cpu: bool = False


ROWS = (
    Row(
        "step (10,8,64)",
        lambda: Work(layered(10, 8), 64),
        in_graph,
        "150 us in a graph; a 300th of TorchQuantum",
        peer=True,
        cpu=True,
    ),
    Row("step (10,8,4096)", lambda: Work(layered(10, 8), 4096), in_graph, "twice the floor"),
    Row("step (4,4,256)", lambda: Work(layered(4, 4), 256), with_python, "250 us, with Python"),
    Row("TFIM 20 qubits, 10 layers", lambda: ising(20, 10), eager, "1.5 ms"),
    Row(
        "20 qubits, 1000 layers, batch 8",
        lambda: Work(layered(20, 1000), 8, [PauliString.z(0, 20)]),
        eager,
        "480 ms: 60 us for a sample and layer",
        checked=False,
        graph=False,
    ),
    Row(
        "30 qubits, 4 layers",
        lambda: layers_without_inputs(30, 4, gradient=False),
        eager,
        "1.5 times the floor",
        checked=False,
        graph=False,
    ),
    *[
        Row(
            f"step ({n},4,{batch})",
            lambda n=n, batch=batch: Work(layered(n, 4), batch),
            eager,
            "the cpu engine's time",
            cpu=True,
        )
        for n, batch in ((8, 64), (12, 64), (16, 64), (8, 1024))
    ],
    *[
        Row(
            f"exact noise ({n},2,64)",
            lambda n=n: noisy(Work(layered(n, 2), 64), method="exact"),
            eager,
            "the cpu engine's time",
            cpu=True,
        )
        for n in (4, 6, 8)
    ],
    Row(
        "trajectories (10,2,4 of 256)",
        lambda: noisy(Work(layered(10, 2), 4), method="trajectories", trajectories=256),
        eager,
        "the cpu engine's time",
        checked=False,  # rounding may turn a choice
        graph=False,  # numbers are drawn on the host
        cpu=True,
    ),
)


def check(work: Work) -> None:
    """Raises if value or gradient are not those of the cpu engine in double precision."""
    found, expected = work.step("cuda", torch.float32)(), work.step("cpu", torch.float64, "cpu")()
    for ours, theirs in zip(found, expected, strict=True):
        scale = max(1.0, theirs.abs().max().item())
        torch.testing.assert_close(ours.cpu().double(), theirs, atol=1e-4 * scale, rtol=0)


def floor(counted: Counts, reached: dict[str, float]) -> tuple[float, str]:
    """Seconds below which no launch can be, and what binds."""
    needed = {
        "memory": counted.memory / reached["memory"],
        "arithmetic": counted.flops / reached["rotations"],
        "shared memory": counted.shared / reached["exchanges"],
    }
    binds = max(needed, key=lambda name: needed[name])
    return needed[binds], binds


def on_cpu(work: Work) -> float:
    run = work.step("cpu", torch.float32, "cpu")
    run()
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def measure(row: Row, reached: dict[str, float]) -> dict[str, Any]:
    work = row.work()
    if row.checked:
        check(work)
    found: dict[str, Any] = {"row": row.name, "bar": row.bar, "seconds": row.seconds(work)}
    if row.graph:
        found["graph_seconds"] = in_graph(work)
    if counted := counts(work):
        found["floor"], found["binds"] = floor(counted, reached)
        found.update(vars(counted))
    if row.peer:
        found["peer"], step = gpu_peers.step(work)
        found["peer_seconds"] = by_events(step)
    if row.cpu:
        found["cpu_seconds"] = on_cpu(work)
    return found


FIRST_CALL = """
import time, torch
torch.zeros(1, device="cuda")
begin = time.perf_counter()
from qsim import Circuit, Weight, expval
expval(Circuit(2).rx(Weight(0), 0), None, torch.zeros(1, device="cuda"), engine="cuda").cpu()
print(time.perf_counter() - begin)
"""


def first_call() -> dict[str, Any]:
    """In a fresh process whose kernels another one has compiled, beyond importing torch."""
    code = [sys.executable, "-c", FIRST_CALL]
    times = [float(subprocess.run(code, capture_output=True, check=True).stdout) for _ in range(4)]
    return {"row": "first call", "bar": "1 s", "seconds": statistics.median(times[1:])}


def report(rows: list[dict[str, Any]]) -> None:
    print(f"{'row':34} {'measured':>13} {'floor':>13} {'ratio':>7}  bar")
    for row in rows:
        shown = " " * 21
        if "floor" in row:
            shown = f"{1e6 * row['floor']:10.1f} us {row['seconds'] / row['floor']:7.2f}"
        others = [
            f"{row.get(name.removesuffix('_seconds'), name.removesuffix('_seconds'))}: "
            f"{1e6 * row[name]:.1f} us"
            for name in ("graph_seconds", "peer_seconds", "cpu_seconds")
            if name in row
        ]
        told = "; ".join([row["bar"], *([row["binds"]] if "binds" in row else []), *others])
        print(f"{row['row']:34} {1e6 * row['seconds']:10.1f} us {shown}  {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="*", help="beginnings of the rows' names; all by default")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "gpu_results.json")
    chosen = parser.parse_args()
    if _gpu.missing():
        print(f"nothing to measure: {_gpu.missing()}")
        return
    device = torch.cuda.get_device_properties(0)
    reached = rates()
    rows = [
        measure(row, reached)
        for row in ROWS
        if not chosen.rows or row.name.startswith(tuple(chosen.rows))
    ]
    rows.append(first_call())
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "device": device.name}
    chosen.output.write_text(json.dumps({**versions, "rates": reached, "rows": rows}, indent=1))
    report(rows)


if __name__ == "__main__":
    main()
