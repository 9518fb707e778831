"""Places for blocks of memory that are in use at known times: dynamic storage allocation.

The best plan is NP-hard to find. The largest are placed first, each in the smallest gap that it
fits (greedy by size, Pisarchyk and Lee, arXiv:2001.03288), and again with what sticks out before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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

_ROUNDS = 50


def place(groups: Sequence[Group]) -> list[int]:
    """An offset for each group: the best of some orders of placing them."""
    order = sorted(range(len(groups)), key=lambda k: (-_size(groups[k]), _steps(groups[k])))
    least, goal = math.inf, _lower_bound(groups)
    for _ in range(_ROUNDS):
        offsets = _in_order(groups, order)
        tops = [offset + _size(group) for group, offset in zip(groups, offsets, strict=True)]
        if max(tops) < least:
            best, least = offsets, max(tops)
        if least == goal:
            break
        # What sticks out is placed first in the next round.
        order.insert(0, order.pop(order.index(tops.index(max(tops)))))
    return best


def _lower_bound(groups: Sequence[Group]) -> int:
    spans = [span for group in groups for span in group]
    return max(
        sum(span.bytes for span in spans if span.first <= start.first <= span.last)
        for start in spans
    )


def _size(group: Group) -> int:
    return max(span.bytes for span in group)


def _steps(group: Group) -> int:
    return group[-1].last - group[0].first + 1


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
