"""What other compilers make of the circuits of `benchmarks.compilation`, on the same scale.

    PYTHONPATH=PEERS/compilers .venv/bin/python -m benchmarks.compilation_peers
        [--devices quito ...] [--circuits qft5 ...] [--limit SECONDS] [--output FILE]

For every pair and peer: the estimated success probability of what the peer compiles, divided by the
mean of Qiskit's level 3 over `SEEDS` seeds, as for ours in `results/compilation.json`, which has to
be there. Each peer is called as its documentation does it, with as many seeds as `PEERS` says; what
it returns is written in gates of the device by Qiskit's level 1, qubits left where they are, and
verified. A peer that is not installed is left out, with a sentence; a pair that fails is listed as
such, and one that takes more than `--limit` seconds has fewer seeds, or none. The seconds are of
one seed, the median.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from signal import ITIMER_REAL, SIGALRM, setitimer, signal
from typing import Any, NamedTuple

from qiskit import QuantumCircuit, qasm2, transpile

from benchmarks.compilation import CIRCUITS, RESULTS, SEEDS, pairs, recorded
from benchmarks.report import machine, markdown, write
from compile import CalibrationWarning, Compiled, Device, compile

OUTPUT = RESULTS.with_name("compilation_peers.json")
DEVICES = ("quito", "jakarta", "kolkata", "torino")


class Placed(NamedTuple):
    """A circuit on physical qubits, and where each logical qubit starts and ends."""

    circuit: QuantumCircuit
    start: list[int]
    end: list[int]


class Peer(NamedTuple):
    module: str
    seeds: int
    place: Callable[[QuantumCircuit, Device, int], Placed]


def mapomatic(circuit: QuantumCircuit, device: Device, seed: int) -> Placed:
    """Level 3, moved to the qubits where mapomatic expects the fewest errors."""
    from mapomatic import best_overall_layout, deflate_circuit

    routed = compile(circuit, device, seed=seed)
    small = deflate_circuit(routed.circuit)
    used = sorted({routed.circuit.find_bit(q).index for g in routed.circuit.data for q in g.qubits})
    place, *_ = best_overall_layout(small.measure_all(inplace=False), device.backend)
    moved = QuantumCircuit(device.num_qubits)
    moved.compose(small, place, inplace=True)
    start, end = (
        [place[used.index(q)] for q in layout]
        for layout in (routed.initial_layout, routed.final_layout)
    )
    return Placed(moved, start, end)


def tket(circuit: QuantumCircuit, device: Device, _: int) -> Placed:
    """Optimized, placed by the device's errors, routed and optimized again, all by pytket."""
    from pytket import passes, predicates, qasm
    from pytket.architecture import Architecture
    from pytket.circuit import Node, OpType
    from pytket.placement import NoiseAwarePlacement

    architecture = Architecture(device.edges)
    placement = NoiseAwarePlacement(
        architecture,
        {Node(q): device.one_qubit_error(q) for q in range(device.num_qubits)},
        {(Node(a), Node(b)): device.two_qubit_error(a, b) for a, b in device.edges},
        {Node(q): device.readout_error(q) for q in range(device.num_qubits)},
    )
    given = qasm.circuit_from_qasm_str(_qasm(circuit))
    unit = predicates.CompilationUnit(given)
    for step in (
        passes.FullPeepholeOptimise(),
        passes.CXMappingPass(architecture, placement, directed_cx=False, delay_measures=False),
        passes.NaivePlacementPass(architecture),
        passes.CliffordSimp(allow_swaps=False),
        passes.SynthesiseTket(),
        passes.AutoRebase({OpType.CX, OpType.U3}),
    ):
        step.apply(unit)
    # What is left on a wire in the end counts as that of another one, which QASM does not say.
    wires = {node: wire for wire, node in unit.circuit.implicit_qubit_permutation().items()}
    start = [unit.initial_map[qubit].index[0] for qubit in given.qubits]
    end = [wires[unit.final_map[qubit]].index[0] for qubit in given.qubits]
    return Placed(_circuit(qasm.circuit_to_qasm_str(unit.circuit)), start, end)


def bqskit(circuit: QuantumCircuit, device: Device, seed: int, *, level: int) -> Placed:
    """Partitioned, routed and synthesized by BQSKit."""
    from bqskit import MachineModel, compile
    from bqskit.ir.lang.qasm2 import OPENQASM2Language

    language = OPENQASM2Language()
    made, start, end = compile(
        language.decode(_qasm(circuit)),
        MachineModel(device.num_qubits, device.edges),
        optimization_level=level,
        seed=seed,
        with_mapping=True,
        num_workers=2,
    )
    return Placed(_circuit(language.encode(made)), list(start), list(end))


PEERS = {
    "mapomatic": Peer("mapomatic", SEEDS, mapomatic),
    "pytket": Peer("pytket", 1, tket),
    "BQSKit, level 1": Peer("bqskit", 1, functools.partial(bqskit, level=1)),
    "BQSKit, level 2": Peer("bqskit", 1, functools.partial(bqskit, level=2)),
    "BQSKit, level 3": Peer("bqskit", 1, functools.partial(bqskit, level=3)),
}


def _qasm(circuit: QuantumCircuit) -> str:
    return qasm2.dumps(transpile(circuit, basis_gates=["u3", "cx"], optimization_level=0))


def _circuit(text: str) -> QuantumCircuit:
    return qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)


def finished(placed: Placed, circuit: QuantumCircuit, device: Device) -> Compiled:
    """In gates of the device, every qubit where the peer has put it.

    Raises:
        ValueError: it is another circuit than the given one.
    """
    made = transpile(
        placed.circuit,
        device.backend,
        initial_layout=list(range(placed.circuit.num_qubits)),
        optimization_level=1,
        seed_transpiler=0,
    )
    moved = made.layout.final_index_layout(filter_ancillas=False)
    end = tuple(moved[q] for q in placed.end)
    compiled = Compiled(made, device, circuit, tuple(placed.start), end)
    if not (found := compiled.verify()).equivalent:
        raise ValueError(f"another circuit, by {found.infidelity:.2g}")
    return compiled


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError once so many seconds are over, whatever is made of it within."""
    over = False

    def stop(*_: Any) -> None:
        nonlocal over
        over = True
        raise TimeoutError

    signal(SIGALRM, stop)
    setitimer(ITIMER_REAL, seconds)
    try:
        yield
    except Exception:
        if over:
            raise TimeoutError(f"more than {seconds:g} s") from None
        raise
    finally:
        setitimer(ITIMER_REAL, 0)


def measure(
    peer: Peer, circuit: QuantumCircuit, device: Device, level3: float, limit: float
) -> dict[str, Any]:
    """Success as multiples of level 3, over the seeds that are done within so many seconds."""
    found: list[tuple[Compiled, float]] = []
    try:
        with at_most(limit):
            for seed in range(peer.seeds):
                start = time.perf_counter()
                placed = peer.place(circuit, device, seed)
                seconds = time.perf_counter() - start
                found.append((finished(placed, circuit, device), seconds))
    except Exception as error:  # a peer's own, of any kind
        if not (found and isinstance(error, TimeoutError)):
            return {"status": f"{type(error).__name__}: {error}"[:200]}
    ratios = [compiled.esp / level3 for compiled, _ in found]
    return {
        "status": "measured",
        "seeds": len(found),
        "ratio": statistics.mean(ratios),
        "most": max(ratios),
        "two_qubit_gates": statistics.mean(compiled.two_qubit_gates for compiled, _ in found),
        "seconds": statistics.median(seconds for _, seconds in found),
    }


def installed() -> dict[str, Peer]:
    """Peers that can be asked; a sentence on each of the others."""
    found = {name: peer for name, peer in PEERS.items() if find_spec(peer.module)}
    for name in PEERS.keys() - found:
        print(f"{name} is left out: {PEERS[name].module} is not installed")
    return found


def table(results: dict[str, dict[str, dict[str, Any]]], ours: dict[str, dict[str, Any]]) -> str:
    """Pairs down, peers and ours across; last the geometric means of those that were measured."""
    names = [
        n for n in PEERS if any(n in pair for row in results.values() for pair in row.values())
    ]
    ratios: dict[str, dict[str, float]] = {}
    for device, row in results.items():
        for title, pair in row.items():
            measured = {n: found["ratio"] for n, found in pair.items() if "ratio" in found}
            ratios[f"{device} {title}"] = measured | {"ours": ours[device][title]["ratio"]}
    rows: list[tuple[str, ...]] = [("", *names, "ours", "")]
    for label, found in ratios.items():
        cells = [f"{found[n]:.2f}" if n in found else "failed" for n in (*names, "ours")]
        rows.append((label, *cells, ""))
    columns = ([f[n] for f in ratios.values() if n in f] for n in (*names, "ours"))
    means = [f"{statistics.geometric_mean(column):.2f}" for column in columns]
    return markdown([*rows, ("geometric mean", *means, "")])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--devices", nargs="+", default=DEVICES)
    parser.add_argument("--circuits", nargs="+", default=list(CIRCUITS), choices=list(CIRCUITS))
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for a pair and a peer")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", CalibrationWarning)
    ours = recorded(RESULTS)
    peers = installed()
    results = recorded(arguments.output)
    for name, title, device, circuit in pairs(arguments.devices, arguments.circuits):
        level3 = ours[name][title]["level3_esp"]
        found = {
            label: measure(peer, circuit, device, level3, arguments.limit)
            for label, peer in peers.items()
        }
        results.setdefault(name, {}).setdefault(title, {}).update(found)
        print(name, title, json.dumps(found), flush=True)
        _write(arguments, peers, results)
    print(table(results, ours))


def _write(arguments: argparse.Namespace, peers: dict[str, Peer], results: dict[str, Any]) -> None:
    write(
        arguments.output,
        {
            "work": "compilation_peers",
            "limit_seconds": arguments.limit,
            "versions": {peer.module: version(peer.module) for peer in peers.values()},
            "machine": machine([]),
            "results": results,
        },
    )


if __name__ == "__main__":
    main()
