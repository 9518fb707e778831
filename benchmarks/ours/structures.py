"""Training steps on random sub-circuits, on our engine: what the two ways to take them share."""

from collections.abc import Iterator

import torch

from benchmarks.harness import Run
from benchmarks.works.structure import NUM_PARAMS, Case
from qsim import Circuit, Input, Weight, expval


def sub_circuit(case: Case, number: int) -> Circuit:
    """Built by the user's Python, which is not timed."""
    circuit = Circuit(case.qubits, num_weights=case.angles()[1].size)
    for qubit in range(case.qubits):
        circuit.ry(Input(qubit), qubit)
    index = 0
    for name, qubits in case.structure(number):
        circuit.append(name, qubits, map(Weight, range(index, index + NUM_PARAMS[name])))
        index += NUM_PARAMS[name]
    return circuit


def training(case: Case, circuits: Iterator[Circuit]) -> Run:
    """Each step takes the next circuit."""
    inputs, weights = case.angles()
    x = torch.tensor(inputs, dtype=torch.float32)
    parameters = torch.tensor(weights, dtype=torch.float32, requires_grad=True)

    def run():
        parameters.grad = None
        loss = expval(next(circuits), weights=parameters, inputs=x, engine="cpu").sum()
        loss.backward()
        return loss.item(), parameters.grad.numpy()

    return run
