"""Places for blocks of memory that are in use at known times: dynamic storage allocation.

Which plan is the smallest is NP-hard to say. The largest first, each into the smallest gap that it
fits, comes within a few percent of the lower bound for neural networks (Pisarchyk and Lee,
arXiv:2001.03288).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

ALIGNMENT = 4
"""Bytes: all sizes and offsets are multiples of a word of a microcontroller."""


@dataclass(frozen=True)
class Span:
    """Bytes in use from a first to a last step, both included."""

    bytes: int
    first: int
    last: int


Group = Sequence[Span]
"""Spans that begin at one place, one after another in time."""

_ORDERS: tuple[Callable[[Group], tuple[int, int]], ...] = (
    lambda group: (-_size(group), _steps(group)),
    lambda group: (-_size(group) * _steps(group), 0),
    lambda group: (-_steps(group), -_size(group)),
)


def place(groups: Sequence[Group]) -> list[int]:
    """An offset for each group, by the order of the groups that needs the fewest bytes."""
    plans = [_in_order(groups, sorted(range(len(groups)), key=_by(groups, o))) for o in _ORDERS]
    return min(plans, key=lambda offsets: _top(groups, offsets))


def _by(groups: Sequence[Group], order: Callable[[Group], tuple[int, int]]) -> Callable[[int], tuple[int, int]]:
    return lambda number: order(groups[number])


def _size(group: Group) -> int:
    return max(span.bytes for span in group)


def _steps(group: Group) -> int:
    return group[-1].last - group[0].first + 1


def _top(groups: Sequence[Group], offsets: Sequence[int]) -> int:
    return max(offset + _size(group) for group, offset in zip(groups, offsets, strict=True))


def _in_order(groups: Sequence[Group], order: Sequence[int]) -> list[int]:
    offsets = [0] * len(groups)
    placed: list[tuple[Span, int]] = []
    for number in order:
        offsets[number] = _best_fit(groups[number], placed)
        placed += [(span, offsets[number]) for span in groups[number]]
    return offsets


def _best_fit(group: Group, placed: Sequence[tuple[Span, int]]) -> int:
    """The offset that leaves the smallest hole; what is above all others counts as the largest."""
    taken = sorted(
        # A group at an offset strictly between these two overlaps with the span.
        (offset - mine.bytes, offset + span.bytes)
        for mine in group
        for span, offset in placed
        if mine.first <= span.last and span.first <= mine.last
    )
    best, hole, end = None, None, 0
    for low, high in taken:
        if low >= end and (hole is None or low - end < hole):
            best, hole = end, low - end
        end = max(end, high)
    return end if best is None else best
