"""Where programs run: at IBM Quantum or on this computer, by either generation of primitives.

qiskit-ibm-runtime has primitives that prepare and evaluate on this computer (`executor_sampler`,
`executor_estimator`) and the older ones that leave it to the service (`SamplerV2`, `EstimatorV2`,
deprecated since 0.50). Both take the same pubs and, for what is used here, the same options.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from compile.device import Device
from compile.execution.mitigation import Mitigation
from compile.execution.programs import Program
from qsim.errors import UsageError, need

GENERATIONS = ("client", "service")
_MOST_EXECUTIONS = 10_000_000  # that IBM Quantum takes in one job


class Piece(NamedTuple):
    """Some rows of a pub."""

    pub: int
    start: int
    stop: int


Answer = dict[str, np.ndarray]
"""Of a piece: "bits" uint8 [rows, shots, bytes], as in a BitArray, or "evs" and "stds", float64
[rows, strings]; fewer rows and shots than asked for where the service gave no more."""


@dataclass(frozen=True)
class Submission:
    """Rows that are sent together.

    Attributes:
        tag: marks it at the service.
        pieces: which rows of which pubs.
        shots: for each of them.
        seed: of a simulation.
        run: its id at the service; None until that is known.
        failure: why it gave nothing; None as long as it may give something.
    """

    tag: str
    pieces: tuple[Piece, ...]
    shots: int
    seed: int
    run: str | None = None
    failure: str | None = None

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Submission:
        """The inverse of `dataclasses.asdict`."""
        return cls(**value | {"pieces": tuple(Piece(*piece) for piece in value["pieces"])})


class Link(Protocol):
    """A place where programs run."""

    def rows_at_once(self, shots: int) -> int:
        """Most rows in one submission."""

    def submit(self, submission: Submission) -> str:
        """Start it -> its id there."""

    def find(self, tag: str) -> str | None:
        """The id of a run with that tag that was started and did not fail, whoever started it."""

    def answers(self, submission: Submission) -> list[Answer]:
        """Wait for it and return an answer for each piece; fewer if some are missing."""


class Cloud:
    """A device at IBM Quantum.

    Args:
        device: a real one.
        program: what runs.
        mitigation: is done there.
        generation: of the primitives, "client" or "service".
        mode: an open session or batch; by default every run queues on its own.
        max_seconds: after which IBM Quantum stops a run.

    Raises:
        UsageError: for mitigation that this generation of primitives would not do.
    """

    def __init__(
        self,
        device: Device,
        program: Program,
        mitigation: Mitigation,
        generation: str = "client",
        mode: Any = None,
        max_seconds: float | None = None,
    ) -> None:
        if mitigation.pec and generation == "client":
            raise UsageError(
                f"pec takes the noise that IBM Quantum learns on {device.name}, which the newer "
                "primitives leave to the caller: take primitives='service'"
            )
        self._device, self._program = device, program
        self._mode, self._generation = mode or device.backend, generation
        self._options = mitigation.options()
        if max_seconds is not None:
            self._options["max_execution_time"] = max(1, int(max_seconds))

    def rows_at_once(self, shots: int) -> int:
        return max(1, _MOST_EXECUTIONS // shots)

    def submit(self, submission: Submission) -> str:
        options = self._options | {
            "default_shots": submission.shots,
            "environment": {"job_tags": [submission.tag]},
        }
        runner = primitive(self._program.primitive, self._generation, self._mode, options)
        return str(runner.run(pubs_of(self._program, submission.pieces)).job_id())

    def find(self, tag: str) -> str | None:
        jobs = self._device.backend.service.jobs(job_tags=[tag], limit=None)
        return next((str(job.job_id()) for job in jobs if not _failed(job)), None)

    def answers(self, submission: Submission) -> list[Answer]:
        return read_answers(self._device.backend.service.job(submission.run).result())


def primitive(kind: str, generation: str, mode: Any, options: dict[str, Any]) -> Any:
    """A primitive of that generation of qiskit-ibm-runtime."""
    runtime = need("qiskit_ibm_runtime", extra="ibm", purpose="running circuits on a device")
    if generation == "service":
        with warnings.catch_warnings():
            # Chosen on purpose, and served as long as they are there.
            warnings.simplefilter("ignore", category=DeprecationWarning)
            older = {"sampler": runtime.SamplerV2, "estimator": runtime.EstimatorV2}
            return older[kind](mode=mode, options=options)
    from qiskit_ibm_runtime.executor_estimator import Estimator
    from qiskit_ibm_runtime.executor_sampler import Sampler

    return {"sampler": Sampler, "estimator": Estimator}[kind](mode=mode, options=options)


def pubs_of(program: Program, pieces: Iterable[Piece]) -> list[tuple[Any, ...]]:
    """What a primitive takes."""
    from qiskit.quantum_info import SparsePauliOp

    found: list[tuple[Any, ...]] = []
    for pub, start, stop in pieces:
        circuit, rows = program.pubs[pub].circuit, program.pubs[pub].values[start:stop]
        observables = [
            [SparsePauliOp.from_sparse_list([(letters, where, 1.0)], circuit.num_qubits)]
            for letters, where in program.strings
        ]
        found.append((circuit, observables, rows) if observables else (circuit, rows))
    return found


def read_answers(result: Any) -> list[Answer]:
    """What a primitive found, an answer for each pub."""
    found = []
    for pub in result:
        if "c" in pub.data:
            bits = pub.data.c.array  # without rows where the circuit has no parameters
            found.append({"bits": bits.reshape(-1, *bits.shape[-2:])})
        else:
            found.append({"evs": np.asarray(pub.data.evs).T, "stds": np.asarray(pub.data.stds).T})
    return found


def _failed(job: Any) -> bool:
    return str(getattr(status := job.status(), "name", status)) in ("ERROR", "CANCELLED")
