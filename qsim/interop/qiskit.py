"""To Qiskit circuits. Both count qubit 0 as the least significant bit, so nothing is reversed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from qsim.circuit import Angle, Circuit, Symbol
from qsim.errors import need
from qsim.gates import Gate

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


def to_qiskit(circuit: Circuit) -> QuantumCircuit:
    """The same circuit in Qiskit; weights and inputs become the parameter vectors "w" and "x".

    Raises:
        UsageError: if Qiskit is not installed.
    """
    qiskit = need("qiskit", extra="ibm", purpose="converting to Qiskit")
    vector = need("qiskit.circuit", extra="ibm", purpose="converting to Qiskit").ParameterVector
    symbols = {
        "weight": vector("w", circuit.num_weights),
        "input": vector("x", circuit.num_inputs),
    }
    converted = qiskit.QuantumCircuit(circuit.num_qubits)
    for gate, qubits, params in circuit.operations:
        angles = [_angle(p, symbols) for p in params]
        converted.append(_gate_class(gate)(*angles), list(qubits), copy=False)
    return converted


def _angle(param: Angle, symbols: dict[str, Any]) -> Any:
    if isinstance(param, Symbol):
        parameter = symbols[param.source][param.index]
        scaled = parameter if param.scale == 1 else param.scale * parameter
        return scaled + param.offset if param.offset else scaled
    return param


@cache
def _gate_class(gate: Gate) -> Any:
    library = need("qiskit.circuit.library", extra="ibm", purpose="converting to Qiskit")
    return library.get_standard_gate_name_mapping()[gate.qiskit or gate.name].base_class
