"""Grids of angles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from math import pi

import torch
from torch import Tensor

from qml.pruning.angles import Grid, period
from qml.quantization.costs import is_clifford, pulses
from qsim import Circuit, Gate
from qsim.errors import UsageError
from qsim.parameters import whole

MAX_BITS = 16
_WIDEST = 4  # qubits, whose matrix is compared with 4**4 Pauli strings
_PURPOSE = "quantization"


def uniform_grid(circuit: Circuit, bits: int | Sequence[int] | Tensor) -> Grid:
    """2**bits angles in every period, 0 among them.

    Controlled rotations have twice the period of plain ones, so twice the step.

    Args:
        circuit: every weight the angle of one gate.
        bits: of all weights, 1 to 16; or of each, 0 to 16, as `allocate_bits` gives them: an angle
            of 0 bits is 0.

    Raises:
        UsageError: for other numbers of bits, or a circuit in which weights are more than the angle
            of one gate.
    """
    given = bits.tolist() if isinstance(bits, Tensor) else bits
    each, least = (given, 0) if isinstance(given, Sequence) else ([given] * circuit.num_weights, 1)
    numbers = [whole(number) for number in each]
    fitting = [number for number in numbers if number is not None and least <= number <= MAX_BITS]
    if not len(fitting) == len(numbers) == circuit.num_weights:
        raise UsageError(
            f"angles have 1 to {MAX_BITS} bits, or each of the {circuit.num_weights} weights a "
            f"number of its own from 0 on, not {given!r}"
        )
    periods = Grid.of(circuit, period, _PURPOSE).periods
    return Grid(periods / 2.0 ** torch.tensor(fitting, dtype=torch.float64), periods)


def clifford_grid(circuit: Circuit) -> Grid:
    """Multiples of pi/2, of pi for controlled rotations, where all gates are Clifford.

    Such a circuit runs by `engine="stim"` on any number of qubits, and training on the grid is a
    search among stabilizer states (CAFQA, Ravi et al., arXiv:2202.12924).

    Raises:
        UsageError: for a gate that is Clifford at no such angles, or a circuit in which weights are
            more than the angle of one gate.
    """
    return Grid.of(circuit, lambda gate, _: clifford_step(gate), _PURPOSE)


def clifford_t_grid(circuit: Circuit) -> Grid:
    """Half the steps of `clifford_grid`: gates of Clifford and T gates, counted by `t_count`.

    Raises:
        UsageError: as `clifford_grid`.
    """
    return Grid.of(circuit, lambda gate, _: clifford_step(gate) / 2, _PURPOSE)


def pulse_grid(circuit: Circuit) -> Grid:
    """Angles at which gates take fewer pulses; angles that cost nothing stay free.

    A U3 takes two pulses, but one at theta = pi/2 or pi and none at 0, whatever phi and lam, which
    only change the frame. A controlled rotation takes two CX, but one at pi and none at 2 pi; an
    RZZ two, but one at pi/2 and none at pi. All angles that make a difference lie on the grid of
    `clifford_grid` here.

    Raises:
        UsageError: as `clifford_grid`.
    """
    return Grid.of(
        circuit, lambda gate, k: clifford_step(gate) if _costs(gate, k) else 0.0, _PURPOSE
    )


@cache
def clifford_step(gate: Gate) -> float:
    """The smallest of pi/2, pi and 2 pi whose multiples make the gate Clifford, in any combination.

    Raises:
        UsageError: if there is none, or the gate is on more than 4 qubits.
    """
    if gate.num_qubits > _WIDEST:
        raise UsageError(
            f"{gate.name} acts on {gate.num_qubits} qubits, but Clifford angles are found of gates "
            f"on {_WIDEST} at most: write it by simpler gates"
        )
    for step in (pi / 2, pi, 2 * pi):
        choices = [_multiples(gate, k, step) for k in range(gate.num_params)]
        if max(map(len, choices)) > 1 and all(
            is_clifford(gate.unitary.at(*angles)) for angles in product(*choices)
        ):
            return step
    raise UsageError(
        f"{gate.name} is not Clifford at the multiples of any angle: write it by simpler gates"
    )


@cache
def _costs(gate: Gate, param: int) -> bool:
    """Whether the angle makes a difference to the pulses of a gate that is Clifford before."""
    choices = [_multiples(gate, k, clifford_step(gate)) for k in range(gate.num_params)]
    for angles in product(*choices):
        turned = list(angles)
        turned[param] += 0.3
        if pulses(gate.unitary.at(*turned)) != pulses(gate.unitary.at(*angles)):
            return True
    return False


def _multiples(gate: Gate, param: int, step: float) -> list[float]:
    return [k * step for k in range(max(1, round(period(gate, param) / step)))]
