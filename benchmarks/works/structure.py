"""A training step on random sub-circuits, as the search of QuantumNAS has them.

A sub-circuit is a random sequence of the gates of its design spaces, on qubits and neighbours of a
ring, with a weight for each parameter; RY encodes the inputs; the loss is the sum of <Z> over
qubits and samples.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks import harness
from benchmarks.costs import Cost, circuit_cost
from benchmarks.harness import FloatArray

NUM_PARAMS = {"h": 0, "rx": 1, "ry": 1, "rz": 1, "u3": 3} | {
    **{"cx": 0, "cz": 0, "crx": 1, "cry": 1, "crz": 1, "cu3": 3, "rxx": 1, "rzz": 1}
}
ON_ONE_QUBIT = ("h", "rx", "ry", "rz", "u3")
Structure = list[tuple[str, tuple[int, ...]]]
"""Names and qubits."""


@dataclass(frozen=True)
class Case(harness.Case):
    qubits: int
    gates: int
    batch: int

    def structure(self, number: int) -> Structure:
        generator = np.random.default_rng(number)
        names = generator.choice(list(NUM_PARAMS), self.gates).tolist()
        qubits = generator.integers(0, self.qubits, self.gates).tolist()
        return [
            (name, (q,) if name in ON_ONE_QUBIT else (q, (q + 1) % self.qubits))
            for name, q in zip(names, qubits, strict=True)
        ]

    def angles(self) -> tuple[FloatArray, FloatArray]:
        """Inputs [batch, qubits], and weights enough for any structure, in radians."""
        generator = np.random.default_rng(0)
        inputs = generator.uniform(-np.pi, np.pi, (self.batch, self.qubits))
        return inputs, generator.uniform(-np.pi, np.pi, 3 * self.gates)

    def cost(self) -> Cost:
        """Of an average structure."""
        count = 16
        names = [name for number in range(count) for name, _ in self.structure(number)]
        whole = circuit_cost(
            self.qubits,
            self.batch,
            names,
            count * self.gates / self.qubits,
            gradients=sum(NUM_PARAMS[name] for name in names),
        )
        return Cost(whole.flops / count, whole.bytes / count, whole.working_set)


CASES = (Case(10, 300, 64),)
