"""PennyLane: what its two devices share, a QNode that takes the whole batch by broadcasting."""

from collections.abc import Callable
from typing import Any

import pennylane as qml
import torch

from benchmarks.harness import Case, FloatArray, Step, threads


def builder(
    options: Callable[[Case], dict[str, Any]],
) -> Callable[[Case, FloatArray, FloatArray], Step]:
    """The build function of a device; options gives the arguments of the QNode, device included."""

    def build(case: Case, inputs: FloatArray, weights: FloatArray) -> Step:
        torch.set_num_threads(threads())

        @qml.qnode(**options(case), interface="torch")
        def circuit(x: torch.Tensor, angles: torch.Tensor):
            for qubit in range(case.qubits):
                qml.RY(x[:, qubit], wires=qubit)
            for layer in angles:
                for qubit in range(case.qubits):
                    qml.RX(layer[qubit, 0], wires=qubit)
                    qml.RY(layer[qubit, 1], wires=qubit)
                    qml.RZ(layer[qubit, 2], wires=qubit)
                for qubit in range(case.qubits):
                    qml.CNOT(wires=[qubit, (qubit + 1) % case.qubits])
            return [qml.expval(qml.Z(qubit)) for qubit in range(case.qubits)]

        x = torch.tensor(inputs)
        parameters = torch.tensor(weights, requires_grad=True)

        def step():
            parameters.grad = None
            loss = torch.stack(list(circuit(x, parameters))).sum()
            loss.backward()
            return loss.item(), parameters.grad.numpy()

        return step

    return build
