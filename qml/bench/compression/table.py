"""The table of the study of compression: means and spreads over seeds, beside the bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qml.bench.compression import once_for_all
from qml.bench.tables import about, head, line, spread

HEAD = (
    *("method", "accuracy before, %", "after, %", "points", "KB before", "KB after", "smaller"),
    *("MACs left", "time left", "bar", "met"),
)


@dataclass(frozen=True)
class Bar:
    """What a method has to reach, in the mean over seeds.

    Attributes:
        loss: points of accuracy that it may cost, at most; None where it has to gain.
        smaller: how many times smaller at least.
        macs, seconds: fractions of the operations and of the time that may stay, at most.
    """

    loss: float | None = None
    smaller: float = 0.0
    macs: float | None = None
    seconds: float | None = None

    def met(self, record: Mapping[str, Any]) -> bool:
        """Whether a record of `summary` reaches it."""
        points, macs, time = record["points"][0], record["macs_left"][0], record["seconds_left"]
        return (
            (points > 0 if self.loss is None else points >= -self.loss)
            and record["smaller"][0] >= self.smaller
            and (self.macs is None or macs <= self.macs)
            and (self.seconds is None or (time is not None and time <= self.seconds))
        )

    def __str__(self) -> str:
        points = f"{self.loss} point{'s' * (self.loss != 1)}"
        parts = ["above the other" if self.loss is None else points]
        parts += [f"{self.smaller:g}x"] if self.smaller else []
        parts += [f"{self.macs:g} of MACs"] if self.macs else []
        parts += [f"{self.seconds:g} of time"] if self.seconds else []
        return ", ".join(parts)


BARS = {
    "90 % of weights pruned": Bar(0.5),
    "channels, the same everywhere": Bar(1, macs=0.5, seconds=0.6),
    "channels, early layers harder": Bar(1, macs=0.5, seconds=0.6),
    "k-means, 4 bits": Bar(0.5),
    "k-means, 2 bits": Bar(2),
    "integers, 8 bits": Bar(0.3),
    "Deep Compression": Bar(1, smaller=35),
    "distilled student": Bar(),
    **dict.fromkeys(once_for_all.ROWS, Bar()),
}


def summary(
    cells: Sequence[Mapping[str, Any]], latencies: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """The rows of cells, put together over seeds.

    Args:
        cells: rows with the facts of `Cell.measure`, one for each kind of cell and seed.
        latencies: seconds of reference and compressed model by row, where they were measured.

    Returns:
        "row", "seeds" (their number) and as [mean, spread] over seeds "before", "after" (fractions
        that are right), "points" between them, "bytes_before", "bytes_after", "smaller" (times),
        "macs_left" (fraction); "seconds_left" (fraction, or None).
    """
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for cell in cells:
        for row, facts in cell.items():
            grouped.setdefault(row, []).append(facts)
    return [_record(row, found, latencies.get(row)) for row, found in grouped.items()]


def _record(
    row: str, found: Sequence[Mapping[str, Any]], latency: Sequence[float] | None
) -> dict[str, Any]:
    before, after = zip(*(facts["accuracy"] for facts in found), strict=True)
    large, small = zip(*(facts["bytes"] for facts in found), strict=True)
    left = [facts["macs"][1] / facts["macs"][0] for facts in found]
    return {
        "row": row,
        "seeds": len(found),
        "before": spread(before),
        "after": spread(after),
        "points": spread([100 * (b - a) for a, b in zip(before, after, strict=True)]),
        "bytes_before": spread(large),
        "bytes_after": spread(small),
        "smaller": spread([a / b for a, b in zip(large, small, strict=True)]),
        "macs_left": spread(left),
        "seconds_left": latency[1] / latency[0] if latency else None,
    }


def markdown(records: Sequence[Mapping[str, Any]]) -> str:
    """The records as a table in Markdown."""
    return "\n".join([*head(HEAD), *(line(_cells(record)) for record in records)]) + "\n"


def _cells(record: Mapping[str, Any]) -> Iterator[str]:
    yield record["row"]
    for key in ("before", "after"):
        yield f"{100 * record[key][0]:.1f}"
    middle, deviation = record["points"]
    yield f"{middle:+.1f}{about(deviation, record['seeds'])}"
    for key in ("bytes_before", "bytes_after"):
        yield f"{record[key][0] / 1e3:.1f}"
    yield f"{record['smaller'][0]:.1f}x"
    yield f"{record['macs_left'][0]:.2f}"
    left, bar = record["seconds_left"], BARS.get(record["row"])
    yield "" if left is None else f"{left:.2f}"
    yield from ("", "") if bar is None else (str(bar), "yes" if bar.met(record) else "no")
