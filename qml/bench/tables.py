"""What the tables of studies share: spreads over seeds, and lines of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean, stdev


def spread(values: Sequence[float]) -> list[float]:
    """Mean and standard deviation, the latter 0 for a single value."""
    return [mean(values), stdev(values) if len(values) > 1 else 0.0]


def about(deviation: float, seeds: int) -> str:
    """The spread behind its mean; a single seed has none."""
    return f" ± {deviation:.1f}" if seeds > 1 else ""


def head(cells: Sequence[str]) -> list[str]:
    """The first two lines of a table in Markdown."""
    return [line(cells), line(["---"] * len(cells))]


def line(cells: Iterable[str]) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"
