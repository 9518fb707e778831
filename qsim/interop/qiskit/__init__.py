"""To and from Qiskit circuits. Both count qubit 0 as the least significant bit."""

from qsim.interop.qiskit.reading import from_qiskit
from qsim.interop.qiskit.writing import to_qiskit

__all__ = ["from_qiskit", "to_qiskit"]
