"""An evaluation as QuantumNAS makes it: many different compiled circuits under a device's noise.

A candidate acts on the five qubits of FakeQuitoV2: RZ SX RZ SX encode inputs, then come CX on
random edges with RZ SX RZ SX RZ before on both qubits. All have the device's noise (noise.py) and
idle time; the value is the sum of <Z> over candidates, qubits and samples. Circuits are built
within the time that is measured.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks import harness
from benchmarks.costs import Cost
from benchmarks.harness import FloatArray
from benchmarks.works.noise import CHANNEL, FLOPS, REAL, quito

PAIRS = 50
NUM_INPUTS = 16
NUM_WEIGHTS = 6 * PAIRS
Structure = list[tuple[str, tuple[int, ...], int | None, bool]]
"""Name, qubits, number of the weight or input, and whether it is an input."""


@dataclass(frozen=True)
class Case(harness.Case):
    candidates: int
    batch: int

    def structure(self, number: int) -> Structure:
        generator = np.random.default_rng(number)
        edges = [tuple(edge) for edge in quito()["edges"]]
        found: Structure = []
        for qubit in range(5):
            for place in generator.integers(0, NUM_INPUTS, 2).tolist():
                found += [("rz", (qubit,), place, True), ("sx", (qubit,), None, False)]
        weight = 0
        for edge in generator.integers(0, len(edges), PAIRS).tolist():
            for qubit in edges[edge]:
                for name in ("rz", "sx", "rz", "sx", "rz"):
                    found.append((name, (qubit,), weight if name == "rz" else None, False))
                    weight += name == "rz"
            found.append(("cx", edges[edge], None, False))
        return found

    def angles(self) -> tuple[FloatArray, FloatArray]:
        """Inputs [batch, 16], and weights for all candidates, in radians."""
        generator = np.random.default_rng(0)
        inputs = generator.uniform(-np.pi, np.pi, (self.batch, NUM_INPUTS))
        return inputs, generator.uniform(-np.pi, np.pi, NUM_WEIGHTS)

    def cost(self) -> Cost:
        gates = [(name, qubits) for name, qubits, _, _ in self.structure(0)]
        channels = sum(2 * len(qubits) + 1 for name, qubits in gates if name != "rz")
        components = self.candidates * self.batch * 4**5
        flops = sum(FLOPS[name] for name, _ in gates) + CHANNEL * channels
        return Cost(
            flops * components, 2 * REAL * components * 2 * len(gates) / 5, REAL * 16 * 4**5
        )


CASES = (Case(1600, 500),)
