"""Shots under noise by trajectories, on our engine."""

import torch

from benchmarks.harness import Run
from benchmarks.ours import main
from benchmarks.works.trajectories import CASES, NO_GRADIENT, PARAMETERS, T1, T2, TIMES, Case
from qsim import Circuit, NoiseModel, channels, counts


def noise(case: Case) -> NoiseModel:
    model = NoiseModel()
    if case.kind == "pauli":
        for size, (name, parameter) in enumerate(PARAMETERS.items(), 1):
            model = model.add(name, channels.depolarizing(parameter, size))
    else:
        for name, time in TIMES.items():
            model = model.add(name, channels.thermal_relaxation(T1, T2, time))
    return model


def build(case: Case) -> Run:
    circuit, model = Circuit(case.qubits), noise(case)
    for name, qubits, angles in case.operations():
        circuit.append(name, qubits, angles)
    generator = torch.Generator().manual_seed(0)

    def run():
        found = counts(circuit, case.shots, noise=model, method="trajectories", generator=generator)
        return case.loss(found), NO_GRADIENT

    return run


if __name__ == "__main__":
    main(CASES, build)
