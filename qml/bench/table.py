"""The table of a study: means and spreads over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean, stdev
from typing import Any

from qml.bench.energies import MOLECULE_TASKS
from qml.bench.study import CellName
from qml.runs import RunFolder

HEAD = (
    *("task", "device", "row", "noise-free", "noisy"),
    *("1q pulses", "2q gates", "success", "CPU seconds", "seeds"),
)


def summary(folder: RunFolder, names: Sequence[CellName]) -> list[dict[str, Any]]:
    """What has finished, a record for every task, device and row.

    Returns:
        "task", "device", "row", "seeds" (their number), and [mean, spread] over seeds of each fact
        of `qml.bench.measure.measure` and of "seconds", which a processor worked; the spread is the
        standard deviation, 0 for a single seed.
    """
    grouped: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for name in names:
        if folder.has(name.file):
            for row, facts in folder.read_json(name.file).items():
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
