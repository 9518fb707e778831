"""Shots under noise, each with its own course of errors, as from a device.

RY on every qubit and a ring of CX, over and over, up to so many gates; after every gate its qubits
suffer from noise: `pauli`, depolarizing (0.1% after RY, 1% after CX), or `thermal`, relaxation with
T1 = 100 us and T2 = 120 us for the 50 and 300 ns that the gates take. The loss is the share
of ones that are read, over qubits and shots.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks import harness
from benchmarks.costs import Cost, circuit_cost

PARAMETERS = {"ry": 0.001, "cx": 0.01}
"""Depolarizing parameters, as Qiskit has them."""

T1, T2, TIMES = 100.0, 120.0, {"ry": 0.05, "cx": 0.3}
"""In microseconds."""


@dataclass(frozen=True)
class Case(harness.Case):
    tolerance: ClassVar[float] = 0.03  # of means of 1,000 shots
    kind: str
    qubits: int
    gates: int
    shots: int

    def operations(self) -> list[tuple[str, tuple[int, ...], tuple[float, ...]]]:
        """(name, qubits, angles in radians) of each gate."""
        angles = np.random.default_rng(0).uniform(-np.pi, np.pi, self.gates + self.qubits).tolist()
        made: list[tuple[str, tuple[int, ...], tuple[float, ...]]] = []
        while len(made) < self.gates:
            made += [("ry", (q,), (angles[len(made) + q],)) for q in range(self.qubits)]
            made += [("cx", (q, (q + 1) % self.qubits), ()) for q in range(self.qubits)]
        return made[: self.gates]

    def loss(self, counts: dict[str, int]) -> float:
        """The share of ones."""
        ones = sum(bits.count("1") * count for bits, count in counts.items())
        return ones / (self.shots * self.qubits)

    def cost(self) -> Cost:
        names = [name for name, _, _ in self.operations()]
        layers = self.gates / (2 * self.qubits)
        return circuit_cost(self.qubits, self.shots, names, layers)


CASES = (Case("pauli", 12, 100, 1000), Case("thermal", 12, 100, 1000))
NO_GRADIENT = np.empty(0)
