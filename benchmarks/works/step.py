"""One training step of a variational circuit.

RY encodes one input per qubit; each layer is RX RY RZ on every qubit and a ring of CX; the loss is
the sum of <Z> over qubits and samples; value and gradient of all layers x qubits x 3 weights, which
the batch shares.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks import harness
from benchmarks.costs import Cost, circuit_cost
from benchmarks.harness import FloatArray


@dataclass(frozen=True)
class Case(harness.Case):
    qubits: int
    layers: int
    batch: int

    def angles(self) -> tuple[FloatArray, FloatArray]:
        """Inputs [batch, qubits] and weights [layers, qubits, 3], in radians."""
        generator = np.random.default_rng(0)
        inputs = generator.uniform(-np.pi, np.pi, (self.batch, self.qubits))
        weights = generator.uniform(-np.pi, np.pi, (self.layers, self.qubits, 3))
        return inputs, weights

    def cost(self) -> Cost:
        rotations = self.layers * ["rx", "ry", "rz"] * self.qubits
        return circuit_cost(
            self.qubits,
            self.batch,
            ["ry"] * self.qubits + rotations,
            self.layers,  # the encoding is part of the first
            gradients=len(rotations),
        )


CASES = (Case(4, 4, 256), Case(10, 8, 64), Case(16, 4, 8), Case(20, 4, 1))
