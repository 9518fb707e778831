"""OpenQASM 3 text, by way of Qiskit's exporter."""

from __future__ import annotations

from qsim.circuit import Circuit
from qsim.errors import need
from qsim.interop.qiskit import to_qiskit


def to_openqasm3(circuit: Circuit) -> str:
    """The circuit as OpenQASM 3; unbound weights and inputs become `input` declarations."""
    qasm3 = need("qiskit.qasm3", extra="ibm", purpose="writing OpenQASM 3")
    return str(qasm3.dumps(to_qiskit(circuit)))
