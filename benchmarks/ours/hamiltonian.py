"""A Hamiltonian of many Pauli terms with its gradient, on our engine."""

import torch

from benchmarks.harness import Run
from benchmarks.ours import add_layers, main
from benchmarks.works.hamiltonian import CASES, Case
from qsim import Circuit, PauliString, PauliSum, expval


def build(case: Case) -> Run:
    circuit = add_layers(Circuit(case.qubits), case.layers)
    hamiltonian = PauliSum([(value, PauliString(text)) for text, value in case.hamiltonian.items()])
    parameters = torch.tensor(case.angles(), dtype=torch.float32, requires_grad=True)

    def run():
        parameters.grad = None
        energy = expval(circuit, [hamiltonian], parameters.flatten(), engine="cpu").sum()
        energy.backward()
        return energy.item(), parameters.grad.numpy()

    return run


if __name__ == "__main__":
    main(CASES, build)
