"""Qulacs: one large state. It turns by exp(+i angle P / 2), so angles enter with the other sign."""

import qulacs
from qulacs.circuit import QuantumCircuitOptimizer

from benchmarks.harness import Run, main
from benchmarks.works.forward import CASES, NO_GRADIENT, Case


def build(case: Case) -> Run:
    circuit = qulacs.QuantumCircuit(case.qubits)
    for layer in case.angles():
        for qubit, (x, y, z) in enumerate(layer):
            circuit.add_RX_gate(qubit, -x)
            circuit.add_RY_gate(qubit, -y)
            circuit.add_RZ_gate(qubit, -z)
        for qubit in range(case.qubits):
            circuit.add_CNOT_gate(qubit, (qubit + 1) % case.qubits)
    QuantumCircuitOptimizer().optimize_light(circuit)
    observable = qulacs.Observable(case.qubits)
    observable.add_operator(1.0, "Z 0")

    def run():
        state = qulacs.QuantumState(case.qubits)
        circuit.update_quantum_state(state)
        return observable.get_expectation_value(state), NO_GRADIENT

    return run


if __name__ == "__main__":
    main("Qulacs", "qulacs", "complex128", CASES, build)
