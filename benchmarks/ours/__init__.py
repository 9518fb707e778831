"""Each work on our own engine, as a user would write it, through the public API and autograd."""

from collections.abc import Callable, Sequence

import torch

from benchmarks import harness
from benchmarks.harness import C, Run
from qsim import Circuit, Weight


def add_layers(circuit: Circuit, layers: int) -> Circuit:
    """RX RY RZ on every qubit and a ring of CX, with the next Weight for each angle."""
    index = 0
    for _ in range(layers):
        for qubit in range(circuit.num_qubits):
            circuit.rx(Weight(index), qubit)
            circuit.ry(Weight(index + 1), qubit)
            circuit.rz(Weight(index + 2), qubit)
            index += 3
        for qubit in range(circuit.num_qubits):
            circuit.cx(qubit, (qubit + 1) % circuit.num_qubits)
    return circuit


def main(cases: Sequence[C], build: Callable[[C], Run]) -> None:
    torch.set_num_threads(harness.threads())
    harness.main("Efficient QML", "efficient-qml", "complex64", cases, build)
