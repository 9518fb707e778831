"""The table of a study: means and spreads over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

from qml.bench.energies import MOLECULE_TASKS

HEAD = (
    *("task", "device", "row", "noise-free", "noisy"),
    *("1q pulses", "2q gates", "success", "CPU seconds", "seeds"),
)


class CellName(NamedTuple):
    """A task on a device, with one seed."""

    task: str
    device: str
    seed: int

    @property
    def file(self) -> str:
        """Where its rows are kept in the folder."""
        return f"cells/{self.task}-{self.device}-{self.seed}.json"


def summary(cells: Mapping[CellName, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of cells, put together over seeds: a record for every task, device and row.

    Returns:
        "task", "device", "row", "seeds" (their number), and [mean, spread] over seeds of each fact
        of `qml.bench.measure.measure` and of "seconds", which a processor worked; the spread is the
        standard deviation, 0 for a single seed.
    """
    grouped: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for name, rows in cells.items():
        for row, facts in rows.items():
            grouped.setdefault((name.task, name.device, row), []).append(facts)
    return [
        {"task": task, "device": device, "row": row, "seeds": len(found)}
        | {key: _spread([facts[key] for facts in found]) for key in found[0]}
        for (task, device, row), found in grouped.items()
    ]


def markdown(records: Sequence[dict[str, Any]]) -> str:
    """The records as a table in Markdown."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    return "\n".join([*lines, *(_line(_cells(record)) for record in records)]) + "\n"


def overview(records: Sequence[dict[str, Any]], tasks: Sequence[str]) -> str:
    """Rows by tasks in Markdown: what noise leaves, in the mean over devices (without noise)."""
    rows = list(dict.fromkeys(record["row"] for record in records if record["task"] in tasks))
    lines = [_line(["", *tasks]), _line(["---"] * (1 + len(tasks)))]
    for row in rows:
        chosen = ([r for r in records if (r["task"], r["row"]) == (task, row)] for task in tasks)
        lines.append(_line([row, *(_mean_of(found) for found in chosen)]))
    return "\n".join(lines) + "\n"


def _mean_of(found: Sequence[dict[str, Any]]) -> str:
    if not found:
        return ""
    factor = 1 if found[0]["task"] in MOLECULE_TASKS else 100
    noisy, free = (
        factor * mean(record[key][0] for record in found) for key in ("noisy", "noise_free")
    )
    return f"{noisy:.1f} ({free:.1f})"


def _cells(record: dict[str, Any]) -> Iterator[str]:
    yield from (record["task"], record["device"], record["row"])
    factor, unit = (1, " mHa") if record["task"] in MOLECULE_TASKS else (100, " %")
    for key in ("noise_free", "noisy"):
        middle, spread = record[key]
        yield f"{factor * middle:.1f} ± {factor * spread:.1f}{unit}"
    for key, digits in (("one_qubit_gates", 0), ("two_qubit_gates", 0), ("esp", 3), ("seconds", 1)):
        yield f"{record[key][0]:.{digits}f}"
    yield str(record["seeds"])


def _spread(values: Sequence[float]) -> list[float]:
    return [mean(values), stdev(values) if len(values) > 1 else 0.0]


def _line(cells: Sequence[str] | Iterator[str]) -> str:
    return f"| {' | '.join(cells)} |"
