"""Qiskit Aer: one large state in single precision, gates fused."""

from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.library import SaveExpectationValue

from benchmarks.harness import Run, main, threads
from benchmarks.works.forward import CASES, NO_GRADIENT, Case


def build(case: Case) -> Run:
    circuit = QuantumCircuit(case.qubits)
    for layer in case.angles():
        for qubit, (x, y, z) in enumerate(layer):
            circuit.rx(x, qubit)
            circuit.ry(y, qubit)
            circuit.rz(z, qubit)
        for qubit in range(case.qubits):
            circuit.cx(qubit, (qubit + 1) % case.qubits)
    circuit.append(SaveExpectationValue(SparsePauliOp("Z")), [0])
    simulator = AerSimulator(
        method="statevector", precision="single", max_parallel_threads=threads()
    )

    def run():
        result = simulator.run(circuit).result()
        return result.data()["expectation_value"], NO_GRADIENT

    return run


if __name__ == "__main__":
    main("Qiskit Aer", "qiskit-aer", "complex64", CASES, build)
