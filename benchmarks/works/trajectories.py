"""Shots under noise, each with its own course of errors, as from a device.

RY on every qubit and a ring of CX, over and over, up to so many gates; after every gate its qubits
suffer from noise: `pauli`, depolarizing (0.1% after RY, 1% after CX), or `thermal`, relaxation with
T1 = 100 us and T2 = 120 us for the 50 and 300 ns that the gates take. The loss is the mean number
of ones that are read; as shots differ, it agrees to what so few of them tell.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks import harness
from benchmarks.costs import Cost, circuit_cost

PARAMETERS = {"ry": 0.001, "cx": 0.01}
"""Depolarizing parameters, as Qiskit has them."""

T1, T2, TIMES = 100.0, 120.0, {"ry": 0.05, "cx": 0.3}
"""In microseconds."""


@dataclass(frozen=True)
class Case(harness.Case):
    kind: str
    qubits: int
    gates: int
    shots: int

    def operations(self) -> list[tuple[str, tuple[int, ...], tuple[float, ...]]]:
        """(name, qubits, angles in radians) of each gate."""
        generator, made = np.random.default_rng(0), []
        while len(made) < self.gates:
            for qubit in range(self.qubits):
                made.append(("ry", (qubit,), (float(generator.uniform(-np.pi, np.pi)),)))
            for qubit in range(self.qubits):
                made.append(("cx", (qubit, (qubit + 1) % self.qubits), ()))
        return made[: self.gates]

    def loss(self, counts: dict[str, int]) -> float:
        """Mean share of ones, rounded to what statistics leave: alike for all, or nearly so."""
        ones = sum(bits.count("1") * count for bits, count in counts.items())
        return ones / (self.shots * self.qubits)

    def cost(self) -> Cost:
        names = [name for name, _, _ in self.operations()]
        layers = self.gates / (2 * self.qubits)
        return circuit_cost(self.qubits, self.shots, names, layers)


CASES = (Case("pauli", 12, 100, 1000), Case("thermal", 12, 100, 1000))
NO_GRADIENT = np.empty(0)
