"""How much better `compile(effort="best")` is than Qiskit's level 3, on devices and circuits.

    python -m benchmarks.compilation [--budget 5] [--devices quito ...] [--circuits qft5 ...]
        [--workers N] [--output FILE]

For every pair the estimated success probability (gates, readout and waits of the scheduled circuit)
of the chosen circuit is divided by the mean of level 3 over `SEEDS` seeds, each of which is one run
of Qiskit. Where that gains more than 5% and the circuit is small enough to be simulated exactly,
both circuits are run under the device's noise, waits included, and the Hellinger fidelity of what
is measured to the ideal distribution is compared too: the mean over the first `SIMULATED` seeds of
level 3. The search has `--budget` seconds of the clock, or of one processor by `--cpu-time`, for
machines that other work shares.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import PauliEvolutionGate, efficient_su2, quantum_volume
from qiskit.quantum_info import SparsePauliOp, Statevector, hellinger_fidelity

from benchmarks.report import machine, markdown, write
from compile import CalibrationWarning, Compiled, Device, compile, noisy
from compile.choice import search, workers
from qsim import Circuit, PauliString, library
from qsim.interop.qiskit import to_qiskit

SEEDS = 20
SIMULATED = 3
SIMULATED_QUBITS = 6  # physical qubits in use, for an exact noisy simulation
RESULTS = Path(__file__).with_name("results") / "compilation.json"
DEVICES = ("quito", "belem", "jakarta", "kolkata", "montreal", "sherbrooke", "torino", "kingston")
BARS = {
    ("quito", "ansatz4"): 2.2,
    ("quito", "ucc4"): 1.5,
    ("kolkata", "ansatz4"): 1.3,
    ("kolkata", "qv8"): 1.35,
}


def qft5() -> QuantumCircuit:
    return to_qiskit(library.qft(5))


def ansatz4() -> QuantumCircuit:
    """Four blocks of U3 on each qubit and a ring of CU3."""
    rng = np.random.default_rng(0)
    circuit = Circuit(4)
    for _ in range(4):
        for q in range(4):
            circuit.u3(*rng.uniform(-np.pi, np.pi, 3), q)
        for q in range(4):
            circuit.cu3(*rng.uniform(-np.pi, np.pi, 3), q, (q + 1) % 4)
    return to_qiskit(circuit)


def ucc4() -> QuantumCircuit:
    """Unitary coupled cluster of H2, two single excitations and a double one, written by Qiskit."""
    singles = (("IIXY", 0.11), ("IIYX", -0.11), ("XYII", 0.13), ("YXII", -0.13))
    doubles = ("XXXY", "XXYX", "XYXX", "YXXX", "YYYX", "YYXY", "YXYY", "XYYY")
    signs = (1, 1, -1, -1, 1, 1, -1, -1)
    circuit = QuantumCircuit(4)
    circuit.x([0, 2])
    for label, angle in (*singles, *((d, 0.075 * s) for d, s in zip(doubles, signs, strict=True))):
        circuit.append(PauliEvolutionGate(SparsePauliOp(label), angle), range(4))
    return circuit


def ghz(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    for q in range(num_qubits - 1):
        circuit.cx(q, q + 1)
    return circuit


def qaoa12() -> QuantumCircuit:
    """One layer for MaxCut on a random cubic graph, made of three perfect matchings."""
    rng = np.random.default_rng(1)
    edges: set[tuple[int, int]] = set()
    while len(edges) < 18:
        edges = set()
        for _ in range(3):
            order = rng.permutation(12)
            edges |= {tuple(sorted(map(int, pair))) for pair in order.reshape(6, 2)}  # type: ignore[misc]
    circuit = QuantumCircuit(12)
    circuit.h(range(12))
    for a, b in sorted(edges):
        circuit.rzz(0.7, a, b)
    circuit.rx(0.5, range(12))
    return circuit


def qv8() -> QuantumCircuit:
    return quantum_volume(8, seed=1)


def su2_8() -> QuantumCircuit:
    circuit = efficient_su2(8)
    angles = np.random.default_rng(0).uniform(-np.pi, np.pi, circuit.num_parameters)
    return circuit.assign_parameters(angles)


CIRCUITS: dict[str, Callable[[], QuantumCircuit]] = {
    "qft5": qft5,
    "ansatz4": ansatz4,
    "ucc4": ucc4,
    "ghz5": lambda: ghz(5),
    "ghz20": lambda: ghz(20),
    "qaoa12": qaoa12,
    "qv8": qv8,
    "su2-8": su2_8,
}


def measure(device: Device, circuit: QuantumCircuit, budget: float, count: int | None) -> Any:
    """One pair: level 3 over seeds, the search, and fidelities where the gain is worth it."""
    level3 = [compile(circuit, device, seed=seed) for seed in range(SEEDS)]
    mean = statistics.mean(one.esp for one in level3)
    wall, cpu = time.perf_counter(), time.process_time()
    best = compile(circuit, device, effort="best", budget_s=budget, workers=count)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    result = {
        "level3_esp": mean,
        "level3_least": min(one.esp for one in level3),
        "level3_most": max(one.esp for one in level3),
        "esp": best.esp,
        "ratio": best.esp / mean,
        "candidates": len(best.candidates),
        "complete": best.complete,
        "recipe": _recipe(best),
        "depth": [statistics.mean(one.depth for one in level3), best.depth],
        "two_qubit_gates": [
            statistics.mean(one.two_qubit_gates for one in level3),
            best.two_qubit_gates,
        ],
        "wall_seconds": wall,
        "cpu_seconds": cpu,
    }
    if result["ratio"] > 1.05 and _used(best) <= SIMULATED_QUBITS:
        compared = [fidelity(one) for one in level3[:SIMULATED] if _used(one) <= SIMULATED_QUBITS]
        if compared:
            result["fidelity"] = [statistics.mean(compared), fidelity(best)]
    return result


def fidelity(compiled: Compiled) -> float:
    """Hellinger fidelity of the noisy distribution of all bits to the ideal one."""
    count = compiled.num_qubits
    # A distribution is the Walsh-Hadamard transform of the expectation values of all Z strings.
    labels = [
        format(mask, f"0{count}b").replace("0", "I").replace("1", "Z") for mask in range(2**count)
    ]
    values = noisy(compiled, compiled.device, idle=True).expval([PauliString(s) for s in labels])
    parities = np.array(
        [[(-1) ** (a & b).bit_count() for a in range(2**count)] for b in range(2**count)]
    )
    noise = np.clip(parities @ values.numpy() / 2**count, 0, None)
    ideal = Statevector(compiled.source).probabilities()
    found, wanted = (dict(enumerate(p.tolist())) for p in (noise / noise.sum(), ideal))
    return float(hellinger_fidelity(found, wanted))


def _used(compiled: Compiled) -> int:
    touched = {q for step in compiled.schedule.steps for q in step.qubits}
    return len(touched | set(compiled.final_layout))


def _recipe(best: Compiled) -> str:
    for candidate in best.candidates:
        if (candidate.esp, candidate.depth) == (best.esp, best.depth):
            return str(candidate.recipe)
    raise AssertionError("the chosen circuit is a candidate")


def table(results: dict[str, dict[str, Any]], key: Callable[[Any], str]) -> str:
    """Devices down, circuits across."""
    names = [name for name in CIRCUITS if any(name in row for row in results.values())]
    rows: list[tuple[str, ...]] = [("", *names, "")]
    for device, row in results.items():
        rows.append((device, *[key(row[n]) if n in row else "" for n in names], ""))
    return markdown(rows)


def failures(results: dict[str, dict[str, Any]]) -> Iterable[str]:
    """Bars that are not reached."""
    ratios = {(d, c): found["ratio"] for d, row in results.items() for c, found in row.items()}
    for pair, ratio in ratios.items():
        least = BARS.get(pair, 1.0)
        if ratio < least:
            yield f"{' '.join(pair)}: {ratio:.3f} is below {least}"
    mean = statistics.geometric_mean(ratios.values())
    if mean < 1.15 and len(ratios) > 50:
        yield f"geometric mean: {mean:.3f} is below 1.15"


def pairs(
    devices: Iterable[str], circuits: Iterable[str]
) -> Iterator[tuple[str, str, Device, QuantumCircuit]]:
    """Names of device and circuit, and both, where the circuit fits."""
    titles = list(circuits)
    for name in devices:
        device = Device.from_name(name)
        for title in titles:
            circuit = CIRCUITS[title]()
            if circuit.num_qubits <= device.num_qubits:
                yield name, title, device, circuit


def recorded(output: Path) -> dict[str, dict[str, Any]]:
    """What a file has by device and circuit: pairs that are not measured now stay."""
    return json.loads(output.read_text())["results"] if output.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--budget", type=float, default=5.0)
    parser.add_argument("--devices", nargs="+", default=DEVICES)
    parser.add_argument("--circuits", nargs="+", default=list(CIRCUITS), choices=list(CIRCUITS))
    parser.add_argument("--workers", type=int)
    parser.add_argument("--cpu-time", action="store_true", help="with one worker")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", CalibrationWarning)
    if arguments.cpu_time:
        arguments.workers = 1
        search.perf_counter = workers.perf_counter = time.process_time
    results = recorded(arguments.output)
    for name, title, device, circuit in pairs(arguments.devices, arguments.circuits):
        found = measure(device, circuit, arguments.budget, arguments.workers)
        results.setdefault(name, {})[title] = found
        print(name, title, json.dumps(found), flush=True)
    ratios = [found["ratio"] for row in results.values() for found in row.values()]
    mean = statistics.geometric_mean(ratios)
    print(table(results, lambda found: f"{found['ratio']:.3f}"))
    print(f"geometric mean of {len(ratios)}: {mean:.3f}")
    missed = list(failures(results))
    write(
        arguments.output,
        {
            "work": "compilation",
            "budget_seconds": arguments.budget,
            "budget_of": "processor" if arguments.cpu_time else "clock",
            "seeds": SEEDS,
            "machine": machine([]),
            "geometric_mean": mean,
            "missed": missed,
            "results": results,
        },
    )
    for sentence in missed:
        print("missed:", sentence)


if __name__ == "__main__":
    main()
