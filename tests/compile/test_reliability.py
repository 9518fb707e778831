"""Random circuits on random devices: the same circuit, within the rules, rightly scored."""

from collections.abc import Callable
from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from compile import Compiled, Device, compile
from qsim import Circuit
from qsim.interop.qiskit import to_qiskit

pytestmark = pytest.mark.filterwarnings("ignore::compile.CalibrationWarning")

SlowEsp = Callable[[Compiled], tuple[float, float, float]]
SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HEAVY_HEX = [(0, 1), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (7, 8), (3, 9), (9, 8)]


def couplings() -> st.SearchStrategy[list[tuple[int, int]]]:
    lines = st.integers(3, 7).map(lambda n: [(q, q + 1) for q in range(n - 1)])
    grids = st.tuples(st.integers(2, 3), st.integers(2, 3)).map(
        lambda sides: list(
            networkx.convert_node_labels_to_integers(networkx.grid_2d_graph(*sides)).edges
        )
    )
    pieces = st.integers(5, 10).map(lambda n: [e for e in HEAVY_HEX if max(e) < n])
    return st.one_of(lines, grids, pieces)


@st.composite
def devices(draw: st.DrawFn) -> Device:
    """Errors, times, one-way gates (ecr) or both ways (cx, cz), and perhaps a broken coupling."""
    edges = draw(couplings())
    count = 1 + max(map(max, edges))
    gate = draw(st.sampled_from(["cx", "cz", "ecr"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    broken = draw(st.sampled_from([None, *edges]))
    gates: list[dict[str, Any]] = []
    for name, most in (("rz", 0.0), ("sx", 2e-3), ("x", 2e-3)):
        for q in range(count):
            seconds = 0.0 if name == "rz" else 3.5e-8
            gates.append(_gate(name, [q], float(rng.uniform(0, most)), seconds))
    for edge in edges:
        error = 1.0 if edge == broken else float(rng.uniform(1e-3, 5e-2))
        ways = [edge] if gate == "ecr" else [edge, edge[::-1]]
        gates += [_gate(gate, list(way), error, float(rng.uniform(1, 6)) * 1e-7) for way in ways]
    qubits = [
        {
            "t1": float(rng.uniform(2e-5, 2e-4)),
            "t2": float(rng.uniform(1e-5, 5e-4)),  # above 2 T1 at times
            "readout": rng.uniform(0, 0.1, 2).tolist(),
            "readout_seconds": 1e-6,
        }
        for _ in range(count)
    ]
    return Device.from_calibration(
        {
            "format": "device calibration",
            "version": 2,
            "name": "random",
            "num_qubits": count,
            "simulated": True,
            "calibrated": None,
            "dt": None,
            "coords": None,
            "qubits": qubits,
            "gates": gates,
            "control_flow": [],
            "angle_bounds": {},
        }
    )


def _gate(name: str, qubits: list[int], error: float, seconds: float) -> dict[str, Any]:
    return {"gate": name, "qubits": qubits, "error": error, "duration": seconds}


@st.composite
def circuits(draw: st.DrawFn, most: int) -> Circuit:
    count = draw(st.integers(1, most))
    circuit = Circuit(count)
    angles = st.floats(-6, 6, allow_nan=False).map(lambda a: round(a, 3))
    for _ in range(draw(st.integers(0, 12))):
        wires = draw(st.permutations(range(count)))
        name = draw(st.sampled_from(["h", "t", "ry", "u3", "cx", "cu3", "rzz", "swap", "ccx"]))
        size, parameters = {
            **{"h": (1, 0), "t": (1, 0), "ry": (1, 1), "u3": (1, 3), "cx": (2, 0)},
            **{"cu3": (2, 3), "rzz": (2, 1), "swap": (2, 0), "ccx": (3, 0)},
        }[name]
        if size <= count:
            circuit.append(name, wires[:size], [draw(angles) for _ in range(parameters)])
    return circuit


def connected(device: Device) -> list[set[int]]:
    graph = networkx.Graph(device.edges)
    graph.add_nodes_from(range(device.num_qubits))
    return list(networkx.connected_components(graph))


def check(compiled: Compiled, circuit: Circuit, device: Device, slow_esp: SlowEsp) -> None:
    assert compiled.verify().equivalent
    moved = QuantumCircuit(device.num_qubits)
    moved.compose(to_qiskit(circuit), qubits=compiled.final_layout, inplace=True)
    found = Statevector(compiled.circuit)
    assert Statevector(moved).equiv(found, rtol=1e-7, atol=1e-9)
    for step in compiled.circuit.data:
        place = tuple(compiled.circuit.find_bit(q).index for q in step.qubits)
        error = device.backend.target[step.operation.name][place].error
        assert error < 1  # raises KeyError unless the device has the gate there
    assert (compiled.gate_esp, compiled.readout_esp, compiled.idle_esp) == pytest.approx(
        slow_esp(compiled), rel=1e-9
    )
    counts = {bits: round(1e6 * p) for bits, p in found.probabilities_dict().items()}
    logical = Statevector(to_qiskit(circuit)).probabilities_dict()
    unmapped = compiled.unmap_counts(counts)
    for bits in logical.keys() | unmapped.keys():
        assert unmapped.get(bits, 0) == pytest.approx(1e6 * logical.get(bits, 0.0), abs=200)


@SETTINGS
@given(st.data())
def test_one_run(slow_esp: SlowEsp, data: st.DataObject) -> None:
    device = data.draw(devices())
    room = max(connected(device), key=len)
    circuit = data.draw(circuits(min(len(room), 5)))
    level, seed = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 99))
    places = data.draw(st.permutations(sorted(room)))[: circuit.num_qubits]
    layout = data.draw(st.sampled_from([None, places]))
    check(
        compile(circuit, device, layout=layout, level=level, seed=seed), circuit, device, slow_esp
    )


@settings(SETTINGS, max_examples=5)
@given(st.data())
def test_search(slow_esp: SlowEsp, data: st.DataObject) -> None:
    device = data.draw(devices())
    circuit = data.draw(circuits(min(len(max(connected(device), key=len)), 4)))
    seed = data.draw(st.integers(0, 99))
    compiled = compile(circuit, device, effort="balanced", seed=seed, budget_s=1, workers=1)
    check(compiled, circuit, device, slow_esp)
    assert compiled.baseline is not None
    assert compiled.esp >= compiled.baseline.esp
