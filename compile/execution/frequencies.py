"""Frequencies of expectation values in the weights of a compiled circuit."""

from __future__ import annotations

from itertools import product

from compile.compiled import Compiled
from qsim.circuit import Symbol
from qsim.errors import UsageError
from qsim.gates import Gate
from qsim.interop.qiskit import from_qiskit


def frequencies(compiled: Compiled) -> tuple[tuple[float, ...], ...]:
    """Of each weight and input, side by side: the positive frequencies of the Fourier series.

    They are those of the logical circuit: compiling does not change what is measured. Each gate
    moves a frequency up or down by one of its own times the scale of its angle, or leaves it.
    Gates may undo each other, so that there are fewer in truth: the shift rule stays exact.

    Raises:
        UsageError: for an angle that is no linear function of one weight or input.
    """
    found: list[set[float]] = [{0.0} for _ in range(compiled.num_weights + compiled.num_inputs)]
    for gate, _, params in from_qiskit(compiled.source).operations:
        for place, angle in enumerate(params):
            if isinstance(angle, float):
                continue
            if not isinstance(angle, Symbol) or not isinstance(gate, Gate):
                raise UsageError(
                    f"the angle {angle} is no linear function of one weight or input, so it has "
                    "no parameter-shift rule: take method='spsa'"
                )
            column = angle.index + (compiled.num_weights if angle.source == "input" else 0)
            own = gate.unitary.shift_frequencies(place)
            moves = {sign * abs(angle.scale) * number for number in (0.0, *own) for sign in (-1, 1)}
            found[column] = {
                round(abs(old + move), 9) for old, move in product(found[column], moves)
            }
    return tuple(tuple(sorted(numbers - {0.0})) for numbers in found)
