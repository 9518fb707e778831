"""Jobs: whatever fails on the way, every shot counts once, and no secret is told."""

import json
import logging
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import IBMRuntimeError, RuntimeJobFailureError
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import ReadTimeout

import compile.execution.jobs as jobs
from compile import Compiled, Device, Executor, Job
from compile.execution.answers import Question
from compile.execution.jobs import Settings
from compile.execution.links import Answer, Submission
from compile.execution.mitigation import Mitigation
from compile.execution.programs import sample_program
from qsim import UsageError

INPUTS = torch.tensor([[0.0], [torch.pi]])
SHOTS = 300


def http(status: int) -> Exception:
    """As the client wraps an answer of the service."""
    try:
        try:
            raise RequestsApiError(f"{status} at https://nowhere", status)
        except RequestsApiError as error:
            raise IBMRuntimeError(f"Failed to run program: {error}") from None
    except IBMRuntimeError as wrapped:
        return wrapped


def signs(values: torch.Tensor) -> list[list[float]]:
    return values.sign().tolist()


FAULTS = [
    NoConnection("dropped"),
    ReadTimeout("late"),
    http(429),
    http(503),
    ConnectionResetError(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("request_kind", ["run", "result"])
def test_passing_faults_are_waited_for(
    service: Any, cloud: Device, compiled: Compiled, fault: Exception, place: str, request_kind: str
) -> None:
    getattr(service, place)[request_kind].append(fault)
    values = Executor(cloud, shots=SHOTS).expval(compiled, inputs=INPUTS)
    assert signs(values) == [[1, 1], [-1, -1]]
    assert len(service.ran()) == 1  # also where the answer to submitting it was lost


def test_a_kill_between_submitting_and_saving(
    service: Any, cloud: Device, tmp_path: Path, compiled: Compiled
) -> None:
    fakes = str(Path(__file__).parent / "conftest.py")
    script = f"""
import importlib.util, os, pathlib, torch
spec = importlib.util.spec_from_file_location("cloud", {fakes!r})
fakes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fakes)
service = fakes.FakeService(pathlib.Path("server"))
service.after["run"].append(lambda: os.kill(os.getpid(), 9))
device = fakes.cloud_device(service)
circuit = fakes.Circuit(2).rx(fakes.Input(0), 0).cx(0, 1)
inputs = torch.tensor([[0.0], [torch.pi]])
fakes.Executor(device, shots={SHOTS}).expval(fakes.compile(circuit, device), inputs=inputs)
"""
    killed = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    (folder,) = (tmp_path / "jobs").iterdir()
    record = json.loads((folder / "job.json").read_text())
    assert [submission["run"] for submission in record["submissions"]] == [None]
    job = Job.resume(folder.name, device=cloud)
    assert signs(job.result()) == [[1, 1], [-1, -1]]
    assert len(service.ran()) == 1
    assert job.finished
    again = Job.resume(folder.name, device=cloud)
    assert torch.equal(again.result(), job.result())
    assert len(service.ran()) == 1


def test_no_network_keeps_the_job(service: Any, cloud: Device, compiled: Compiled) -> None:
    service.before["result"] = [NoConnection("down")] * 4
    with pytest.raises(UsageError, match="cannot be reached: what was measured is kept") as caught:
        Executor(cloud, shots=SHOTS).expval(compiled, inputs=INPUTS)
    job_id = str(caught.value).split("'")[1]
    assert signs(Job.resume(job_id, device=cloud).result()) == [[1, 1], [-1, -1]]
    assert len(service.ran()) == 1


def test_a_failed_run_is_told_and_submitted_again(
    service: Any, cloud: Device, compiled: Compiled
) -> None:
    service.before["result"] = [RuntimeJobFailureError("Unable to retrieve job result. Too hot.")]
    with pytest.raises(UsageError, match=r"ibm_quito failed, because .*Too hot"):
        Executor(cloud, shots=SHOTS).expval(compiled, inputs=INPUTS)
    (folder,) = Path("jobs").iterdir()
    job = Job.resume(folder.name, device=cloud)
    assert job.submissions[0].failure is not None
    assert signs(job.result()) == [[1, 1], [-1, -1]]
    assert len(service.ran()) == 2


def cut(rows: int, shots: int) -> Callable[[Any], Any]:
    def change(result: Any) -> Any:
        array = result[0].data.c.array[:rows, :shots]
        return [SimpleNamespace(data=_Data(c=SimpleNamespace(array=array)))]

    return change


class _Data(SimpleNamespace):
    def __contains__(self, name: str) -> bool:
        return hasattr(self, name)


def test_truncated_results(service: Any, cloud: Device, compiled: Compiled) -> None:
    service.cut = [cut(1, 200), cut(1, 200), cut(2, 300), cut(2, 300)]
    executor = Executor(cloud, shots=SHOTS)
    counts = executor.sample(compiled, inputs=INPUTS)
    assert [sum(row.values()) for row in counts] == [SHOTS, SHOTS]
    (folder,) = Path("jobs").iterdir()
    sent = Job.resume(folder.name, device=cloud).submissions
    # First all; then the row that is missing; then the shots that the first row lacks.
    assert [(s.shots, [tuple(piece) for piece in s.pieces]) for s in sent] == [
        (300, [(0, 0, 2)]),
        (300, [(0, 1, 2)]),
        (100, [(0, 0, 1)]),
    ]
    assert service.requests.count("result") == 4  # a short result is asked for once more


def test_nothing_over_and_over(service: Any, cloud: Device, compiled: Compiled) -> None:
    service.cut = [lambda _: []] * 6
    with pytest.raises(UsageError, match=r"3 submissions of the job \S+ in a row gave nothing"):
        Executor(cloud, shots=SHOTS).sample(compiled, inputs=INPUTS)


class Counter:
    """A service whose shots are numbers that never occur twice, and which fails as it is told."""

    def __init__(self, faults: list[int], rows: int) -> None:
        self.faults, self.rows, self.given = faults, rows, 0
        self.runs: dict[str, Submission] = {}

    def rows_at_once(self, shots: int) -> int:
        return self.rows

    def fault(self) -> int:
        return self.faults.pop() if self.faults else 0

    def submit(self, submission: Submission) -> str:
        fault = self.fault()
        if fault % 4 == 1:
            raise NoConnection("before")
        assert submission.tag not in self.runs
        self.runs[submission.tag] = submission
        if fault % 4 == 2:
            raise NoConnection("after")
        return submission.tag

    def find(self, tag: str) -> str | None:
        return tag if tag in self.runs else None

    def answers(self, submission: Submission) -> list[Answer]:
        fault = self.fault()
        if fault % 4 == 1:
            raise ReadTimeout
        if fault % 4 == 3:
            raise RuntimeJobFailureError("broken")
        found = []
        for piece in submission.pieces:
            rows, shots = piece.stop - piece.start, submission.shots
            numbers = np.arange(rows * shots, dtype=">u4") + self.given
            self.given += numbers.size
            bits = numbers.view(np.uint8).reshape(rows, shots, 4)
            if fault % 4 == 2:
                bits = bits[: fault // 4 % (rows + 1), : max(1, fault // 16 % (shots + 1))]
            found.append({"bits": bits})
        return found[: fault % 3] if fault % 7 == 6 else found


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    faults=st.lists(st.integers(0, 200), max_size=12),
    rows=st.integers(1, 5),
    at_once=st.integers(1, 4),
    shots=st.integers(1, 20),
)
def test_every_shot_counts_once(
    cloud: Device,
    compiled: Compiled,
    tmp_path: Path,
    faults: list[int],
    rows: int,
    at_once: int,
    shots: int,
) -> None:
    counter = Counter(list(faults), at_once)
    original, jobs._link = jobs._link, lambda *_: counter  # type: ignore[assignment]
    try:
        program = sample_program(compiled, torch.zeros(rows, 1, dtype=torch.float64))
        asked = Settings(shots, 0, Mitigation())
        job_id = Job.create(cloud, program, Question(32, rows), asked, jobs=tmp_path / "jobs").id
        counts: Any = []
        for _ in range(1 + len(faults)):  # each fault ends one try at most
            job = Job.resume(job_id, tmp_path / "jobs", cloud)
            try:
                counts = job.result()
                break
            except UsageError:
                assert job.shots[0] < job.shots[1]
    finally:
        jobs._link = original
    seen = [bits for row in counts for bits in row]
    assert [sum(row.values()) for row in counts] == [shots] * rows
    assert len(set(seen)) == rows * shots  # none twice
    assert job.finished


def test_a_simulation_goes_on_after_a_kill(quito: Device, tmp_path: Path) -> None:
    from compile import compile
    from qsim import Circuit, Input

    circuit = compile(Circuit(2).rx(Input(0), 0).cx(0, 1), quito)
    inputs = torch.linspace(0, 3, 70)[:, None]
    executor = Executor(quito, shots=50, jobs=tmp_path)

    def stop(done: int, rows: int) -> None:
        if done >= 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.expval(circuit, inputs=inputs, progress=stop)
    (folder,) = tmp_path.iterdir()
    kept = (folder / "results" / "0.safetensors").read_bytes()
    job = Job.resume(folder.name, tmp_path)
    assert 0 < job.shots[0] < job.shots[1] == 70 * 50
    assert torch.equal(job.result(), Executor(quito, shots=50).expval(circuit, inputs=inputs))
    assert (folder / "results" / "0.safetensors").read_bytes() == kept


def test_the_token_is_nowhere(
    service: Any,
    cloud: Device,
    compiled: Compiled,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    token = service.active_account()["token"]
    told = []
    for error in (
        RuntimeJobFailureError(f"Unable to retrieve job result: Bearer {token} is odd"),
        ValueError(f"apikey={token}"),
        NoConnection(f"https://nowhere?token={token}"),
    ):
        service.before["result"] = [error] * 4
        with pytest.raises(UsageError) as caught:
            Executor(cloud, shots=10).expval(compiled, inputs=INPUTS)
        told.append("".join(traceback.format_exception(caught.value)))
    captured = capsys.readouterr()
    files = [path.read_bytes() for path in (tmp_path / "jobs").rglob("*") if path.is_file()]
    assert len(files) > 9
    assert not any(token.encode() in content for content in files)
    assert not any(token in text for text in [*told, caplog.text, captured.out, captured.err])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "job.json").write_text("{"), "damaged .*no JSON from line 1"),
        (lambda folder: (folder / "job.json").write_text('{"schema": 99}'), "has schema 99"),
        (lambda folder: (folder / "job.json").write_text("[]"), "is no record of a job"),
        (lambda folder: (folder / "circuits.qpy").write_bytes(b"x"), "holds no circuits"),
        (lambda folder: (folder / "values.safetensors").write_bytes(b"x"), "holds no tensors"),
        (lambda folder: (folder / "circuits.qpy").unlink(), "cannot read"),
    ],
)
def test_damaged_jobs(
    cloud: Device, compiled: Compiled, damage: Callable[[Path], Any], words: str
) -> None:
    Executor(cloud, shots=10).submit(compiled, inputs=INPUTS)
    (folder,) = Path("jobs").iterdir()
    damage(folder)
    with pytest.raises(UsageError, match=words):
        Job.resume(folder.name, device=cloud)


def test_jobs_that_are_not_there(quito: Device, cloud: Device, compiled: Compiled) -> None:
    with pytest.raises(UsageError, match="no job 'x' in 'jobs': 'qml job list'"):
        Job.resume("x")
    job = Executor(cloud, shots=10).submit(compiled, inputs=INPUTS)
    with pytest.raises(UsageError, match="belongs to ibm_quito, not fake_quito"):
        Job.resume(job.id, device=quito)
    with job._folder.lock(), pytest.raises(UsageError, match="another process is working on"):
        Job.resume(job.id, device=cloud).result()
