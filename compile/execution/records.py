"""What a job keeps on disk, written so that a kill never damages it and no shot is lost.

Layout of a job folder (schema 1)::

    job.json                  schema, id, device, settings, question, and what was submitted
    calibration.json          ``Device.calibration()`` when the job was made
    circuits.qpy              circuits on physical qubits, in Qiskit's format
    values.safetensors        values of their parameters, and the point of a gradient
    results/<n>.safetensors   what submission n gave; its presence says that it is over
    job.lock                  held by the process that works on the folder

Nothing in it tells who submitted: no token, no account.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from compile.execution.links import Answer
from compile.execution.programs import Program, Pub
from qsim.errors import UsageError
from qsim.files import damaged, read_bytes, read_text, write_atomically

SCHEMA = 1
_REMEDY = "run the circuit again"
_RECORD = "job.json"


class JobFolder:
    """The files of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def named(cls, job_id: str, jobs: str | Path) -> JobFolder:
        """The folder of a job among all jobs.

        Raises:
            UsageError: there is no such job.
        """
        path = Path(jobs) / job_id
        if not (path / _RECORD).is_file():
            raise UsageError(
                f"there is no job {job_id!r} in {str(jobs)!r}: 'qml job list' shows those that are"
            )
        return cls(path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; the operating system lets go of it when the process dies.

        Raises:
            UsageError: another process works on the job, or the folder cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path / "job.lock", timeout=0):
                yield
        except Timeout:
            raise UsageError(
                f"another process is working on the job {self.path.name}: wait until it ends"
            ) from None

    def write(self, name: str, value: Any) -> None:
        """Write JSON in one step."""
        text = json.dumps(value, indent=2, allow_nan=False) + "\n"
        write_atomically(self.path / name, text.encode())

    def write_record(self, record: Mapping[str, Any]) -> None:
        self.write(_RECORD, record)

    def read_record(self) -> dict[str, Any]:
        """Raises UsageError for a record that is damaged or of another schema."""
        path = self.path / _RECORD
        try:
            record = json.loads(read_text(path))
        except json.JSONDecodeError as error:
            raise damaged(path, f"it is no JSON from line {error.lineno} on", _REMEDY) from error
        if not isinstance(record, dict) or "schema" not in record:
            raise damaged(path, "it is no record of a job", _REMEDY)
        if record["schema"] != SCHEMA:
            raise UsageError(
                f"the job {self.path.name} has schema {record['schema']}, but this release reads "
                f"schema {SCHEMA}: resume it with the release that wrote it"
            )
        return record

    def reread(self) -> dict[str, Any] | None:
        """The record as it is now; None where nothing is kept."""
        return self.read_record()

    def write_program(self, program: Program, point: np.ndarray | None) -> None:
        """Circuits and values; what they are for stands in the record."""
        from qiskit import qpy

        buffer = io.BytesIO()
        qpy.dump([pub.circuit for pub in program.pubs], buffer)
        write_atomically(self.path / "circuits.qpy", buffer.getvalue())
        arrays = {str(number): pub.values for number, pub in enumerate(program.pubs)}
        self._write_arrays("values", arrays if point is None else {**arrays, "point": point})

    def read_program(self, record: Mapping[str, Any]) -> tuple[Program, np.ndarray | None]:
        """The program of `write_program`, and the point of a gradient."""
        from qiskit import qpy

        path = self.path / "circuits.qpy"
        values = self._read_arrays("values")
        try:
            circuits = qpy.load(io.BytesIO(read_bytes(path)))
        except UsageError:
            raise
        except Exception as error:  # whatever a damaged file makes Qiskit stumble over
            raise damaged(path, "it holds no circuits", _REMEDY) from error
        pubs = tuple(Pub(circuit, values[str(k)]) for k, circuit in enumerate(circuits))
        strings = tuple((letters, tuple(qubits)) for letters, qubits in record["strings"])
        return Program(record["primitive"], pubs, strings), values.get("point")

    def write_answers(self, number: int, answers: Sequence[Answer]) -> None:
        """What a submission gave."""
        arrays = {
            f"{place}.{name}": array
            for place, answer in enumerate(answers)
            for name, array in answer.items()
        }
        self._write_arrays(f"results/{number}", arrays)

    def read_answers(self, number: int) -> list[Answer] | None:
        """What a submission gave; None if it is not over."""
        if not self._arrays(f"results/{number}").is_file():
            return None
        answers: dict[int, Answer] = {}
        for key, array in self._read_arrays(f"results/{number}").items():
            place, name = key.split(".")
            answers.setdefault(int(place), {})[name] = array
        return [answers[place] for place in sorted(answers)]

    def _arrays(self, name: str) -> Path:
        return self.path / f"{name}.safetensors"

    def _write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        from safetensors.numpy import save

        tensors = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        write_atomically(self._arrays(name), save(tensors))

    def _read_arrays(self, name: str) -> dict[str, np.ndarray]:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        path = self._arrays(name)
        try:
            return load(read_bytes(path))
        except SafetensorError as error:
            raise damaged(path, "it holds no tensors", _REMEDY) from error


class NoFolder(JobFolder):
    """A job that is not kept: for simulations, which cost nothing to repeat."""

    def __init__(self) -> None:
        super().__init__(Path())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Nothing is shared."""
        yield

    def write(self, name: str, value: Any) -> None:
        """Nothing is kept."""

    def reread(self) -> None:
        """Nothing is kept."""

    def write_answers(self, number: int, answers: Sequence[Answer]) -> None:
        """Nothing is kept."""

    def read_answers(self, number: int) -> None:
        """Nothing is kept."""


def job_ids(jobs: str | Path) -> list[str]:
    """Names of all jobs in a folder, the latest last."""
    return sorted(path.parent.name for path in Path(jobs).glob(f"*/{_RECORD}"))
