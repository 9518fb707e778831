"""Run folders: what a run of the main job keeps on disk, written so that a kill never damages it.

Layout of a run folder (format 4)::

    run.json                      format, version, created, config, seeds, versions of the packages
    calibration.json              ``Device.calibration()`` at the start of the run
    stages/<stage>.json           result of a finished stage, with its seconds
    checkpoints/<stage>.safetensors   state of the stage under way: tensors, and JSON in the header
    evaluations.jsonl             every evaluation of the search (``qml.nas.evaluations``)
    weights/<circuit>.safetensors     tensor "weights" of a finished circuit
    circuits/<circuit>.json           its logical circuit, weights bound, inputs symbolic
    circuits/<circuit>.logical.qasm   the same as OpenQASM 3
    circuits/<circuit>.compiled.qasm  compiled for the device, as OpenQASM 3
    results.json                  the table; its presence says that the run is finished
    report.html                   the report
    run.lock                      held by the process that works on the folder

Every file is written in one step (`qsim.files`). A checkpoint carries its JSON state in the header
of its safetensors file, so the two cannot disagree.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from qml.training import checkpoints
from qsim import files
from qsim.errors import UsageError
from qsim.files import reason, unwritable, write_atomically

FORMAT = "efficient-qml run"
FORMAT_VERSION = 4

TITLES = {
    "baseline": "Training the baseline",
    "supercircuit": "Training the SuperCircuit",
    "search": "Searching circuit and qubits",
    "matched": "Training a plain circuit of that size",
    "searched": "Training the searched circuit",
    "pruned": "Pruning and fine-tuning",
}
"""Stages before the device, in their order."""
CIRCUITS = {
    "baseline": "Baseline",
    "matched": "Same size",
    "searched": "Searched",
    "pruned": "Searched and pruned",
}
"""Circuits that are trained and run on the device."""
RESULTS_FILE = "results.json"
EVALUATIONS_FILE = "evaluations.jsonl"
_RUN_FILE = "run.json"
_LOCK_FILE = "run.lock"
_REMEDY = "start a new run in another folder"
_PACKAGES = (
    "efficient-qml",
    "torch",
    "numpy",
    "qiskit",
    "qiskit-aer",
    "qiskit-ibm-runtime",
    "scikit-learn",
    "mlxtend",
)


class _Object(dict[str, Any]):
    """What a JSON file holds; a key that was edited out of it is named with the file."""

    def __init__(self, path: Path, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise damaged(self.path, f"it lacks {key!r}")


class RunFolder:
    """One run on disk, made by `create` or `open`; names of files are relative to `path`."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self.header = header

    @classmethod
    def create(
        cls,
        path: str | Path,
        config: Mapping[str, Any],
        *,
        seeds: Mapping[str, int],
        calibration: Mapping[str, Any],
    ) -> RunFolder:
        """Start a run in a new or empty folder.

        Args:
            path: where; missing parents are made.
            config: JSON-able settings, all that is needed to repeat the run.
            seeds: the seeds in use, by what they are for.
            calibration: JSON-able device calibration.

        Raises:
            UsageError: the folder holds files already, is no folder, or cannot be written.
        """
        path = Path(path)
        _make_empty_folder(path)
        header = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "config": dict(config),
            "seeds": dict(seeds),
            "versions": package_versions(),
        }
        folder = cls(path, header)
        folder.write_json("calibration.json", calibration)
        # The header comes last: a folder that has one is complete enough to be resumed.
        folder.write_json(_RUN_FILE, header)
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open the folder of an earlier run.

        Raises:
            UsageError: no such folder, not a run folder, a damaged header, or another format.
        """
        path = Path(path)
        if not os.path.isdir(path):
            raise UsageError(
                f"there is no run folder {str(path)!r}: "
                "give the folder that 'qml run' named when it started"
            )
        if not os.path.isfile(path / _RUN_FILE):
            raise UsageError(
                f"{str(path)!r} is not a run folder ({_RUN_FILE} is missing): "
                "give a folder that 'qml run' made"
            )
        folder = cls(path, {})
        header = folder.read_json(_RUN_FILE)
        if header.get("format") != FORMAT:
            raise UsageError(
                f"{str(path)!r} is not a run folder: its {_RUN_FILE} was not written by 'qml run'"
            )
        if header.get("version") != FORMAT_VERSION:
            raise UsageError(
                f"{str(path)!r} has run format {header.get('version')}, but this release reads "
                f"format {FORMAT_VERSION}: resume it with the release that wrote it or start anew"
            )
        if not isinstance(header.get("config"), dict):
            raise damaged(path / _RUN_FILE, "it holds no configuration")
        folder.header = header
        return folder

    @property
    def config(self) -> dict[str, Any]:
        """The settings the run was started with."""
        config: dict[str, Any] = self.header["config"]
        return config

    @property
    def finished(self) -> bool:
        """Whether the results have been written."""
        return self.has(RESULTS_FILE)

    def changed_versions(self) -> dict[str, tuple[str | None, str | None]]:
        """Packages whose version has changed since the run started: name -> (then, now)."""
        then, now = self.header.get("versions", {}), package_versions()
        return {
            name: (then.get(name), now.get(name))
            for name in sorted({*then, *now})
            if then.get(name) != now.get(name)
        }

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for writing; the operating system lets go of it when the process dies.

        Raises:
            UsageError: another process works on the folder, or it cannot be written.
        """
        lock = FileLock(self.path / _LOCK_FILE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(
                f"another process is working on the run folder {str(self.path)!r}: "
                "wait until it ends or stop it"
            ) from None
        except OSError as error:
            raise unwritable(self.path, error) from error
        try:
            yield
        finally:
            lock.release()

    def has(self, name: str) -> bool:
        """Whether the file exists."""
        return os.path.isfile(self.path / name)

    def write_text(self, name: str, text: str) -> Path:
        """Write a UTF-8 text file in one step; returns its path."""
        return write_atomically(self.path / name, text.encode())

    def read_text(self, name: str) -> str:
        """Read a UTF-8 text file. Raises UsageError if it is missing or damaged."""
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise damaged(self.path / name, reason(error)) from error

    def write_json(self, name: str, value: Any) -> Path:
        """Write a JSON file in one step; returns its path."""
        return self.write_text(name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file that holds an object.

        Raises:
            UsageError: it is missing or damaged; later, where a key is asked for that it lacks.
        """
        path, text = self.path / name, self.read_text(name)
        try:
            value = json.loads(text, object_hook=partial(_Object, path))
        except json.JSONDecodeError as error:
            raise damaged(path, f"it is no JSON from line {error.lineno} on") from error
        if not isinstance(value, _Object):
            raise damaged(path, "it holds no object")
        return value

    def write_tensors(self, name: str, tensors: Mapping[str, Tensor], state: Any = None) -> Path:
        """Write tensors and a JSON-able state as one safetensors file; returns its path."""
        return checkpoints.write_tensors(self.path / name, tensors, state)

    def read_tensors(self, name: str) -> tuple[dict[str, Tensor], Any]:
        """Tensors and state of `write_tensors`. Raises UsageError if missing or damaged."""
        return checkpoints.read_tensors(self.path / name, _REMEDY)

    def stage(self, stage: str) -> dict[str, Any] | None:
        """The result of a finished stage, None if it has not finished."""
        name = f"stages/{stage}.json"
        return self.read_json(name) if self.has(name) else None

    def finish_stage(self, stage: str, result: Mapping[str, Any]) -> None:
        """Record the result of a stage; its checkpoint is no longer needed and goes."""
        self.write_json(f"stages/{stage}.json", dict(result))
        (self.path / _checkpoint(stage)).unlink(missing_ok=True)

    def save_checkpoint(self, stage: str, tensors: Mapping[str, Tensor], state: Any) -> None:
        """Record how far a stage has come; replaces its earlier checkpoint."""
        self.write_tensors(_checkpoint(stage), tensors, state)

    def load_checkpoint(self, stage: str) -> tuple[dict[str, Tensor], Any] | None:
        """The last checkpoint of a stage as (tensors, state), None if there is none."""
        return self.read_tensors(_checkpoint(stage)) if self.has(_checkpoint(stage)) else None


class Stage:
    """A stage under way: its last checkpoint, and a clock that runs on across interruptions.

    Attributes:
        tensors, state: of the last checkpoint; state is None if there is none.
    """

    def __init__(self, folder: RunFolder, name: str) -> None:
        self.folder = folder
        self.name = name
        self.tensors, saved = folder.load_checkpoint(name) or ({}, {"seconds": 0.0, "state": None})
        self.state = saved["state"]
        self._origin = perf_counter() - saved["seconds"]

    def save(self, tensors: Mapping[str, Tensor], state: Any) -> None:
        """Record how far the stage has come."""
        seconds = perf_counter() - self._origin
        self.folder.save_checkpoint(self.name, tensors, {"seconds": seconds, "state": state})

    def finish(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Record the result, with the seconds that the stage took -> what was recorded."""
        complete = {"seconds": perf_counter() - self._origin, **result}
        self.folder.finish_stage(self.name, complete)
        return complete


def package_versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that influence a result."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _make_empty_folder(path: Path) -> None:
    if os.path.isfile(path):
        raise UsageError(f"{str(path)!r} is a file: give a folder for the run with --out")
    try:
        path.mkdir(parents=True, exist_ok=True)
        occupied = any(path.iterdir())
    except OSError as error:
        raise unwritable(path, error) from error
    if occupied:
        raise UsageError(
            f"the folder {str(path)!r} already holds files: choose another one with --out, "
            f"or continue the run in it with --resume {path}"
        )


def _checkpoint(stage: str) -> str:
    return f"checkpoints/{stage}.safetensors"


def damaged(path: Path, why: str) -> UsageError:
    """The sentence for a file of a run whose content is not what was once written there."""
    return files.damaged(path, why, _REMEDY)
