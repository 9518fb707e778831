"""Qulacs: one sample at a time, gradients by its own backpropagation.

Qulacs turns by exp(+i angle P / 2), so angles enter, and gradients return, with the other sign.
Its backpropagation does not return the value; a second run of the circuit would, and is not timed.
"""

import numpy as np
import qulacs

from benchmarks.harness import FloatArray, Run, main
from benchmarks.works.step import CASES, Case


def training_circuit(case: Case, weights: FloatArray) -> qulacs.ParametricQuantumCircuit:
    circuit = qulacs.ParametricQuantumCircuit(case.qubits)
    for qubit in range(case.qubits):
        circuit.add_parametric_RY_gate(qubit, 0.0)
    for layer in weights:
        for qubit, (x, y, z) in enumerate(layer):
            circuit.add_parametric_RX_gate(qubit, -x)
            circuit.add_parametric_RY_gate(qubit, -y)
            circuit.add_parametric_RZ_gate(qubit, -z)
        for qubit in range(case.qubits):
            circuit.add_CNOT_gate(qubit, (qubit + 1) % case.qubits)
    return circuit


def build(case: Case) -> Run:
    inputs, weights = case.angles()
    circuit = training_circuit(case, weights)
    observable = qulacs.Observable(case.qubits)
    for qubit in range(case.qubits):
        observable.add_operator(1.0, f"Z {qubit}")

    def encode(sample: FloatArray) -> None:
        for qubit, angle in enumerate(sample):
            circuit.set_parameter(qubit, -angle)

    def value(sample: FloatArray) -> float:
        encode(sample)
        state = qulacs.QuantumState(case.qubits)
        circuit.update_quantum_state(state)
        return observable.get_expectation_value(state)

    loss = sum(map(value, inputs))

    def run():
        gradient = np.zeros(case.qubits + weights.size)
        for sample in inputs:
            encode(sample)
            gradient -= circuit.backprop(observable)
        return loss, gradient[case.qubits :].reshape(weights.shape)

    return run


if __name__ == "__main__":
    main("Qulacs", "qulacs", "complex128", CASES, build)
