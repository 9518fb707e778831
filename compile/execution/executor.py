"""Running compiled circuits: expectation values, samples and gradients, by any backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from torch import Tensor

from compile.checks import check_whole
from compile.compiled import Compiled
from compile.device import Device
from compile.execution.answers import Gradient, Question, check_rule
from compile.execution.frequencies import frequencies
from compile.execution.jobs import JOBS, Job, Progress, Settings
from compile.execution.links import GENERATIONS
from compile.execution.mitigation import Mitigation
from compile.execution.programs import (
    Program,
    check_compiled,
    check_decoupling,
    columns,
    expval_program,
    sample_program,
)
from compile.execution.usage import Usage, estimate_usage, usage_of
from compile.outages import patiently
from qsim.errors import UsageError, need
from qsim.observables import Observables, check_observables
from qsim.results import layout

if TYPE_CHECKING:
    from qiskit.providers import BackendV2

MODES = ("session", "batch")
_SIMULATORS = ("aer", "qsim")


class Executor:
    """Runs compiled circuits on one device, simulated here or at IBM Quantum.

        with Executor(device, mitigation=Mitigation(readout="trex"), mode="session") as executor:
            values = executor.expval(compiled, [PauliString("ZZI")], inputs=inputs)

    Args:
        device: a Device, or a backend of Qiskit.
        mitigation: of errors; what the backend would ignore is refused.
        shots: for each sample in each basis.
        seed: of simulations and random directions; the same seed gives the same results.
        primitives: "client" for those of qiskit-ibm-runtime that prepare and evaluate on this
            computer, "service" for the older SamplerV2 and EstimatorV2.
        simulator: "qsim" or "aer", for a simulated device; by default qsim, which is quicker, but
            for mitigation and primitives that it does not have.
        mode: "session" or "batch" keeps a real device between jobs; inside a `with` block, at
            whose end, however it is left, it is closed.
        jobs: the folder that jobs are kept in; by default "jobs" for a real device, and none for a
            simulated one, which nothing is lost with.
        max_seconds: of a quantum computer's time, for each job: what is estimated to take longer is
            refused, and what takes longer is stopped.

    Raises:
        UsageError: for other options.
    """

    def __init__(
        self,
        device: Device | BackendV2,
        mitigation: Mitigation | None = None,
        *,
        shots: int = 8192,
        seed: int = 0,
        primitives: str = "client",
        simulator: str | None = None,
        mode: str | None = None,
        jobs: str | Path | None = None,
        max_seconds: float | None = None,
    ) -> None:
        need("qiskit_ibm_runtime", extra="ibm", purpose="running a circuit on a device")
        self.device = device if isinstance(device, Device) else Device(device)
        check_whole("the number of shots", shots, 1)
        check_whole("the seed", seed, 0)
        _check_choice("primitives", primitives, GENERATIONS)
        _check_choice("simulator", simulator, (None, *_SIMULATORS))
        _check_choice("mode", mode, (None, *MODES))
        if max_seconds is not None and not max_seconds > 0:
            raise UsageError(f"max_seconds is positive, not {max_seconds}")
        mitigation, simulated = mitigation or Mitigation(), self.device.is_simulated
        if simulator and not simulated:
            raise UsageError(f"{self.device.name} is no simulated device: leave out simulator")
        if simulator == "qsim" and primitives == "service":
            raise UsageError(
                "primitives='service' would be ignored by simulator='qsim': take simulator='aer'"
            )
        if simulated and simulator is None:
            simulator = "aer" if mitigation.remote or primitives == "service" else "qsim"
        self._jobs = JOBS if jobs is None and not simulated else jobs
        self._mode, self._session = mode, None
        self._settings = Settings(
            shots,
            seed,
            mitigation,
            primitives,
            simulator,
            max_seconds,
        )

    def __enter__(self) -> Executor:
        if self._mode is not None:
            import qiskit_ibm_runtime

            kind = {"session": qiskit_ibm_runtime.Session, "batch": qiskit_ibm_runtime.Batch}
            self._session = kind[self._mode](backend=self.device.backend)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            patiently(session.close)
        except Exception:
            sentence = (
                f"the {self._mode} {session.session_id} could not be closed and may be charged for "
                "until its time is over: close it at quantum.cloud.ibm.com"
            )
            if error is None:
                raise UsageError(sentence) from None
            error.add_note(sentence)

    def expval(
        self,
        compiled: Compiled,
        observables: Observables = None,
        weights: Tensor | None = None,
        inputs: Tensor | None = None,
        *,
        progress: Progress | None = None,
    ) -> Tensor:
        """Expectation values of observables of the logical qubits.

        Args:
            compiled: circuit, compiled for this device.
            observables: PauliString or PauliSum; Z of every logical qubit by default.
            weights: [num_weights], where the circuit has open ones.
            inputs: [batch, features], or [features] for one sample.
            progress: called with the numbers of rows that are done and of all rows.

        Returns:
            float32 [batch, observables], or [observables] where inputs have no batch.

        Raises:
            UsageError: a circuit compiled for another device, weights or inputs that do not fit,
                mitigation that would be ignored, more than `max_seconds`, or IBM Quantum cannot be
                reached or fails; see `Job.result`.
        """
        return self.submit(compiled, observables, weights, inputs).result(progress)

    def submit(
        self,
        compiled: Compiled,
        observables: Observables = None,
        weights: Tensor | None = None,
        inputs: Tensor | None = None,
    ) -> Job:
        """Send to IBM Quantum what `expval` waits for -> a job, whose `result` it is."""
        rows = self._columns(compiled, weights, inputs)
        measured = check_observables(observables, compiled.num_qubits)
        question = Question(compiled.num_qubits, _samples(inputs), measured)
        return self._submit(compiled, question, rows)

    def sample(
        self,
        compiled: Compiled,
        weights: Tensor | None = None,
        inputs: Tensor | None = None,
        *,
        progress: Progress | None = None,
    ) -> dict[str, int] | list[dict[str, int]]:
        """How often each bitstring of the logical qubits is read, most frequent first.

        Args as for `expval`. Qubit 0 is the rightmost bit.

        Raises:
            UsageError: as `expval`, and for mitigation that only expectation values have.
        """
        mitigation = self._settings.mitigation
        corrects = [n for n in ("readout", "zne", "pec") if getattr(mitigation, n)]
        if corrects:
            raise UsageError(
                f"{', '.join(corrects)} would be ignored: samples are what was read, and only "
                "expectation values are corrected; take an Executor without, or expval"
            )
        rows = self._columns(compiled, weights, inputs)
        question = Question(compiled.num_qubits, _samples(inputs))
        job = self._create(sample_program(compiled, rows), question, bases=1)
        result: dict[str, int] | list[dict[str, int]] = job.result(progress)
        return result

    def gradient(
        self,
        compiled: Compiled,
        observables: Observables = None,
        weights: Tensor | None = None,
        inputs: Tensor | None = None,
        *,
        method: str = "shift",
        wrt: Sequence[int] | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Derivatives of expectation values by the weights, from one job.

        All shifted circuits travel in one pub for each basis.

        Args:
            compiled, observables, weights, inputs, progress: as for `expval`.
            method: "shift", exact up to shot noise whatever gates share a weight
                (arXiv:2107.12390); "spsa", from two evaluations; or "finite-difference".
            wrt: weights by which to derive; all by default.
            seed: of the directions of "spsa"; by default that of the executor.

        Returns:
            float32 [batch, observables, len(wrt)], or without batch where inputs have none.

        Raises:
            UsageError: as `expval`, and for other methods and weights.
        """
        check_rule(method)
        point = self._columns(compiled, weights, inputs)
        measured = check_observables(observables, compiled.num_qubits)
        wanted = tuple(range(compiled.num_weights) if wrt is None else wrt)
        for weight in wanted:
            if not 0 <= weight < compiled.num_weights:
                raise UsageError(
                    f"there is no open weight {weight}: the circuit has {compiled.num_weights}"
                )
        found = frequencies(compiled) if method == "shift" else ()
        directions = self._settings.seed if seed is None else seed
        gradient = Gradient(method, point, wanted, found, directions)
        question = Question(compiled.num_qubits, _samples(inputs), measured, gradient)
        rows = gradient.rows(len(measured))
        result: Tensor = self._submit(compiled, question, rows).result(progress)
        return result

    def estimate_usage(
        self, compiled: Compiled, observables: Observables = None, samples: int = 1
    ) -> Usage:
        """How long a quantum computer would be busy with `expval`: see `estimate_usage`."""
        measured = check_observables(observables, compiled.num_qubits)
        bases = max(1, len(layout(measured).strings.settings))
        shots, mitigation = self._settings.shots, self._settings.mitigation
        return estimate_usage(compiled, shots, samples=samples, bases=bases, mitigation=mitigation)

    def _columns(self, compiled: Compiled, weights: Tensor | None, inputs: Tensor | None) -> Tensor:
        check_compiled(compiled, self.device)
        check_decoupling(compiled, self._settings.mitigation)
        return columns(compiled, weights, inputs)

    def _submit(self, compiled: Compiled, question: Question, rows: Tensor) -> Job:
        strings = question.strings
        mitigation = self._settings.mitigation
        program = expval_program(compiled, self.device, strings, rows, mitigation)
        return self._create(program, question, len(strings.settings))

    def _create(self, program: Program, question: Question, bases: int) -> Job:
        """A job on its way, unless it would take too long."""
        if self._mode is not None and self._session is None:
            raise UsageError(
                f"a {self._mode} is closed at the end of a with block: "
                f"write 'with Executor(..., mode={self._mode!r}) as executor:'"
            )
        settings, limit = self._settings, self._settings.max_seconds
        if limit is not None:
            usage = usage_of(program, settings.shots, self.device, settings.mitigation, bases)
            if usage.seconds > limit:
                raise UsageError(
                    f"this would take {usage}, more than max_seconds={limit:g}: "
                    "ask for fewer shots or samples, or raise it"
                )
        job = Job.create(
            self.device, program, question, settings, jobs=self._jobs, mode=self._session
        )
        return job.submit()


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name} is one of {', '.join(map(repr, choices))}, not {value!r}")


def _samples(inputs: Tensor | None) -> int | None:
    return None if inputs is None or inputs.dim() == 1 else len(inputs)
