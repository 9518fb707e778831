"""What a work costs: a simple model of the arithmetic and the traffic of a statevector simulator.

Arithmetic is that of one gate after another, each by the formula that fits it, counted in real
operations for each amplitude of the state: FLOPS. Gates that only move amplitudes or change signs
cost nothing. An adjoint gradient applies each gate backward to two states, which is twice the
forward work, and takes one inner product for each parameter that wants a gradient. A simulator
that multiplies matrices together first computes less than this, so the rate is one of useful work.

Traffic is that of whole sweeps, each of which reads and writes a state once; a work says how many
it takes, as a rule one for each layer, in which every qubit has its gate. Backward sweeps take two
states. Whoever takes fewer layers at once moves more than this.
"""

from collections.abc import Iterable
from dataclasses import dataclass

COMPLEX64 = 8
"""Bytes for each amplitude."""

INNER_PRODUCT = 4
"""One part of a complex product, added up: two multiplications and two additions."""

SQUARED_MAGNITUDE = 3

FLOPS = {
    **dict.fromkeys(("x", "y", "z", "s", "sdg", "cx", "cz", "swap"), 0.0),
    **dict.fromkeys(("h", "rx", "ry", "rz"), 6.0),  # two real factors, or one complex one
    "p": 3.0,  # one complex factor on half of the amplitudes
    "u3": 14.0,  # two complex factors
    **dict.fromkeys(("crx", "cry", "crz"), 3.0),  # half of the amplitudes
    "cp": 1.5,
    "cu3": 7.0,
    "rxx": 6.0,
    "rzz": 6.0,
}


@dataclass(frozen=True)
class Cost:
    """Operations and bytes of one run, and the bytes it keeps going back to on one core."""

    flops: float
    bytes: float
    working_set: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.flops + other.flops,
            self.bytes + other.bytes,
            max(self.working_set, other.working_set),
        )


def circuit_cost(
    qubits: int,
    batch: int,
    gates: Iterable[str],
    sweeps: float,
    *,
    gradients: int = 0,
    lanes: int = 16,
) -> Cost:
    """A circuit on a batch of states, with Z measured on its qubits in the last sweep.

    Args:
        qubits: number of qubits.
        batch: number of states.
        gates: names of all gates.
        sweeps: how often a state is read and written on the way forward.
        gradients: parameters that want a gradient; with 0, there is no way back.
        lanes: states that are worked on at once.
    """
    forward = sum(FLOPS[name] for name in gates)
    flops = forward + SQUARED_MAGNITUDE + qubits
    if gradients:
        flops += 2 * forward + gradients * INNER_PRODUCT + 2
    amplitudes = batch * 2**qubits
    states = 2 if gradients else 1
    return Cost(
        flops * amplitudes,
        2 * COMPLEX64 * amplitudes * (sweeps + (states * sweeps if gradients else 0)),
        COMPLEX64 * states * min(batch, lanes) * 2**qubits,
    )


def hamiltonian_cost(qubits: int, terms_of_groups: Iterable[int]) -> Cost:
    """H applied to one state: one pass for all terms that flip the same qubits.

    A pass adds up the signs of its terms for each amplitude, or transforms them (Walsh-Hadamard)
    where that is less, and adds a state times these sums to the result: two reads and a write.
    """
    sizes = list(terms_of_groups)
    amplitudes = 2**qubits
    flops = sum(min(size, qubits) + 4 for size in sizes) * amplitudes
    traffic = 3 * COMPLEX64 * amplitudes * len(sizes)
    return Cost(flops, traffic, 2 * COMPLEX64 * amplitudes)


def rates(cost: Cost, milliseconds: float, ceilings: dict[str, float]) -> dict[str, float | str]:
    """Rates of a run, and their shares of what the same threads reach at most (ceilings.py)."""
    seconds = 1e-3 * milliseconds
    gigaflops, gigabytes = 1e-9 * cost.flops / seconds, 1e-9 * cost.bytes / seconds
    level = "cache" if cost.working_set <= ceilings["cache_bytes"] else "memory"
    return {
        "flops": cost.flops,
        "bytes": cost.bytes,
        "gigaflops": gigaflops,
        "share_of_gigaflops": gigaflops / ceilings["gigaflops"],
        "gigabytes_per_second": gigabytes,
        "level": level,
        "share_of_gigabytes_per_second": gigabytes / ceilings[f"{level}_gigabytes_per_second"],
    }
