"""What studies share: a run folder of their own, and rows of which the missing ones are made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any, TypeVar

from qml.runs import RunFolder
from qsim.errors import UsageError, need

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Cell = TypeVar("Cell")


def open_study(path: Path, study: str, sizes: DataclassInstance) -> RunFolder:
    """The folder of a study, new or from before.

    Args:
        path: of the folder.
        study: its name.
        sizes: JSON-able; rows of other sizes do not go into one table.

    Raises:
        UsageError: the folder holds something else, or a study of other sizes; or matplotlib, which
            draws its table in the end, is not installed.
    """
    need("matplotlib", extra="plot", purpose="the pictures of a study")
    config = {"study": study, "sizes": json.loads(json.dumps(asdict(sizes)))}
    if not (path / "run.json").exists():
        return RunFolder.create(path, config, seeds={}, calibration={})
    folder = RunFolder.open(path)
    if folder.config != config:
        raise UsageError(
            f"{str(path)!r} holds another study, or one of other sizes: give another folder"
        )
    return folder


def finish_cell(
    folder: RunFolder,
    file: str,
    make: Callable[[], Cell],
    rows: Mapping[str, Callable[[Cell], dict[str, Any]]],
) -> int:
    """Make the rows that a cell's file lacks, each written as soon as it is there.

    Args:
        folder: of the study.
        file: of the cell: facts of rows by their names, with the "seconds" a processor worked.
        make: the cell, if a row is missing.
        rows: cell -> facts, JSON-able.

    Returns:
        number of rows in the file.
    """
    known: dict[str, Any] = folder.read_json(file) if folder.has(file) else {}
    missing = [row for row in rows if row not in known]
    if missing:
        cell = make()
        for row in missing:
            start = process_time()
            facts = rows[row](cell)
            known[row] = {**facts, "seconds": process_time() - start}
            folder.write_json(file, known)
    return len(known)
