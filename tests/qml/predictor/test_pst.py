"""Simulated success probabilities against formulas and Aer."""

from __future__ import annotations

from math import pi

import pytest
from qiskit import ClassicalRegister
from qiskit_aer import AerSimulator

from compile import Device, compile
from compile.simulation import noisy_simulator, on_active_qubits
from qml.predictor.pst import success_probability
from qsim import Circuit, Input
from qsim.errors import UsageError

QUITO = Device.from_name("FakeQuitoV2")


def test_an_empty_circuit_is_only_read():
    compiled = compile(Circuit(2).rz(0.3, [0, 1]), QUITO, layout=[3, 4], level=0)
    wrong = QUITO.noise_model([3, 4]).readout_errors
    expected = (1 - wrong[0][0]) * (1 - wrong[1][0])
    assert success_probability(compiled, QUITO) == pytest.approx(expected, abs=1e-6)


def chain(device):
    """Three qubits, of which the middle one is coupled to both others."""
    (a, b), *others = device.edges
    c = next(q for edge in others if b in edge for q in edge if q != b)
    return [a, b, c]


@pytest.mark.parametrize("name", ["FakeQuitoV2", "FakeTorino", "FakeSherbrooke"])
def test_aer_finds_the_same(name):
    """A circuit and its inverse of the device's gates, run with shots under Aer's noise."""
    device = Device.from_name(name)
    circuit = Circuit(3)
    for layer in range(4):
        for qubit in range(3):
            circuit.u3(0.3 + qubit, 0.2 * layer, 1.1, qubit)
        circuit.cx(layer % 2, layer % 2 + 1)
    compiled = compile(circuit, device, layout=chain(device), level=1)
    assert compiled.initial_layout == compiled.final_layout
    both = compiled.circuit.copy()
    for step in reversed(compiled.circuit.data):
        gate, qubits = step.operation, step.qubits
        if step.name == "sx":
            both.rz(pi, *qubits)
            both.sx(*qubits)
            both.rz(pi, *qubits)
        else:
            both.append(gate.inverse(), qubits)
    both.add_register(ClassicalRegister(compiled.num_qubits))
    both.measure(compiled.final_layout, range(compiled.num_qubits))
    small, active = on_active_qubits(both)
    shots = 20_000
    simulator = noisy_simulator(small, device, active, shots)
    assert isinstance(simulator, AerSimulator)
    zeros = simulator.run(small, shots=shots, seed_simulator=1).result().get_counts()
    found = zeros["0" * compiled.num_qubits] / shots
    assert success_probability(compiled, device) == pytest.approx(found, abs=0.012)


def test_open_angles_cannot_be_simulated():
    with pytest.raises(UsageError, match="0 weights and 1 inputs: bind them before compiling"):
        success_probability(compile(Circuit(1).rx(Input(0), 0), QUITO), QUITO)
