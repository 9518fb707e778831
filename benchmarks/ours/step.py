"""The training step, on our engine."""

import torch

from benchmarks.harness import Run
from benchmarks.ours import add_layers, main
from benchmarks.works.step import CASES, Case
from qsim import Circuit, Input, expval


def build(case: Case) -> Run:
    circuit = Circuit(case.qubits)
    for qubit in range(case.qubits):
        circuit.ry(Input(qubit), qubit)
    add_layers(circuit, case.layers)
    inputs, weights = case.angles()
    x = torch.tensor(inputs, dtype=torch.float32)
    parameters = torch.tensor(weights, dtype=torch.float32, requires_grad=True)

    def run():
        parameters.grad = None
        loss = expval(circuit, weights=parameters.flatten(), inputs=x, engine="cpu").sum()
        loss.backward()
        return loss.item(), parameters.grad.numpy()

    return run


if __name__ == "__main__":
    main(CASES, build)
