"""Exact noise: a quantum neural network of 4 qubits compiled for FakeQuitoV2, and its noise.

`quito.json` has the circuit: RX RY RZ RX encode 16 inputs, then come four layers of U on each qubit
and a ring of CU, as Qiskit compiles them (level 2, seed 0). Every constant angle of RZ that is left
is a weight. It has the device's noise too: depolarizing and thermal relaxation after each gate, as
Aer has them. `make_quito.py` wrote both.

The loss is the sum of <Z> over the four qubits and all samples; without readout errors, because
Aer's expectation values have none.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.costs import Cost
from benchmarks.harness import FloatArray

FILE = Path(__file__).with_name("quito.json")
FLOPS = {"rz": 1.5, "sx": 0.0, "x": 0.0, "cx": 0.0}
"""For each component of a density matrix in the Pauli basis: RZ turns two of four, others move."""
CHANNEL = 1.5
"""Likewise: a factor for each component, and a sum for one of four."""
REAL = 4
Gate = tuple[str, list[int], list[Any] | None]
"""Name, qubits, and an angle [offset, input or None, scale]."""


@cache
def quito() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


@dataclass(frozen=True)
class Case(harness.Case):
    batch: int

    def gates(self) -> list[Gate]:
        return quito()["gates"]

    def qubits(self) -> list[int]:
        """Where the four qubits are in the end."""
        return quito()["qubits"]

    def angles(self) -> tuple[FloatArray, FloatArray]:
        """Inputs [batch, 16] and weights, in radians."""
        inputs = np.random.default_rng(0).uniform(-3, 3, (self.batch, 16))
        constant = [angle[0] for _, _, angle in self.gates() if angle and angle[1] is None]
        return inputs, np.array(constant)

    def cost(self) -> Cost:
        """Of the value alone; relaxation takes a channel for each qubit of a gate."""
        gates = [(name, qubits) for name, qubits, _ in self.gates()]
        channels = sum(len(qubits) + 1 for name, qubits in gates if name != "rz")
        components = self.batch * 4 ** len({q for _, qubits in gates for q in qubits})
        flops = sum(FLOPS[name] for name, _ in gates) + CHANNEL * channels
        depth = 2 * len(gates) / 4  # a sweep for a gate on every qubit
        working_set = REAL * 16 * components / self.batch
        return Cost(flops * components, 2 * REAL * components * depth, working_set)


CASES = (Case(500),)
NO_GRADIENT = np.empty(0)
