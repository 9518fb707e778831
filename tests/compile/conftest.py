"""Devices and circuits for the tests of compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import exp

import numpy as np
import pytest
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CXGate, RZGate, SXGate, XGate
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_aer import AerSimulator

from compile import Compiled, Device
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


@pytest.fixture(scope="session")
def relaxed() -> Callable[[float, float, float], float]:
    return _relaxed


@pytest.fixture(scope="session")
def slow_esp() -> Callable[[Compiled], tuple[float, float, float]]:
    return _slow_esp


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


def _relaxed(seconds: float, t1: float, t2: float) -> float:
    """Average fidelity (2 F + 1) / 3, with F that of the process: (1 + e1 + 2 e2) / 4."""
    process = (1 + exp(-seconds / t1) + 2 * exp(-seconds / t2)) / 4
    return (2 * process + 1) / 3


def _slow_esp(compiled: Compiled) -> tuple[float, float, float]:
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
            idle *= _relaxed(wait, coherence.t1, t2)
            begin.setdefault(q, []).append(end + (properties.duration or 0.0))
    for q in compiled.final_layout:
        readout *= 1 - target["measure"][(q,)].error
    return gates, readout, idle
