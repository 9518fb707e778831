"""The table of a study: means and spreads over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import mean
from typing import Any, NamedTuple

from qml.bench.energies import MOLECULE_TASKS
from qml.bench.rows import ABLATIONS
from qml.bench.tables import about, head, line, spread

HEAD = (
    *("task", "device", "row", "noise-free", "noisy"),
    *("1q pulses", "2q gates", "success", "CPU seconds", "seeds"),
)
FACTS = (
    *("noise_free", "noisy", "parameters", "one_qubit_gates", "two_qubit_gates", "depth", "esp"),
    "seconds",
)
"""Of a row: those of `qml.bench.measure.measure`, and the seconds that a processor worked."""


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
        "task", "device", "row", "seeds" (their number), and [mean, spread] over seeds of each of
        `FACTS`; the spread is the standard deviation, 0 for a single seed.
    """
    grouped: dict[tuple[str, str, str], list[dict[str, float]]] = {}
    for name, rows in cells.items():
        for row, facts in rows.items():
            grouped.setdefault((name.task, name.device, row), []).append(facts)
    return [
        {"task": task, "device": device, "row": row, "seeds": len(found)}
        | {key: spread([facts[key] for facts in found]) for key in FACTS}
        for (task, device, row), found in grouped.items()
    ]


def markdown(records: Sequence[dict[str, Any]]) -> str:
    """The records as a table in Markdown."""
    return "\n".join([*head(HEAD), *(line(_cells(record)) for record in records)]) + "\n"


def report(records: Sequence[dict[str, Any]]) -> str:
    """All of it in Markdown: tasks side by side, each task by devices, and every record.

    Rows that take methods apart, which few devices have, are not averaged over these.
    """
    tasks = list(dict.fromkeys(record["task"] for record in records))
    methods = [record for record in records if record["row"] not in ABLATIONS]
    parts = [overview(methods, tasks), *(by_device(records, task) for task in tasks)]
    return "\n".join([*parts, markdown(records)])


def overview(records: Sequence[dict[str, Any]], tasks: Sequence[str]) -> str:
    """Rows by tasks in Markdown: what noise leaves, in the mean over devices (without noise)."""
    lines = head(["", *(task + _unit(task) for task in tasks)])
    for row in _rows(record for record in records if record["task"] in tasks):
        chosen = ([r for r in records if (r["task"], r["row"]) == (task, row)] for task in tasks)
        lines.append(line([row, *(_mean_of(found) for found in chosen)]))
    return "\n".join(lines) + "\n"


def by_device(records: Sequence[dict[str, Any]], task: str) -> str:
    """Rows by devices in Markdown: what noise leaves of the task, and what it takes ("gap")."""
    chosen = [record for record in records if record["task"] == task]
    devices = list(dict.fromkeys(record["device"] for record in chosen))
    names = [device.removeprefix("Fake").removesuffix("V2") for device in devices]
    lines = head([task + _unit(task), "noise-free", *names, "gap", "two-qubit gates"])
    for row in _rows(chosen):
        found = {record["device"]: record for record in chosen if record["row"] == row}
        free, noisy = (_value(list(found.values()), key) for key in ("noise_free", "noisy"))
        cells = [f"{_value([found[d]], 'noisy'):.1f}" if d in found else "" for d in devices]
        gates = [round(record["two_qubit_gates"][0]) for record in found.values()]
        gap = noisy - free if task in MOLECULE_TASKS else free - noisy
        lines.append(
            line([row, f"{free:.1f}", *cells, f"{gap:.1f}", f"{min(gates)} to {max(gates)}"])
        )
    return "\n".join(lines) + "\n"


def _rows(records: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(record["row"] for record in records))


def _unit(task: str) -> str:
    return ", mHa" if task in MOLECULE_TASKS else ", %"


def _value(found: Sequence[dict[str, Any]], key: str) -> float:
    """The mean over records of a task, in its unit."""
    return (1 if found[0]["task"] in MOLECULE_TASKS else 100) * mean(r[key][0] for r in found)


def _mean_of(found: Sequence[dict[str, Any]]) -> str:
    return f"{_value(found, 'noisy'):.1f} ({_value(found, 'noise_free'):.1f})" if found else ""


def _cells(record: dict[str, Any]) -> Iterator[str]:
    yield from (record["task"], record["device"], record["row"])
    factor, unit = (1, " mHa") if record["task"] in MOLECULE_TASKS else (100, " %")
    for key in ("noise_free", "noisy"):
        middle, deviation = record[key]
        yield f"{factor * middle:.1f}{about(factor * deviation, record['seeds'])}{unit}"
    for key, digits in (("one_qubit_gates", 0), ("two_qubit_gates", 0), ("esp", 3), ("seconds", 1)):
        yield f"{record[key][0]:.{digits}f}"
    yield str(record["seeds"])
