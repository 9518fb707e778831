"""Frequencies of expectation values in the weights of a compiled circuit."""

from __future__ import annotations

from itertools import product

from compile.compiled import Compiled
from compile.execution.programs import places
from qsim.errors import UsageError

# Gates of devices that turn by an angle about an axis, or by three: eigenvalues one apart.
_TURNS = frozenset({"p", "rx", "ry", "rz", "rzz", "rxx", "ryy", "u", "u1", "u2", "u3"})


def frequencies(compiled: Compiled) -> tuple[tuple[float, ...], ...]:
    """Of each weight and input, side by side: the positive frequencies of the Fourier series.

    A gate whose angle is k times a weight moves a frequency by k up, down or not at all. Gates may
    undo each other's frequencies, so there may be fewer: the shift rule stays exact, with more
    shifts than needed.

    Raises:
        UsageError: for an angle that is no linear function of weights and inputs.
    """
    parameters = dict(zip(compiled.circuit.parameters, places(compiled), strict=True))
    found: list[set[float]] = [{0.0} for _ in range(compiled.num_weights + compiled.num_inputs)]
    for step in compiled.circuit.data:
        for angle in step.params:
            for parameter in angle.parameters if hasattr(angle, "parameters") else ():
                scale = _scale(angle, parameter, step.name)
                place = parameters[parameter]
                found[place] = {
                    round(abs(old + move * scale), 9)
                    for old, move in product(found[place], (-1, 0, 1))
                }
    return tuple(tuple(sorted(numbers - {0.0})) for numbers in found)


def _scale(angle: object, parameter: object, gate: str) -> float:
    """What the angle gains for each radian of the parameter."""
    slope = angle.gradient(parameter)  # type: ignore[attr-defined]
    free = getattr(slope, "parameters", None)
    if gate not in _TURNS or free:
        raise UsageError(
            f"the angle {angle} of {gate} has no parameter-shift rule: take method='spsa'"
        )
    return float(slope)
