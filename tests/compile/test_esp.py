"""Estimated success: against products written out by hand, and on what does not work."""

from collections.abc import Callable

import pytest
from qiskit import QuantumCircuit

from compile import Device, compile, gate_esp, readout_esp
from qsim import Circuit, UsageError

LineDevice = Callable[..., Device]


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
    by_hand = (1 - 0.001) * (1 - 0.005) * (1 - 0.002) * (1 - 0.01) * (1 - 0.02) ** 2
    assert gate_esp(circuit, device) == pytest.approx(by_hand, rel=1e-12)
    assert readout_esp([0, 2], device) == pytest.approx(0.97**2, rel=1e-12)


@pytest.mark.parametrize("error", [1.0, None])
def test_dead_edge_leaves_no_success(line: LineDevice, error: float | None) -> None:
    device = line({(0, 1): 0.01, (1, 2): error})
    circuit = QuantumCircuit(3)
    circuit.cx(1, 2)
    assert gate_esp(circuit, device) == 0.0


def test_unknown_one_qubit_error_is_free(line: LineDevice) -> None:
    device = line({(0, 1): 0.01}, sx={0: None})
    circuit = QuantumCircuit(2)
    circuit.sx(0)
    assert gate_esp(circuit, device) == 1.0


def test_gate_that_the_device_lacks(line: LineDevice) -> None:
    circuit = QuantumCircuit(2)
    circuit.cx(1, 0)
    with pytest.raises(UsageError, match=r"no gate cx on physical qubits \(1, 0\)"):
        gate_esp(circuit, line({(0, 1): 0.01}))


@pytest.mark.parametrize("name", ["quito", "burlington", "peekskill", "torino"])
def test_compiled_circuit_on_snapshots(name: str, random_circuit: Callable[..., Circuit]) -> None:
    device = Device.from_name(name)
    compiled = compile(random_circuit(1, 4), device, level=1)
    target = device.backend.target
    expected = 1.0
    for step in compiled.circuit.data:
        qubits = tuple(compiled.circuit.find_bit(q).index for q in step.qubits)
        expected *= 1 - (target[step.operation.name][qubits].error or 0)
    assert 0 < expected < 1
    assert compiled.gate_esp == pytest.approx(expected, rel=1e-9)
    for qubit in compiled.final_layout:
        expected *= 1 - target["measure"][(qubit,)].error
    assert compiled.esp == pytest.approx(expected, rel=1e-9)
    assert compiled.esp == compiled.gate_esp * compiled.readout_esp
