"""A circuit to Qiskit and back: random gates with numbers, weights and inputs as angles.

Its value is the number of gates that come back; no state is touched, so nothing is counted as cost.
"""

from dataclasses import dataclass

from benchmarks import harness
from benchmarks.costs import Cost


@dataclass(frozen=True)
class Case(harness.Case):
    qubits: int
    gates: int

    def cost(self) -> Cost:
        return Cost(0.0, 0.0, 0.0)


CASES = (Case(10, 10_000),)
