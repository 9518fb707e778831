"""When gates run, and what waiting qubits lose meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from qsim.circuit import Circuit, Operation
from qsim.gates import Gate
from qsim.instructions import Instruction
from qsim.noise.channels import Channel, thermal_relaxation

_DIGITS = 15  # of seconds: sums of durations differ by rounding alone


@dataclass(frozen=True)
class Relaxation:
    """How a qubit relaxes: T1 and T2 in seconds, None for infinite, and its population of |1>."""

    qubit: int
    t1: float | None
    t2: float | None
    excited_population: float = 0.0

    def over(self, seconds: float) -> Channel:
        """What happens to it in that time."""
        return _relaxation(self.t1, self.t2, seconds, self.excited_population)


@lru_cache(maxsize=16384)
def _relaxation(t1: float | None, t2: float | None, seconds: float, population: float) -> Channel:
    return thermal_relaxation(t1, t2, seconds, population)


def idle_channels(
    circuit: Circuit,
    duration: Callable[[Operation[Gate | Instruction]], float],
    relaxation: Iterable[Relaxation],
) -> dict[int, list[tuple[Channel, int]]]:
    """Relaxation of qubits that wait, if every operation starts as late as it can.

    All qubits are read at the same time. Before its first operation, a qubit stays in |0>.

    Args:
        circuit: what runs.
        duration: seconds of an operation; barriers, which take none, line up their qubits.
        relaxation: of each qubit that relaxes.

    Returns:
        by the position of an operation, the (channel, qubit) that follow it.
    """
    by_qubit = {known.qubit: known for known in relaxation}
    next_start = [0.0] * circuit.num_qubits  # seconds before the end
    found: dict[int, list[tuple[Channel, int]]] = {}
    operations = circuit.operations
    for number in range(len(operations) - 1, -1, -1):
        qubits = operations[number].qubits
        end = max(next_start[q] for q in qubits)
        for qubit in qubits:
            wait = round(end - next_start[qubit], _DIGITS)
            if wait > 0 and qubit in by_qubit:
                found.setdefault(number, []).append((by_qubit[qubit].over(wait), qubit))
            next_start[qubit] = end + duration(operations[number])
    return found
