"""Estimated success: against products written out by hand and a slow formula."""

from collections.abc import Callable

import pytest
from qiskit import QuantumCircuit

from compile import Compiled, Device, compile, estimate_esp
from qsim import Circuit, UsageError

LineDevice = Callable[..., Device]
Relaxed = Callable[[float, float, float], float]
SlowEsp = Callable[[Compiled], tuple[float, float, float]]
PULSE = 3e-8  # seconds of every gate on a `line`


def test_product_by_hand(line: LineDevice, relaxed: Relaxed) -> None:
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


def test_delays_take_time_on_their_qubit(line: LineDevice, relaxed: Relaxed) -> None:
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
def test_compiled_circuit_on_snapshots(
    name: str, random_circuit: Callable[..., Circuit], slow_esp: SlowEsp
) -> None:
    compiled = compile(random_circuit(1, 4), Device.from_name(name), level=1)
    gates, readout, idle = slow_esp(compiled)
    assert 0 < gates < 1
    assert compiled.gate_esp == pytest.approx(gates, rel=1e-9)
    assert compiled.readout_esp == pytest.approx(readout, rel=1e-9)
    assert compiled.idle_esp == pytest.approx(idle, rel=1e-9)
    assert compiled.esp == pytest.approx(gates * readout * idle, rel=1e-9)
