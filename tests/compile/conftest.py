"""Devices and circuits for the tests of compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CXGate, RZGate, SXGate, XGate
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_aer import AerSimulator

from compile import Device
from qsim import Circuit, Input

SX, X, READOUT = 0.001, 0.002, 0.03
ENCODING = ("rx", "ry", "rz", "rx")


@pytest.fixture(scope="session")
def quito() -> Device:
    return Device.from_name("FakeQuitoV2")


@pytest.fixture
def line() -> Callable[..., Device]:
    return _line


@pytest.fixture
def random_circuit() -> Callable[..., Circuit]:
    return _random_circuit


def _line(
    cx: Mapping[tuple[int, int], float | None],
    *,
    sx: Mapping[int, float | None] | None = None,
    t1: float | None = 1e-4,
) -> Device:
    """Qubits 0, 1, ... coupled as `cx` says, with its errors; by default equal in all else."""
    qubits = range(1 + max(max(edge) for edge in cx))
    coherence = [QubitProperties(t1=t1, t2=t1) for _ in qubits]
    target = Target(num_qubits=len(qubits), qubit_properties=coherence)
    pulses = dict.fromkeys(qubits, SX) | dict(sx or {})
    target.add_instruction(SXGate(), {(q,): _properties(e) for q, e in pulses.items()})
    target.add_instruction(XGate(), {(q,): _properties(X) for q in qubits})
    frames = {(q,): InstructionProperties(0.0, 0.0) for q in qubits}
    target.add_instruction(RZGate(Parameter("a")), frames)
    target.add_instruction(CXGate(), {edge: _properties(error) for edge, error in cx.items()})
    target.add_instruction(Measure(), {(q,): _properties(READOUT) for q in qubits})
    return Device(AerSimulator(target=target))


def _properties(error: float | None) -> InstructionProperties:
    return InstructionProperties(duration=3e-8, error=error)


def _random_circuit(seed: int, num_qubits: int, gates: int = 24, num_inputs: int = 0) -> Circuit:
    """Rotations by inputs, then random gates on one and two qubits."""
    rng = np.random.default_rng(seed)
    circuit = Circuit(num_qubits, num_inputs=num_inputs)
    for i in range(num_inputs):
        circuit.append(ENCODING[i // num_qubits % 4], i % num_qubits, [Input(i)])
    for _ in range(gates):
        a, b = (int(q) for q in rng.permutation(num_qubits)[:2])
        angles = rng.uniform(-np.pi, np.pi, 3)
        name = str(rng.choice(["u3", "cu3", "cx", "swap", "rzz", "h", "t"]))
        if name in ("u3", "cu3"):
            circuit.append(name, (a,) if name == "u3" else (a, b), angles)
        elif name == "rzz":
            circuit.rzz(angles[0], a, b)
        else:
            circuit.append(name, (a,) if name in ("h", "t") else (a, b))
    return circuit
