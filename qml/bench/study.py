"""The study of QuantumNAS: its cells over a folder, in processes, and what is left of them.

Layout of the folder, whose files are written in one step::

    run.json   as in every run folder (`qml.runs`); the config has the sizes
    supercircuits/<task>-<seed>.safetensors   tensor "weights"
    cells/<task>-<device>-<seed>.json   facts of the rows that have finished, by their names
    table.md, table.json                the table

A kill loses the rows under way, at most.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch

from compile import Device
from qml.bench.cells import Cell, Sizes
from qml.bench.measure import measure
from qml.bench.rows import ABLATIONS, ROWS
from qml.data.tasks import load_task
from qml.nn.layers import named
from qml.pools import LocalPool, OneProcess
from qml.progress import Reporter
from qml.runs import RunFolder
from qsim.errors import UsageError

TASKS = ("digits-2", "digits-4", "mnist-2", "mnist-4", "vowel-4", "digits-10", "mnist-10")
DEVICES = (
    *("FakeQuitoV2", "FakeBelemV2", "FakeLimaV2", "FakeYorktownV2", "FakeSantiagoV2"),
    *("FakeJakartaV2", "FakeGuadalupeV2", "FakeKolkataV2", "FakeTorino"),
)
SEEDS = (0, 1, 2)


class CellName(NamedTuple):
    """A task on a device, with one seed."""

    task: str
    device: str
    seed: int

    @property
    def file(self) -> str:
        """Where its rows are kept in the folder."""
        return f"cells/{self.task}-{self.device}-{self.seed}.json"


def cells(
    tasks: Sequence[str], devices: Sequence[str], seeds: Sequence[int]
) -> tuple[list[CellName], list[str]]:
    """All combinations, without devices that are too small, and sentences on these.

    Raises:
        UsageError: for unknown tasks or devices.
    """
    sizes = {task: load_task(task).num_qubits for task in tasks}
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


@dataclass(frozen=True)
class CellWork:
    """Does what is left to do of a cell: what the processes are sent.

    Attributes:
        path: folder of the study.
        sizes: of the study.
        rows: names of rows and ablations.
    """

    path: Path
    sizes: Sizes
    rows: tuple[str, ...]

    def __call__(self, name: CellName) -> int:
        """Number of rows that the cell has in the end."""
        folder = RunFolder.open(self.path)
        known: dict[str, Any] = folder.read_json(name.file) if folder.has(name.file) else {}
        missing = [row for row in self.rows if row not in known]
        if missing:
            torch.set_num_threads(1)
            cell = self._prepared(folder, name)
            for row in missing:
                known[row] = _facts(cell, row)
                folder.write_json(name.file, known)
        return len(known)

    def _prepared(self, folder: RunFolder, name: CellName) -> Cell:
        cell = Cell(name.task, name.device, name.seed, self.sizes)
        file = f"supercircuits/{name.task}-{name.seed}.safetensors"
        if folder.has(file):
            cell.shared_weights = folder.read_tensors(file)[0]["weights"]
        else:
            folder.write_tensors(file, {"weights": cell.shared_weights})
        _ = cell.gene  # so that no row is charged with the search
        return cell


def _facts(cell: Cell, row: str) -> dict[str, Any]:
    method = named(ROWS | ABLATIONS, row, "row")
    start = perf_counter()
    trained = method(cell)
    return {**measure(cell, trained), "seconds": perf_counter() - start}


def open_study(path: Path, sizes: Sizes) -> RunFolder:
    """The folder of a study, new or from before.

    Raises:
        UsageError: the folder holds something else, or a study of other sizes.
    """
    config = {"study": "quantumnas", "sizes": json.loads(json.dumps(asdict(sizes)))}
    if not (path / "run.json").exists():
        return RunFolder.create(path, config, seeds={}, calibration={})
    folder = RunFolder.open(path)
    if folder.config != config:
        raise UsageError(
            f"{str(path)!r} holds another study, or one of other sizes: give another folder"
        )
    return folder


def run_study(
    folder: RunFolder,
    sizes: Sizes,
    names: Sequence[CellName],
    rows: Sequence[str],
    *,
    processes: int,
    reporter: Reporter,
) -> None:
    """Do what is left of the cells, in so many processes."""
    work = CellWork(folder.path, sizes, tuple(rows))
    reporter.start("Tasks on devices", len(names), 0, "cells")
    if processes == 1:
        _report(OneProcess(work)(names), reporter)
    else:
        with LocalPool(work, processes) as pool:
            _report(pool(names), reporter)
    reporter.finish()


def _report(done: Iterator[tuple[CellName, int]], reporter: Reporter) -> None:
    for number, (name, _) in enumerate(done, 1):
        reporter.update(number, f"{name.task} on {name.device}, seed {name.seed}")
