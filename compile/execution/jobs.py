"""Jobs: circuits, what they were asked for, and a ledger in which every shot counts once.

A job is on disk before anything is submitted. Every submission is written down with a tag of its
own before it is sent: where the answer to sending it is lost, by a dropped connection or a kill,
the tag tells whether the service has it. What a submission gave is on disk before it counts, and
what is still missing is worked out anew from what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import torch

from compile.device import Device
from compile.execution.answers import Measured, Question
from compile.execution.failures import JobFailed, told
from compile.execution.links import Answer, Cloud, Link, Piece, Submission
from compile.execution.mitigation import Mitigation
from compile.execution.programs import Program
from compile.execution.records import SCHEMA, JobFolder, NoFolder
from compile.execution.simulated import Aer, Qsim
from compile.outages import patiently
from qsim.errors import UsageError

T = TypeVar("T")
Progress = Callable[[int, int], object]
JOBS = Path("jobs")
_FRUITLESS = 3  # submissions in a row that gave nothing


@dataclass(frozen=True)
class Settings:
    """How circuits run.

    Attributes:
        shots: for each row of each pub.
        seed: of a simulation.
        mitigation: of errors.
        primitives: generation of the primitives.
        simulator: "aer" or "qsim"; None for a quantum computer.
        max_seconds: of a quantum computer's time.
    """

    shots: int
    seed: int
    mitigation: Mitigation
    primitives: str = "client"
    simulator: str | None = None
    max_seconds: float | None = None


class Job:
    """A program under way on a device. `Executor` makes jobs, `Job.resume` finds them again.

    Attributes:
        id: name of the job and of its folder.
        submissions: what was sent so far.
    """

    def __init__(
        self,
        job_id: str,
        folder: JobFolder,
        device: Device,
        program: Program,
        question: Question,
        settings: Settings,
        *,
        created: str,
        submissions: list[Submission] | None = None,
        mode: Any = None,
    ) -> None:
        self.id, self.device, self.submissions = job_id, device, submissions or []
        self.question, self.settings = question, settings
        self._created, self._folder, self._program = created, folder, program
        self._known: dict[int, list[Answer]] = {}
        self._link = _link(device, program, settings, mode)

    @classmethod
    def create(
        cls,
        device: Device,
        program: Program,
        question: Question,
        settings: Settings,
        *,
        jobs: str | Path | None,
        mode: Any = None,
    ) -> Job:
        """Write a job to disk, without submitting anything.

        Args:
            device, program, question, settings: what runs where, how and what for.
            jobs: the folder of all jobs; None to keep nothing.
            mode: an open session or batch.
        """
        now = datetime.now(UTC)
        job_id = f"{now:%Y%m%d-%H%M%S}-{uuid4().hex[:8]}"
        folder = NoFolder() if jobs is None else JobFolder(Path(jobs) / job_id)
        job = cls(
            job_id,
            folder,
            device,
            program,
            question,
            settings,
            created=now.isoformat(timespec="seconds"),
            mode=mode,
        )
        if jobs is not None:
            gradient = question.gradient
            folder.write("calibration.json", device.calibration())
            folder.write_program(program, None if gradient is None else gradient.point.numpy())
        # The record comes last: a folder that has one is complete enough to be resumed.
        job._write()
        return job

    @classmethod
    def resume(cls, job_id: str, jobs: str | Path = JOBS, device: Device | None = None) -> Job:
        """Find a job on disk; `result` then goes on where it stopped, and runs nothing twice.

        Args:
            job_id: as `Executor.submit` named it.
            jobs: the folder of all jobs.
            device: where it runs; by default what `Device.from_name` finds.

        Raises:
            UsageError: there is no such job, it is damaged, or belongs to another device.
        """
        folder = JobFolder.named(job_id, jobs)
        record = folder.read_record()
        program, point = folder.read_program(record)
        if device is None:
            device = Device.from_name(record["device"])
        elif device.name != record["device"]:
            raise UsageError(f"the job {job_id} belongs to {record['device']}, not {device.name}")
        settings = record["settings"]
        return cls(
            job_id,
            folder,
            device,
            program,
            Question.from_dict(
                record["question"], None if point is None else torch.from_numpy(point)
            ),
            Settings(**settings | {"mitigation": Mitigation(**settings["mitigation"])}),
            created=record["created"],
            submissions=[Submission.from_dict(value) for value in record["submissions"]],
        )

    @property
    def shots(self) -> tuple[int, int]:
        """How many were measured, and how many there are to be, over all rows and circuits."""
        wanted = sum(len(pub.values) for pub in self._program.pubs) * self.settings.shots
        return wanted - sum(int(rows.sum()) for rows in self._missing(pending=False)), wanted

    @property
    def finished(self) -> bool:
        """Whether everything was measured."""
        done, wanted = self.shots
        return done == wanted

    def submit(self) -> Job:
        """Send what is missing to IBM Quantum without waiting -> the job.

        Raises:
            UsageError: it cannot be reached, or refuses; `Job.resume` goes on with the rest.
        """
        with self._folder.lock():
            self._reload()
            while self._plan():
                self._send(len(self.submissions) - 1, fresh=True)
        return self

    def result(self, progress: Progress | None = None) -> Any:
        """Send what is missing, wait for it, and answer what was asked for.

        Args:
            progress: called with the numbers of rows that are done and of all rows.

        Returns:
            What the method of `Executor` returns that made the job.

        Raises:
            UsageError: IBM Quantum cannot be reached, refused or failed; what was measured is kept,
                and `Job.resume` goes on with the rest.
        """
        with self._folder.lock():
            self._reload()
            fruitless = 0
            while (number := self._open()) is not None or self._plan():
                if number is None:
                    self._send(len(self.submissions) - 1, fresh=True)
                    continue
                if self.submissions[number].run is None:
                    self._send(number, fresh=False)
                self._receive(number)
                fruitless = 0 if self._measured(number) else fruitless + 1
                if fruitless == _FRUITLESS:
                    raise UsageError(
                        f"{fruitless} submissions of the job {self.id} in a row gave nothing: see "
                        "them at quantum.cloud.ibm.com by the tags that 'qml job show' prints"
                    )
                if progress is not None:
                    progress(*self._rows())
        measured = [
            (piece, answer)
            for number in range(len(self.submissions))
            for piece, answer in self._measured(number)
        ]
        return self.question.answer(self._program, measured, self.settings.mitigation)

    def _open(self) -> int | None:
        """The first submission that may still give something."""
        for number, submission in enumerate(self.submissions):
            if submission.failure is None and self._answers(number) is None:
                return number
        return None

    def _plan(self) -> bool:
        """Write down the next submission; False if all that is missing was submitted."""
        missing = self._missing(pending=True)
        shots = max((int(rows.max()) for rows in missing if len(rows)), default=0)
        if not shots:
            return False
        pieces, room = [], self._link.rows_at_once(shots)
        for pub, rows in enumerate(missing):
            for start, stop in _runs(rows == shots):
                if room > 0:
                    pieces.append(Piece(pub, start, min(stop, start + room)))
                    room -= stop - start
        number = len(self.submissions)
        seed = int(np.random.SeedSequence((self.settings.seed, number)).generate_state(1)[0])
        self.submissions.append(Submission(f"{self.id}-{number}", tuple(pieces), shots, seed))
        self._write()
        return True

    def _missing(self, *, pending: bool) -> list[np.ndarray]:
        """Shots that each row of each pub lacks, those on their way counted or not."""
        found = [np.full(len(pub.values), self.settings.shots) for pub in self._program.pubs]
        for number, submission in enumerate(self.submissions):
            for piece, answer in self._measured(number):
                rows, shots = _size(answer, submission)
                found[piece.pub][piece.start : piece.start + rows] -= shots
            if pending and submission.failure is None and self._answers(number) is None:
                for pub, start, stop in submission.pieces:
                    found[pub][start:stop] -= submission.shots
        return [rows.clip(0) for rows in found]

    def _rows(self) -> tuple[int, int]:
        missing = self._missing(pending=False)
        return sum(int((rows == 0).sum()) for rows in missing), sum(len(rows) for rows in missing)

    def _answers(self, number: int) -> list[Answer] | None:
        if number not in self._known and (found := self._folder.read_answers(number)) is not None:
            self._known[number] = found
        return self._known.get(number)

    def _measured(self, number: int) -> list[Measured]:
        """Pieces of a submission and what they gave, no more rows than were asked for."""
        pieces = self.submissions[number].pieces
        return [
            (piece, {name: array[: piece.stop - piece.start] for name, array in answer.items()})
            for piece, answer in zip(pieces, self._answers(number) or [], strict=False)
            if all(array.size for array in answer.values())
        ]

    def _send(self, number: int, *, fresh: bool) -> None:
        """Start a submission, unless the service has it already.

        Args:
            number: which.
            fresh: whether nobody can have sent it yet.
        """
        submission, tries = self.submissions[number], 0 if fresh else 1

        def send() -> str:
            nonlocal tries
            tries += 1
            # An earlier try may have arrived although its answer did not.
            found = self._link.find(submission.tag) if tries > 1 else None
            return found or self._link.submit(submission)

        self._replace(number, run=self._asked(send))

    def _receive(self, number: int) -> None:
        """Wait for a submission and keep what it gave."""
        submission = self.submissions[number]
        try:
            answers = self._asked(lambda: self._link.answers(submission))
            if _short(answers, submission):  # asking again costs nothing, measuring again does
                answers = self._asked(lambda: self._link.answers(submission))
        except JobFailed as error:
            self._replace(number, failure=str(error))
            raise
        self._folder.write_answers(number, answers)
        self._known[number] = answers

    def _asked(self, request: Callable[[], T]) -> T:
        """What the link gives, tried again while it fails for a while."""
        try:
            return patiently(request)
        except Exception as error:
            if self.device.is_simulated:
                raise
            raise told(error, self.device, self.id) from None

    def _replace(self, number: int, **changes: Any) -> None:
        self.submissions[number] = replace(self.submissions[number], **changes)
        self._write()

    def _write(self) -> None:
        """Write the record; see `compile.execution.records`."""
        self._folder.write_record(
            {
                "schema": SCHEMA,
                "id": self.id,
                "created": self._created,
                "device": self.device.name,
                "primitive": self._program.primitive,
                "strings": self._program.strings,
                "settings": asdict(self.settings),
                "question": self.question.to_dict(),
                "submissions": [asdict(submission) for submission in self.submissions],
            }
        )

    def _reload(self) -> None:
        """Take over what another process may have done since this job was read."""
        if (record := self._folder.reread()) is not None:
            self.submissions = [Submission.from_dict(value) for value in record["submissions"]]


def _link(device: Device, program: Program, settings: Settings, mode: Any) -> Link:
    if settings.simulator == "qsim":
        return Qsim(device, program, settings.mitigation)
    if device.is_simulated:
        return Aer(device, program, settings.mitigation, settings.primitives)
    return Cloud(
        device, program, settings.mitigation, settings.primitives, mode, settings.max_seconds
    )


def _runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """Where an array is True: pairs (start, stop)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _size(answer: Answer, submission: Submission) -> tuple[int, int]:
    """Rows of an answer, and shots of each."""
    if "bits" in answer:
        return answer["bits"].shape[0], answer["bits"].shape[1]
    return len(answer["evs"]), submission.shots


def _short(answers: list[Answer], submission: Submission) -> bool:
    if len(answers) < len(submission.pieces):
        return True
    return any(
        rows < piece.stop - piece.start or shots < submission.shots
        for piece, answer in zip(submission.pieces, answers, strict=False)
        for rows, shots in [_size(answer, submission)]
    )
