"""The GPU engine on the GPU at hand: built, checked and timed in one call.

    python -m benchmarks.gpu [--rows NAME ...] [--output FILE]

Every row is checked before it is timed: value and gradient against the cpu engine in double
precision. Times are medians by CUDA events, or of the clock where Python is part of the bar. The
floor of a row is what its plan moves and computes (`counts`), at the rates that this GPU reaches in
the same run: a copy of 1 GiB, and a single-precision matrix product. gpu_notes.md says how the
counts come about. Without a GPU there is nothing to do, and it says so.
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

import qsim._native as _native
import torch
from torch import Tensor

from benchmarks.ours import add_layers
from qsim import Circuit, Input, PauliString, PauliSum, Weight, expval
from qsim.engines import _gpu
from qsim.plan.program import program_of

REPEATS = 20


@dataclass(frozen=True)
class Work:
    """What is run: a circuit on a batch, its loss, and whether a gradient is wanted."""

    circuit: Circuit
    batch: int
    observables: Any = None
    gradient: bool = True

    def tensors(self, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        weights = torch.rand(self.circuit.num_weights, generator=generator, dtype=torch.float64)
        inputs = torch.rand(
            self.batch, self.circuit.num_inputs, generator=generator, dtype=torch.float64
        )
        placed = [(3 * t).to(device, dtype) for t in (weights, inputs)]
        return placed[0].requires_grad_(self.gradient), placed[1]

    def step(self, device: str, dtype: torch.dtype, engine: str = "auto") -> Callable[[], Any]:
        weights, inputs = self.tensors(device, dtype)
        given = inputs if self.circuit.num_inputs else None

        def run() -> tuple[Tensor, ...]:
            values = expval(self.circuit, self.observables, weights, given, engine=engine)
            loss = values.sum()
            return (loss, *(torch.autograd.grad(loss, weights) if self.gradient else ()))

        return run


def layered(qubits: int, layers: int, encoded: bool = True) -> Circuit:
    circuit = Circuit(qubits)
    for qubit in range(qubits if encoded else 0):
        circuit.ry(Input(qubit), qubit)
    return add_layers(circuit, layers)


def ising(qubits: int, layers: int) -> Work:
    """The transverse-field Ising model: RZZ on a ring, RX on all; its energy."""
    circuit = Circuit(qubits)
    for layer in range(layers):
        for qubit in range(qubits):
            circuit.rzz(Weight(2 * layer), qubit, (qubit + 1) % qubits)
        for qubit in range(qubits):
            circuit.rx(Weight(2 * layer + 1), qubit)
    terms = []
    for qubit in range(qubits):
        pair = {qubit, (qubit + 1) % qubits}
        zz = "".join("Z" if q in pair else "I" for q in reversed(range(qubits)))
        x = "".join("X" if q == qubit else "I" for q in reversed(range(qubits)))
        terms += [(-1.0, PauliString(zz)), (-1.0, PauliString(x))]
    return Work(circuit, 1, [PauliSum(terms)])


# --- Counts ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """What the plan of a work does in one run: see gpu_notes.md.

    Attributes:
        sweeps: over the state in device memory, on the way forward.
        groups: readings and writings of shared memory, on the way forward.
        acts: fused matrices.
        memory: bytes of device memory.
        shared: bytes of shared memory.
        flops: operations on amplitudes.
    """

    sweeps: int
    groups: int
    acts: int
    memory: float
    shared: float
    flops: float


def counts(work: Work) -> Counts:
    tape = _native.cuda.Tape(program_of(work.circuit).native, True, work.gradient)
    sweeps, groups = len(tape.stages), tape.stages[-1].groups
    states = 3 if work.gradient else 1  # one forward, two back
    amplitudes = work.batch * 2**tape.bits
    whole = sweeps == 1 and tape.stages[0].bits == tape.bits
    # A state of one tile is written once, for the way back, and read once.
    passes = (2 if work.gradient else 0) if whole else 2 * states * sweeps
    dense, diagonal = tape.num_acts - tape.num_diagonal, tape.num_diagonal
    flops = dense * (54 if work.gradient else 14) + diagonal * (23 if work.gradient else 6)
    return Counts(
        sweeps,
        groups,
        tape.num_acts,
        8.0 * amplitudes * passes,
        8.0 * amplitudes * 2 * states * groups,
        float(amplitudes * flops),
    )


# --- Clocks ---------------------------------------------------------------------------------------


def by_events(run: Callable[[], Any], calls: int = 1) -> float:
    """Seconds of one call on the GPU: median of REPEATS spans of so many calls."""
    times = []
    for _ in range(REPEATS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(calls):
            run()
        end.record()
        end.synchronize()
        times.append(1e-3 * begin.elapsed_time(end) / calls)
    return statistics.median(times)


def by_clock(run: Callable[[], Any], calls: int = 50) -> float:
    """Seconds of one call, Python included."""
    times = []
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            run()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - begin) / calls)
    return statistics.median(times)


def captured(run: Callable[[], Any]) -> Callable[[], None]:
    """The same work as a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def rates() -> dict[str, float]:
    """Bytes and operations a second that this GPU reaches."""
    source = torch.empty(2**28, device="cuda")
    target = torch.empty_like(source)
    copy = by_events(lambda: target.copy_(source))
    left = torch.rand(8192, 8192, device="cuda")
    product = by_events(lambda: left @ left)
    return {"bytes": 2 * source.nbytes / copy, "flops": 2 * 8192**3 / product}


# --- Rows -----------------------------------------------------------------------------------------


def in_graph(work: Work) -> float:
    return by_events(captured(work.step("cuda", torch.float32)), calls=10)


def eager(work: Work) -> float:
    return by_events(work.step("cuda", torch.float32))


def with_python(work: Work) -> float:
    return by_clock(work.step("cuda", torch.float32))


@dataclass(frozen=True)
class Row:
    name: str
    work: Callable[[], Work]
    seconds: Callable[[Work], float]
    bar: str
    checked: bool = True  # against the cpu engine; not where that takes too long or too much


def layers_without_inputs(qubits: int, layers: int, batch: int = 1, gradient: bool = True) -> Work:
    circuit = layered(qubits, layers, encoded=False)
    return Work(circuit, batch, [PauliString.z(0, qubits)], gradient)


ROWS = (
    Row("step (10,8,64)", lambda: Work(layered(10, 8), 64), in_graph, "150 us, in a graph"),
    Row("step (10,8,4096)", lambda: Work(layered(10, 8), 4096), in_graph, "twice the floor"),
    Row("step (4,4,256)", lambda: Work(layered(4, 4), 256), with_python, "250 us, with Python"),
    Row("TFIM 20 qubits, 10 layers", lambda: ising(20, 10), eager, "1.5 ms"),
    Row(
        "20 qubits, 1000 layers, batch 8",
        lambda: Work(layered(20, 1000), 8, [PauliString.z(0, 20)]),
        eager,
        "480 ms: 60 us for a sample and layer",
        checked=False,
    ),
    Row(
        "30 qubits, 4 layers",
        lambda: layers_without_inputs(30, 4, gradient=False),
        eager,
        "1.5 times the floor",
        checked=False,
    ),
    *[
        Row(f"step ({n},4,64)", lambda n=n: Work(layered(n, 4), 64), eager, "the cpu engine's time")
        for n in (8, 12, 16)
    ],
)


def check(work: Work) -> None:
    """Raises if value or gradient are not those of the cpu engine in double precision."""
    found, expected = work.step("cuda", torch.float32)(), work.step("cpu", torch.float64, "cpu")()
    for ours, theirs in zip(found, expected, strict=True):
        scale = max(1.0, theirs.abs().max().item())
        torch.testing.assert_close(ours.cpu().double(), theirs, atol=1e-4 * scale, rtol=0)


def measure(row: Row, reached: dict[str, float]) -> dict[str, Any]:
    work = row.work()
    if row.checked:
        check(work)
    counted, seconds = counts(work), row.seconds(work)
    floor = max(counted.memory / reached["bytes"], counted.flops / reached["flops"])
    found = {"row": row.name, "bar": row.bar, "seconds": seconds, "floor": floor}
    if row.bar.startswith("the cpu"):
        run = work.step("cpu", torch.float32, "cpu")
        run()
        begin = time.perf_counter()
        run()
        found["cpu_seconds"] = time.perf_counter() - begin
    return {**found, **vars(counted)}


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
    print(f"{'row':34} {'measured':>12} {'floor':>12} {'ratio':>7}  bar")
    for row in rows:
        floor = row.get("floor")
        shown = f"{1e6 * floor:9.1f} us {row['seconds'] / floor:7.2f}" if floor else " " * 20
        others = f" ({1e6 * row['cpu_seconds']:.1f} us)" if "cpu_seconds" in row else ""
        print(f"{row['row']:34} {1e6 * row['seconds']:9.1f} us {shown}  {row['bar']}{others}")


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
