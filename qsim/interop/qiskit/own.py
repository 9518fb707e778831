"""Gates of qsim that Qiskit lacks, as a class of Qiskit."""

from __future__ import annotations

from typing import Any

from qiskit.circuit import Gate as QiskitGate

from qsim.gates import Gate
from qsim.interop.qiskit.writing import definition


class OwnGate(QiskitGate):
    """The gate under its name, defined by its decomposition."""

    def __init__(self, gate: Gate, angles: list[Any]) -> None:
        super().__init__(gate.name, gate.num_qubits, angles)
        self.own = gate

    def _define(self) -> None:
        self.definition = definition(self.own, self.params)
