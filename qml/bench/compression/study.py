"""The study of compression: its cells over a folder, in processes, and what is left of them.

Layout of the folder, whose files are written in one step::

    run.json   as in every run folder (`qml.runs`); the config has the sizes
    cells/<kind>-<seed>.json    facts of the rows that have finished, by their names
    latency.json                seconds of reference and compressed model, by row
    table.md, table.json, compression.svg    the table, and a picture of the rows on digits

A kill loses the rows under way, at most. Latencies are measured last, by one process alone; remove
their file and start again to measure them on a quiet computer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from classical.metrics import compare_latency
from classical.quantization import freeze
from qml.bench.compression import once_for_all, photographs, rows, table
from qml.bench.compression.cells import Cell, Outcome, Sizes
from qml.bench.folder import finish_cell
from qml.plots import plot_compression
from qml.pools import local_pool
from qml.progress import Reporter
from qml.runs import RunFolder

SEEDS = (0, 1, 2)
LATENCY_FILE = "latency.json"
LATENCY_BATCH = 8


class CellName(NamedTuple):
    """One of `KINDS`, with a seed."""

    kind: str
    seed: int

    @property
    def file(self) -> str:
        """Where its rows are kept in the folder."""
        return f"cells/{self.kind}-{self.seed}.json"


KINDS: dict[str, tuple[Callable[[int, Sizes], Any], dict[str, Callable[[Any], Any]]]] = {
    "digits": (Cell, rows.ROWS),
    "supernet": (once_for_all.SupernetCell, once_for_all.ROWS),
    "photographs": (photographs.PhotographCell, photographs.ROWS),
}
"""How to make a cell, and its rows."""


def cells(seeds: Sequence[int]) -> list[CellName]:
    """All cells with these seeds."""
    return [CellName(kind, seed) for seed in seeds for kind in KINDS]


@dataclass(frozen=True)
class CellWork:
    """Does what is left to do of a cell: what the processes are sent.

    Attributes:
        path: folder of the study.
        sizes: of the study.
    """

    path: Path
    sizes: Sizes

    def __call__(self, name: CellName) -> int:
        """Number of rows that the cell has in the end."""
        make, methods = KINDS[name.kind]

        def made() -> Any:
            torch.set_num_threads(1)
            return make(name.seed, self.sizes)

        measured = {
            row: lambda cell, method=method: cell.measure(method(cell))
            for row, method in methods.items()
        }
        return finish_cell(RunFolder.open(self.path), name.file, made, measured)


def run_study(
    folder: RunFolder,
    sizes: Sizes,
    names: Sequence[CellName],
    *,
    processes: int,
    reporter: Reporter,
) -> None:
    """Do what is left of the cells, in so many processes, then measure latencies."""
    reporter.start("Compressing", len(names), 0, "cells")
    with local_pool(CellWork(folder.path, sizes), processes) as pool:
        for number, (name, _) in enumerate(pool(names), 1):
            reporter.update(number, f"{name.kind}, seed {name.seed}")
    reporter.finish()
    if not folder.has(LATENCY_FILE):
        folder.write_json(LATENCY_FILE, _latencies(sizes, names[0].seed, reporter))


class _Untuned(Cell):
    """Latency needs shapes, not accuracy."""

    def tune(self, *_: Any, **__: Any) -> None:
        pass


def _latencies(sizes: Sizes, seed: int, reporter: Reporter) -> dict[str, list[float]]:
    cell, found = _Untuned(seed, sizes), {}
    x = cell.data.test.x[:LATENCY_BATCH]
    reporter.start("Measuring latencies", len(rows.ROWS), 0, "methods")
    for number, (row, method) in enumerate(rows.ROWS.items(), 1):
        outcome: Outcome = method(cell)
        pair = (outcome.reference, freeze(outcome.model))  # values looked up once, not every time
        times = compare_latency(pair, x, runs=sizes.latency_runs, threads=1)
        found[row] = [time.median for time in times]
        reporter.update(number, row)
    reporter.finish()
    return found


def write_tables(folder: RunFolder, names: Sequence[CellName]) -> Path:
    """Write what has finished of these cells as a table and a picture -> path of table.md."""
    latencies = folder.read_json(LATENCY_FILE) if folder.has(LATENCY_FILE) else {}
    done = [_in_order(folder, name) for name in names if folder.has(name.file)]
    records = table.summary(done, latencies)
    folder.write_json("table.json", records)
    digits = [record for record in records if record["row"] in rows.ROWS]
    plot_compression(digits).savefig(folder.path / "compression.svg")
    return folder.write_text("table.md", table.markdown(records))


def _in_order(folder: RunFolder, name: CellName) -> dict[str, Any]:
    known = folder.read_json(name.file)
    return {row: known[row] for row in KINDS[name.kind][1] if row in known}
