"""The study of QuantumNAS: its cells over a folder, in processes, and what is left of them.

Layout of the folder, whose files are written in one step::

    run.json   as in every run folder (`qml.runs`); the config has the sizes
    supercircuits/<task>-<seed>.safetensors   tensor "weights"
    cells/<task>-<device>-<seed>.json   facts of the rows that have finished, by their names
    table.md, table.json, <task>.svg    the tables, and a picture of every task of classification

A kill loses the rows under way, at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from compile import Device
from qml.bench import table
from qml.bench.cells import Cell, Sizes
from qml.bench.energies import (
    ENERGY_ROWS,
    MAPPING,
    MOLECULE_TASKS,
    EnergyCell,
    measure_energy,
)
from qml.bench.folder import finish_cell
from qml.bench.measure import measure
from qml.bench.rows import ABLATIONS, ROWS
from qml.bench.table import CellName
from qml.chemistry.molecules import load_molecule
from qml.data.tasks import load_task
from qml.plots import plot_study
from qml.pools import local_pool
from qml.progress import Reporter
from qml.runs import RunFolder

TASKS = (
    *("mnist-4", "mnist-2", "digits-4", "digits-2", "vowel-4", *MOLECULE_TASKS),
    *("mnist-10", "digits-10"),
)
DEVICES = (
    *("FakeQuitoV2", "FakeBelemV2", "FakeLimaV2", "FakeYorktownV2", "FakeSantiagoV2"),
    *("FakeJakartaV2", "FakeGuadalupeV2", "FakeKolkataV2", "FakeTorino"),
)
SEEDS = (0, 1, 2)


def cells(
    tasks: Sequence[str], devices: Sequence[str], seeds: Sequence[int]
) -> tuple[list[CellName], list[str]]:
    """All combinations, without devices that are too small, and sentences on these.

    Raises:
        UsageError: for unknown tasks or devices.
    """
    sizes = {task: _num_qubits(task) for task in tasks}
    qubits = {device: Device.from_name(device).num_qubits for device in devices}
    found = [
        CellName(task, device, seed)
        for task in tasks
        for seed in seeds
        for device in devices
        if sizes[task] <= qubits[device]
    ]
    left_out = [
        f"{task} needs {sizes[task]} qubits, {device} has {qubits[device]}"
        for task in tasks
        for device in devices
        if sizes[task] > qubits[device]
    ]
    return found, left_out


def _num_qubits(task: str) -> int:
    if task in MOLECULE_TASKS:
        return load_molecule(MOLECULE_TASKS[task]).on_qubits(MAPPING).num_qubits
    return load_task(task).num_qubits


@dataclass(frozen=True)
class CellWork:
    """Does what is left to do of a cell: what the processes are sent.

    Attributes:
        path: folder of the study.
        sizes: of the study.
        ablations: whether there are rows that take the methods apart.
    """

    path: Path
    sizes: Sizes
    ablations: bool

    def __call__(self, name: CellName) -> int:
        """Number of rows that the cell has in the end."""
        folder = RunFolder.open(self.path)
        make, rows, facts = self._kind(name.task)

        def prepared() -> Cell | EnergyCell:
            torch.set_num_threads(1)
            cell: Cell | EnergyCell = make(*name, self.sizes)
            self._prepare(folder, name, cell)
            return cell

        measured = {
            row: lambda cell, method=method: facts(cell, method(cell))
            for row, method in rows.items()
        }
        return finish_cell(folder, name.file, prepared, measured)

    def _kind(self, task: str) -> tuple[Any, dict[str, Callable[[Any], Any]], Callable[..., Any]]:
        """How to make a cell, its rows, and how a row is measured."""
        if task in MOLECULE_TASKS:
            return EnergyCell, ENERGY_ROWS, measure_energy
        return Cell, ROWS | (ABLATIONS if self.ablations else {}), measure

    def _prepare(self, folder: RunFolder, name: CellName, cell: Cell | EnergyCell) -> None:
        """Make what rows share, so that none is charged with it."""
        file = f"supercircuits/{name.task}-{name.seed}.safetensors"
        if folder.has(file):
            cell.shared_weights = folder.read_tensors(file)[0]["weights"]
        else:
            folder.write_tensors(file, {"weights": cell.shared_weights})
        _ = cell.gene


def run_study(
    folder: RunFolder,
    sizes: Sizes,
    names: Sequence[CellName],
    *,
    ablations: bool,
    processes: int,
    reporter: Reporter,
) -> None:
    """Do what is left of the cells, in so many processes."""
    work = CellWork(folder.path, sizes, ablations)
    reporter.start("Tasks on devices", len(names), 0, "cells")
    with local_pool(work, processes) as pool:
        _report(pool(names), reporter)
    reporter.finish()


def _report(done: Iterator[tuple[CellName, int]], reporter: Reporter) -> None:
    for number, (name, _) in enumerate(done, 1):
        reporter.update(number, f"{name.task} on {name.device}, seed {name.seed}")


def write_tables(folder: RunFolder, names: Sequence[CellName]) -> Path:
    """Write what has finished of these cells as tables and pictures -> path of table.md."""
    records = table.summary(
        {name: folder.read_json(name.file) for name in names if folder.has(name.file)}
    )
    folder.write_json("table.json", records)
    for task in sorted({record["task"] for record in records} - set(MOLECULE_TASKS)):
        figure = plot_study([record for record in records if record["task"] == task], task)
        figure.savefig(folder.path / f"{task}.svg")
    return folder.write_text("table.md", table.report(records))
