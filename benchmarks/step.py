"""The training step of harness.py on our own engine, through the public API and autograd."""

import torch

from benchmarks.harness import Case, FloatArray, Step, main, threads
from qsim import Circuit, Input, Weight, expval


def training_circuit(case: Case) -> Circuit:
    circuit = Circuit(case.qubits)
    for qubit in range(case.qubits):
        circuit.ry(Input(qubit), qubit)
    index = 0
    for _ in range(case.layers):
        for qubit in range(case.qubits):
            circuit.rx(Weight(index), qubit)
            circuit.ry(Weight(index + 1), qubit)
            circuit.rz(Weight(index + 2), qubit)
            index += 3
        for qubit in range(case.qubits):
            circuit.cx(qubit, (qubit + 1) % case.qubits)
    return circuit


def build(case: Case, inputs: FloatArray, weights: FloatArray) -> Step:
    torch.set_num_threads(threads())
    circuit = training_circuit(case)
    x = torch.tensor(inputs, dtype=torch.float32)
    parameters = torch.tensor(weights, dtype=torch.float32, requires_grad=True)

    def step():
        parameters.grad = None
        loss = expval(circuit, weights=parameters.flatten(), inputs=x, engine="cpu").sum()
        loss.backward()
        return loss.item(), parameters.grad.numpy()

    return step


if __name__ == "__main__":
    main("Efficient QML", "efficient-qml", "complex64", build)
