"""Grover's search, and phase estimation: circuits of the textbooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import asin, pi, sqrt
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from qml.nn.layers import times
from qsim import Circuit, probabilities, qft
from qsim.errors import UsageError

Marked: TypeAlias = Iterable[int] | Callable[[np.ndarray], Any]
"""Numbers of basis states, or a function that tells of an int64 array of them which are marked."""


def phase_oracle(num_qubits: int, marked: Marked) -> Circuit:
    """-1 on the marked basis states of that many qubits.

    Raises:
        UsageError: for numbers that are no basis states.

    Example:
        >>> phase_oracle(3, lambda k: k % 7 == 5)
        Circuit(3 qubits, 0 weights, 0 inputs: diagonal 0,1,2)
    """
    return Circuit(num_qubits).diagonal(np.where(_marked(num_qubits, marked), -1.0, 1.0))


def _marked(num_qubits: int, marked: Marked) -> np.ndarray:
    states = np.arange(2**num_qubits)
    if callable(marked):
        return np.broadcast_to(np.asarray(marked(states), dtype=bool), states.shape)
    numbers = list(marked)
    if not all(0 <= number < len(states) for number in numbers):
        raise UsageError(f"basis states of {num_qubits} qubits are 0 to {len(states) - 1}")
    return np.isin(states, numbers)


def grover_iterations(num_qubits: int, num_marked: int) -> int:
    """After how many iterations a marked state is most likely measured.

    Raises:
        UsageError: unless some states are marked, and no more than there are.
    """
    if not 0 < num_marked <= 2**num_qubits:
        raise UsageError(f"of 2**{num_qubits} states, 1 or more are marked, not {num_marked}")
    return round(pi / (4 * asin(sqrt(num_marked / 2**num_qubits))) - 0.5)


def grover(num_qubits: int, oracle: Circuit | Marked, iterations: int | None = None) -> Circuit:
    """Grover's search (arXiv:quant-ph/9605043): oracle and reflection about the mean, in turn.

    After k iterations a marked state is measured with probability sin^2((2k + 1) asin(sqrt(M/N))).

    Args:
        num_qubits: of the states that are searched.
        oracle: what is marked, as for `phase_oracle`, or a circuit that does it.
        iterations: how many; by default the best number, `grover_iterations`.

    Raises:
        UsageError: for a circuit of another size, or one without `iterations`.

    Example:
        >>> round(qsim.probabilities(grover(4, [11]))[11].item(), 3)
        0.961
    """
    if isinstance(oracle, Circuit):
        if iterations is None:
            raise UsageError(
                "how often a circuit is called as an oracle depends on how many states it marks: "
                "pass iterations=grover_iterations(num_qubits, num_marked)"
            )
    else:
        marked = _marked(num_qubits, oracle)
        oracle = Circuit(num_qubits).diagonal(np.where(marked, -1.0, 1.0))
        if iterations is None:
            iterations = grover_iterations(num_qubits, int(marked.sum()))
    every = range(num_qubits)
    mean = np.where(np.arange(2**num_qubits) == 0, 1.0, -1.0)
    turn = Circuit(num_qubits).compose(oracle, every).h(every).diagonal(mean).h(every)
    return Circuit(num_qubits).h(every).compose(turn.repeat(iterations))


def phase_estimation(unitary: Circuit, num_bits: int, state: Circuit | None = None) -> Circuit:
    """Quantum phase estimation (Kitaev, arXiv:quant-ph/9511026; Nielsen and Chuang, 5.2).

    Qubits n .. n + num_bits - 1, read as a number k, tell the phase 2 pi k / 2**num_bits.

    Args:
        unitary: on n qubits, with gates alone; it is run 2**num_bits - 1 times.
        num_bits: of the phase.
        state: what prepares the state whose phase is estimated; |0...0> by default.
    """
    n, bits = unitary.num_qubits, times(num_bits, "bits", 1)
    circuit = Circuit(n + bits)
    if state is not None:
        circuit.compose(state, range(n))
    circuit.h(range(n, n + bits))
    controlled = unitary.control()
    for k in range(bits):
        circuit.compose(controlled.repeat(2**k), [n + k, *range(n)])
    return circuit.compose(qft(bits).inverse(), range(n, n + bits))


def estimated_phases(unitary: Circuit, num_bits: int, state: Circuit | None = None) -> Tensor:
    """Probability of each phase 2 pi k / 2**num_bits: real [2**num_bits], exact."""
    circuit = phase_estimation(unitary, num_bits, state)
    return probabilities(circuit, qubits=range(unitary.num_qubits, circuit.num_qubits))
