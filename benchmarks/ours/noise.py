"""The network under exact noise, value alone, on our engine."""

from dataclasses import replace
from typing import Any

import torch

from benchmarks.harness import Run
from benchmarks.ours import main
from benchmarks.works.noise import CASES, NO_GRADIENT, Case, quito
from qsim import Circuit, Input, NoiseModel, PauliString, Weight, expval


def network(case: Case) -> Circuit:
    circuit, weight = Circuit(5), 0
    for name, qubits, angle in case.gates():
        params: list[Any] = []
        if angle:
            offset, place, scale = angle
            params = [Weight(weight) if place is None else scale * Input(place) + offset]
            weight += place is None
        circuit.append(name, qubits, params)
    return circuit


def noise(idle: bool) -> NoiseModel:
    model = NoiseModel.from_dict(quito()["noise"])
    return model if idle else replace(model, relaxation=())


def build(case: Case) -> Run:
    circuit, model = network(case), noise(idle=False)
    measured = [PauliString.z(qubit, 5) for qubit in case.qubits()]
    inputs, weights = (torch.tensor(angles, dtype=torch.float32) for angles in case.angles())

    def run():
        with torch.no_grad():
            return expval(circuit, measured, weights, inputs, noise=model).sum().item(), NO_GRADIENT

    return run


if __name__ == "__main__":
    main(CASES, build)
