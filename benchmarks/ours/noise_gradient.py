"""The network under exact noise, value and gradient, on our engine."""

import torch

from benchmarks.harness import Run
from benchmarks.ours import main
from benchmarks.ours.noise import network, noise
from benchmarks.works.noise_gradient import CASES, Case
from qsim import PauliString, expval


def build(case: Case) -> Run:
    circuit, model = network(case), noise(idle=False)
    measured = [PauliString.z(qubit, 5) for qubit in case.qubits()]
    inputs, weights = (torch.tensor(angles, dtype=torch.float32) for angles in case.angles())
    weights.requires_grad_()

    def run():
        weights.grad = None
        loss = expval(circuit, measured, weights, inputs, noise=model).sum()
        loss.backward()
        return loss.item(), weights.grad.numpy()

    return run


if __name__ == "__main__":
    main(CASES, build)
