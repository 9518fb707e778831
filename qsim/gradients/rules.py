"""Rules that give derivatives from values of the function at other points, as on hardware."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import pi
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from qsim.errors import UsageError
from qsim.parameters import whole
from qsim.sampling import Generator, uniforms
from qsim.sums import sum_by_index


@dataclass(frozen=True)
class Function:
    """Values that depend on coordinates, and where their derivative is wanted.

    Attributes:
        values: [rows, coordinates] -> [rows, outputs]; row k belongs to sample k % batch.
        point: where its derivative is wanted, real [batch, coordinates].
        wanted: the coordinates in which it is wanted.
        outputs: number of values of a row.
        frequencies: of each coordinate, where the values are a Fourier series in it.
        sampled: whether values come from shots.
        most_rows: how many rows it should be given at a time.
    """

    values: Callable[[Tensor], Tensor]
    point: Tensor
    wanted: list[int]
    outputs: int
    frequencies: list[tuple[float, ...]]
    sampled: bool
    most_rows: int

    def __call__(self, rows: Tensor) -> Tensor:
        with torch.no_grad():
            return self.values(rows)

    def contracted(self, cotangent: Tensor) -> Function:
        """The one output sum_k cotangent[b, k] * value[b, k], for a cotangent [batch, outputs]."""

        def values(rows: Tensor) -> Tensor:
            found = self.values(rows)
            return (found * cotangent.repeat(len(rows) // len(cotangent), 1)).sum(1, keepdim=True)

        return replace(self, values=values, outputs=1)


class Rule(Protocol):
    """A way to get a derivative."""

    @property
    def by_gate(self) -> bool:
        """Whether coordinates are the angles of gates one by one, or else weights and inputs."""

    def jacobian(self, function: Function, generator: Generator) -> Tensor:
        """The derivative at the function's point: real [batch, outputs, coordinates]."""


class Stencil(NamedTuple):
    """A derivative as sum of coefficient * value at the point moved along one coordinate.

    Attributes:
        coordinates: which coordinate each term moves, [terms].
        shifts: by how much, [terms].
        coefficients: and what its value counts, [terms].
    """

    coordinates: list[int]
    shifts: list[float]
    coefficients: list[float]


@dataclass(frozen=True)
class ParameterShift:
    """Exact, whatever the frequencies of a gate's angle: Wierichs et al., arXiv:2107.12390.

    Every gate is shifted on its own, so weights may be shared and scaled.
    """

    by_gate = True

    def jacobian(self, function: Function, generator: Generator) -> Tensor:
        """See `Rule`."""
        return apply_stencil(function, shift_stencil(function))


@dataclass(frozen=True)
class FiniteDifference:
    """Central differences.

    Attributes:
        step: in radians; by default the cube root of the precision, and 0.25 with shots.
    """

    step: float | None = None
    by_gate = False

    def jacobian(self, function: Function, generator: Generator) -> Tensor:
        """See `Rule`."""
        exact = torch.finfo(function.point.dtype).eps ** (1 / 3)
        step = self.step or (0.25 if function.sampled else exact)
        count = len(function.wanted)
        both = [j for j in function.wanted for _ in range(2)]
        return apply_stencil(
            function, Stencil(both, [step, -step] * count, [0.5 / step, -0.5 / step] * count)
        )


@dataclass(frozen=True)
class Spsa:
    """Differences along random directions of all coordinates at once (Spall, 1992).

    Unbiased up to the square of the step, with a variance that grows with the number of angles;
    two evaluations a direction.

    Attributes:
        step: in radians.
        directions: how many are averaged.
    """

    step: float = 0.1
    directions: int = 1
    by_gate = False

    def jacobian(self, function: Function, generator: Generator) -> Tensor:
        """See `Rule`."""
        point, wanted = function.point, list(function.wanted)
        total: Tensor | float = 0.0
        for _ in range(self.directions):
            direction = torch.zeros_like(point)
            coins = uniforms(len(point), (len(wanted),), generator).to(point.device)
            direction[:, wanted] = torch.where(coins < 0.5, -1.0, 1.0).to(point.dtype)
            move = self.step * direction
            values = function(torch.cat([point + move, point - move]))
            slope = (values[: len(point)] - values[len(point) :]) / (2 * self.step)
            total = total + slope.unsqueeze(2) * direction.unsqueeze(1)
        assert isinstance(total, Tensor)
        return total / self.directions


_RULES: dict[str, Rule | None] = {
    "adjoint": None,
    "shift": ParameterShift(),
    "finite-difference": FiniteDifference(),
    "spsa": Spsa(),
}


def find_rule(gradient: str | Rule) -> Rule | None:
    """The rule of that name, or the rule itself; None for the adjoint gradient.

    Raises:
        UsageError: for another name, and steps or numbers of directions that are not positive.
    """
    if isinstance(gradient, str):
        if gradient not in _RULES:
            raise UsageError(f"there is no gradient {gradient!r}: use {', '.join(_RULES)}")
        return _RULES[gradient]
    if not hasattr(gradient, "jacobian"):
        raise UsageError(f"gradient is one of {', '.join(_RULES)} or a rule, not {gradient!r}")
    step, directions = getattr(gradient, "step", None), whole(getattr(gradient, "directions", 1))
    if (step is not None and not 0 < step < float("inf")) or not directions or directions < 1:
        raise UsageError(f"steps are positive and directions 1 or more, unlike in {gradient!r}")
    return gradient


def shift_stencil(function: Function) -> Stencil:
    """The parameter-shift rule for every coordinate that is wanted."""
    terms = [
        (j, sign * shift, sign * coefficient)
        for j in function.wanted
        for shift, coefficient in shift_rule(function.frequencies[j])
        for sign in (1, -1)
    ]
    return Stencil(*map(list, zip(*terms, strict=True))) if terms else Stencil([], [], [])


@lru_cache(maxsize=1024)
def shift_rule(frequencies: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """(shift, coefficient) such that f'(t) = sum coefficient * (f(t + shift) - f(t - shift)).

    For real f with these positive frequencies. Where they are multiples of the lowest one, these
    are the equidistant shifts of arXiv:2107.12390, which have the least variance; for others,
    shifts of that kind are scaled until the coefficients are small.
    """
    found = np.asarray(frequencies)
    if not len(found):
        return ()
    base = (2 * np.arange(1, len(found) + 1) - 1) * pi / (2 * len(found))
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for unit in (found[0], *np.linspace(0.3, 1.2, 91) * found[-1] / len(found)):
        shifts = base / unit
        matrix = 2 * np.sin(np.outer(found, shifts))
        if np.linalg.cond(matrix) > 1e6:
            continue
        coefficients = np.linalg.solve(matrix, found)
        cost = float(np.abs(coefficients).sum())
        if best is None or cost < best[0] - 1e-9:
            best = cost, shifts, coefficients
    if best is None:
        raise UsageError(
            f"frequencies {[float(f) for f in found]} lie too close together for a parameter-shift "
            "rule: use the adjoint gradient or finite differences"
        )
    return tuple(zip(best[1].tolist(), best[2].tolist(), strict=True))


def shifted_rows(function: Function, stencil: Stencil) -> Iterator[tuple[slice, Tensor]]:
    """The point moved as the stencil says, in chunks: (terms, [terms * batch, coordinates])."""
    point = function.point
    step = max(1, function.most_rows // len(point))
    for begin in range(0, len(stencil.shifts), step):
        terms = slice(begin, begin + step)
        places = torch.tensor(stencil.coordinates[terms], device=point.device)
        moves = point.new_zeros(len(places), point.shape[1])
        moves[torch.arange(len(places)), places] = point.new_tensor(stencil.shifts[terms])
        yield terms, (moves.unsqueeze(1) + point).flatten(0, 1)


def apply_stencil(function: Function, stencil: Stencil) -> Tensor:
    """The derivative that the stencil gives: real [batch, outputs, coordinates]."""
    batch, coordinates = function.point.shape
    jacobian = function.point.new_zeros(coordinates, batch, function.outputs)
    for terms, rows in shifted_rows(function, stencil):
        values = function(rows).unflatten(0, (-1, batch))  # [terms, batch, outputs]
        weights = values.new_tensor(stencil.coefficients[terms])
        places = torch.tensor(stencil.coordinates[terms], device=values.device)
        jacobian += sum_by_index(values * weights[:, None, None], places, coordinates)
    return jacobian.permute(1, 2, 0)
