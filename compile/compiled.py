"""A circuit that fits a device, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from compile.device import VIRTUAL_GATES

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


@dataclass(frozen=True)
class Compiled:
    """A circuit compiled for a device.

    Attributes:
        circuit: gates of the device on physical qubits, without measurements. It does what the
            original circuit does, up to the layouts and a global phase.
        device_name: what it was compiled for.
        initial_layout: physical qubit of every logical qubit at the start.
        final_layout: physical qubit of every logical qubit at the end, where it is measured.
        gate_esp: probability that no gate fails.
        readout_esp: probability that every logical qubit is read out right.
        num_inputs: number of input features that `run` takes.
        num_weights: weights that are still open.
        features: column of the inputs by name of the parameter that it fills.
    """

    circuit: QuantumCircuit
    device_name: str
    initial_layout: tuple[int, ...]
    final_layout: tuple[int, ...]
    gate_esp: float
    readout_esp: float
    num_inputs: int = 0
    num_weights: int = 0
    features: Mapping[str, int] = field(default_factory=dict)

    @property
    def num_qubits(self) -> int:
        """Number of logical qubits."""
        return len(self.final_layout)

    @property
    def esp(self) -> float:
        """Estimated success probability, of gates and readout."""
        return self.gate_esp * self.readout_esp

    @property
    def one_qubit_gates(self) -> int:
        """Number of one-qubit gates that are played as pulses."""
        return self._gates[0]

    @property
    def virtual_gates(self) -> int:
        """Number of one-qubit gates that are only a change of frame, such as rz."""
        return self._gates[1]

    @property
    def two_qubit_gates(self) -> int:
        return self._gates[2]

    @cached_property
    def _gates(self) -> tuple[int, int, int]:
        counts = [0, 0, 0]
        for instruction in self.circuit.data:
            virtual = instruction.name in VIRTUAL_GATES
            counts[2 if len(instruction.qubits) == 2 else virtual] += 1
        return counts[0], counts[1], counts[2]

    @cached_property
    def depth(self) -> int:
        """Depth in gates, virtual ones included, as Qiskit counts it."""
        return int(self.circuit.depth())

    def measured(self) -> QuantumCircuit:
        """The circuit with logical qubit i measured at the end into bit i of register "c"."""
        from qiskit import ClassicalRegister

        circuit = self.circuit.copy()
        bits = ClassicalRegister(self.num_qubits, "c")
        circuit.add_register(bits)
        circuit.measure(list(self.final_layout), bits)
        return circuit

    def to_openqasm3(self) -> str:
        """OpenQASM 3 on physical qubits ($0, $1, ...), with the measurements of `measured`."""
        from qiskit import qasm3

        return str(qasm3.dumps(self.measured()))
