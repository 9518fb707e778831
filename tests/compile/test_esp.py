"""Estimated success: against products written out by hand and a slow formula."""

from collections.abc import Callable
from math import exp

import pytest
from qiskit import QuantumCircuit

from compile import Compiled, Device, compile, estimate_esp
from qsim import Circuit, UsageError

LineDevice = Callable[..., Device]
PULSE = 3e-8  # seconds of every gate on a `line`


def relaxed(seconds: float, t1: float, t2: float) -> float:
    """Average fidelity (2 F + 1) / 3, with F that of the process: (1 + e1 + 2 e2) / 4."""
    process = (1 + exp(-seconds / t1) + 2 * exp(-seconds / t2)) / 4
    return (2 * process + 1) / 3


def slow_esp(compiled: Compiled) -> tuple[float, float, float]:
    """Gates, readout and waits, by the target and a table of who is busy until when."""
    target = compiled.device.backend.target
    steps = [
        (s.operation.name, tuple(compiled.circuit.find_bit(q).index for q in s.qubits))
        for s in compiled.circuit.data
    ]
    gates = readout = idle = 1.0
    begin: dict[int, list[float]] = {q: [0.0] for q in compiled.final_layout}
    for name, qubits in reversed(steps):
        properties = target[name][qubits]
        gates *= 1 - (properties.error or 0.0)
        end = max(begin.get(q, [0.0])[-1] for q in qubits)
        for q in qubits:
            coherence = target.qubit_properties[q]
            t2 = min(coherence.t2, 2 * coherence.t1)
            wait = end - begin[q][-1] if q in begin else 0.0
            idle *= relaxed(wait, coherence.t1, t2)
            begin.setdefault(q, []).append(end + (properties.duration or 0.0))
    for q in compiled.final_layout:
        readout *= 1 - target["measure"][(q,)].error
    return gates, readout, idle


def test_product_by_hand(line: LineDevice) -> None:
    device = line({(0, 1): 0.01, (1, 2): 0.02}, sx={2: 0.005})
    circuit = QuantumCircuit(3, 1)
    circuit.sx(0)
    circuit.sx(2)
    circuit.x(1)
    circuit.rz(0.3, 1)
    circuit.barrier()
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    circuit.cx(1, 2)
    circuit.measure(0, 0)  # readout counts apart
    esp = estimate_esp(circuit, device, [0, 2])
    assert esp.gates == pytest.approx(
        {(0,): 1 - 0.001, (2,): 1 - 0.005, (1,): 1 - 0.002, (0, 1): 0.99, (1, 2): 0.98**2}
    )
    assert esp.gate == pytest.approx(
        (1 - 0.001) * (1 - 0.005) * (1 - 0.002) * (1 - 0.01) * (1 - 0.02) ** 2, rel=1e-12
    )
    assert esp.readout == pytest.approx(0.97**2, rel=1e-12)
    # Qubit 0 waits for two gates before it is read; qubit 2 for one, after the barrier.
    assert esp.idles == pytest.approx(
        {0: relaxed(2 * PULSE, 1e-4, 1e-4), 2: relaxed(PULSE, 1e-4, 1e-4)}
    )
    assert esp.total == pytest.approx(esp.gate * esp.readout * esp.idle)
    assert esp.of_qubit(2) == pytest.approx((1 - 0.005) * 0.97 * relaxed(PULSE, 1e-4, 1e-4))


def test_qubits_that_are_not_measured_wait_for_nothing(line: LineDevice) -> None:
    device = line({(0, 1): 0.01, (1, 2): 0.02})
    circuit = QuantumCircuit(3)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    assert set(estimate_esp(circuit, device, [2]).idles) == set()
    assert set(estimate_esp(circuit, device, [0, 2]).idles) == {0}


def test_delays_take_time_on_their_qubit(line: LineDevice) -> None:
    device = line({(0, 1): 0.01})
    circuit = QuantumCircuit(2)
    circuit.cx(0, 1)
    circuit.delay(500, 0, unit="ns")
    esp = estimate_esp(circuit, device, [0, 1])
    assert esp.idles == pytest.approx({1: relaxed(5e-7, 1e-4, 1e-4)})


@pytest.mark.parametrize("error", [1.0, None])
def test_dead_edge_leaves_no_success(line: LineDevice, error: float | None) -> None:
    device = line({(0, 1): 0.01, (1, 2): error})
    circuit = QuantumCircuit(3)
    circuit.cx(1, 2)
    assert estimate_esp(circuit, device, [0]).gate == 0.0


def test_unknown_one_qubit_error_is_free(line: LineDevice) -> None:
    device = line({(0, 1): 0.01}, sx={0: None})
    circuit = QuantumCircuit(2)
    circuit.sx(0)
    assert estimate_esp(circuit, device, [0]).gate == 1.0


def test_gate_that_the_device_lacks(line: LineDevice) -> None:
    circuit = QuantumCircuit(2)
    circuit.cx(1, 0)
    with pytest.raises(UsageError, match=r"no gate cx on physical qubits \(1, 0\)"):
        estimate_esp(circuit, line({(0, 1): 0.01}), [0])


@pytest.mark.parametrize("name", ["quito", "burlington", "peekskill", "torino", "kolkata"])
def test_compiled_circuit_on_snapshots(name: str, random_circuit: Callable[..., Circuit]) -> None:
    compiled = compile(random_circuit(1, 4), Device.from_name(name), level=1)
    gates, readout, idle = slow_esp(compiled)
    assert 0 < gates < 1
    assert compiled.gate_esp == pytest.approx(gates, rel=1e-9)
    assert compiled.readout_esp == pytest.approx(readout, rel=1e-9)
    assert compiled.idle_esp == pytest.approx(idle, rel=1e-9)
    assert compiled.esp == pytest.approx(gates * readout * idle, rel=1e-9)
