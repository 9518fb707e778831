"""One large state: layers of RX RY RZ on every qubit and a ring of CX, then <Z> on qubit 0."""

from dataclasses import dataclass

import numpy as np

from benchmarks import harness
from benchmarks.costs import Cost, circuit_cost
from benchmarks.harness import FloatArray


@dataclass(frozen=True)
class Case(harness.Case):
    qubits: int
    layers: int

    def angles(self) -> FloatArray:
        """Weights [layers, qubits, 3], in radians."""
        return np.random.default_rng(0).uniform(-np.pi, np.pi, (self.layers, self.qubits, 3))

    def cost(self) -> Cost:
        rotations = self.layers * ["rx", "ry", "rz"] * self.qubits
        return circuit_cost(self.qubits, 1, rotations, self.layers)


NO_GRADIENT = np.zeros(0)
CASES = (Case(20, 4), Case(24, 4))
