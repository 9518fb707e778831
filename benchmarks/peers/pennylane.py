"""PennyLane: what its devices share."""

from collections.abc import Callable, Iterable
from typing import Any

import pennylane as qml
import torch

from benchmarks.harness import Run, threads
from benchmarks.works import step


def add_layers(qubits: int, layers: Iterable[Any]) -> None:
    for layer in layers:
        for qubit in range(qubits):
            qml.RX(layer[qubit, 0], wires=qubit)
            qml.RY(layer[qubit, 1], wires=qubit)
            qml.RZ(layer[qubit, 2], wires=qubit)
        for qubit in range(qubits):
            qml.CNOT(wires=[qubit, (qubit + 1) % qubits])


def training(angles: Any, value: Callable[[torch.Tensor], torch.Tensor]) -> Run:
    """Value and gradient by way of PyTorch."""
    torch.set_num_threads(threads())
    parameters = torch.tensor(angles, requires_grad=True)

    def run():
        parameters.grad = None
        loss = value(parameters)
        loss.backward()
        return loss.item(), parameters.grad.numpy()

    return run


def step_builder(options: Callable[[step.Case], dict[str, Any]]) -> Callable[[step.Case], Run]:
    """The training step of a device, a QNode that takes the whole batch by broadcasting.

    options gives the arguments of the QNode, device included.
    """

    def build(case: step.Case) -> Run:
        @qml.qnode(**options(case), interface="torch")
        def circuit(x: torch.Tensor, angles: torch.Tensor):
            for qubit in range(case.qubits):
                qml.RY(x[:, qubit], wires=qubit)
            add_layers(case.qubits, angles)
            return [qml.expval(qml.Z(qubit)) for qubit in range(case.qubits)]

        inputs, weights = case.angles()
        x = torch.tensor(inputs)
        return training(weights, lambda angles: torch.stack(list(circuit(x, angles))).sum())

    return build
