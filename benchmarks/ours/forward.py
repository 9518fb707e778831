"""One large state, on our engine."""

import torch

from benchmarks.harness import Run
from benchmarks.ours import add_layers, main
from benchmarks.works.forward import CASES, NO_GRADIENT, Case
from qsim import Circuit, PauliString, expval


def build(case: Case) -> Run:
    circuit = add_layers(Circuit(case.qubits), case.layers)
    weights = torch.tensor(case.angles(), dtype=torch.float32).flatten()
    measured = [PauliString.z(0, case.qubits)]
    return lambda: (expval(circuit, measured, weights, engine="cpu").item(), NO_GRADIENT)


if __name__ == "__main__":
    main(CASES, build)
