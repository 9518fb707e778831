"""Many different circuits under exact noise, on our engine."""

import torch

from benchmarks.harness import Run
from benchmarks.ours import main
from benchmarks.ours.noise import noise
from benchmarks.works.candidates import CASES, NUM_INPUTS, NUM_WEIGHTS, Case
from benchmarks.works.noise import NO_GRADIENT
from qsim import Circuit, Input, Weight, expval


def candidate(case: Case, number: int) -> Circuit:
    circuit = Circuit(5, NUM_WEIGHTS, NUM_INPUTS)
    for name, qubits, place, encodes in case.structure(number):
        angle = [] if place is None else [Input(place) if encodes else Weight(place)]
        circuit.append(name, qubits, angle)
    return circuit


def build(case: Case) -> Run:
    model = noise(idle=True)
    inputs, weights = (torch.tensor(angles, dtype=torch.float32) for angles in case.angles())

    def run():
        total = 0.0
        with torch.no_grad():
            for number in range(case.candidates):
                circuit = candidate(case, number)
                total += expval(circuit, None, weights, inputs, noise=model).sum().item()
        return total, NO_GRADIENT

    return run


if __name__ == "__main__":
    main(CASES, build)
