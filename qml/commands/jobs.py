"""``qml run-circuit`` and ``qml job``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from qml.commands import output

if TYPE_CHECKING:
    from torch import Tensor

    from compile import Job

_MOST_BITSTRINGS = 16  # that are shown
_Jobs = Annotated[Path, typer.Option("--jobs", help="The folder of jobs.")]
_DEFAULT_JOBS = Path("jobs")

app = typer.Typer(
    help="Jobs on disk: list them, look at one, go on with one.", no_args_is_help=True
)


def run_circuit(
    file: Annotated[Path, typer.Argument(help="A circuit: OpenQASM 2 or 3 (.qasm), or .json.")],
    device: Annotated[
        str, typer.Option(help="A snapshot, a saved calibration (.json), or a real device.")
    ] = "FakeQuitoV2",
    shots: Annotated[int, typer.Option(min=1, help="In each basis.")] = 8192,
    observable: Annotated[
        list[str] | None,
        typer.Option(help="A Pauli string such as ZZI, qubit 0 last; give it once or more."),
    ] = None,
    counts: Annotated[bool, typer.Option(help="Show what was read instead.")] = False,
    readout: Annotated[str | None, typer.Option(help="Readout errors by m3 or trex.")] = None,
    dd: Annotated[str | None, typer.Option(help="Decoupling by XX, XpXm or XY4.")] = None,
    twirling: Annotated[bool, typer.Option(help="Twirl gates and measurements.")] = False,
    zne: Annotated[str | None, typer.Option(help="Noise factors, such as 1,3,5.")] = None,
    pec: Annotated[bool, typer.Option(help="Cancel noise probabilistically.")] = False,
    primitives: Annotated[str, typer.Option(help="client or service.")] = "client",
    simulator: Annotated[
        str | None,
        typer.Option(help="qsim or aer, for a snapshot.", show_default="qsim, where it has all"),
    ] = None,
    effort: Annotated[str, typer.Option(help="Of compiling: fast, balanced or best.")] = "fast",
    seed: Annotated[int, typer.Option(min=0, help="Of compiling and simulation.")] = 0,
    max_seconds: Annotated[
        float | None, typer.Option(help="Refuse what takes a quantum computer longer.")
    ] = None,
    jobs: Annotated[
        Path | None,
        typer.Option(help="Keep the job there.", show_default="jobs, for a real device"),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say how long a quantum computer would take.")
    ] = False,
) -> None:
    """Compile a circuit, run it on a device and show expectation values, or what was read."""
    from qsim.errors import UsageError

    if counts and observable:
        raise UsageError("--counts shows what was read: leave out --observable")
    console = output.console()
    with console.status("Loading packages, circuit and device"):
        from compile import Device, Executor, Mitigation, compile
        from qsim import PauliString
        from qsim.serialization import load_circuit

        known = Device.load(device) if device.endswith(".json") else Device.from_name(device)
        circuit = load_circuit(file)
        if circuit.parameters or circuit.num_inputs or circuit.num_weights:
            raise UsageError(
                f"{str(file)!r} has open parameters: write numbers in their place, or run it by "
                "compile.Executor, which takes their values"
            )
        compiled = compile(circuit, known, effort=effort, seed=seed)
    mitigation = Mitigation(readout, dd, twirling, _factors(zne), pec)
    executor = Executor(
        known,
        mitigation,
        shots=shots,
        seed=seed,
        primitives=primitives,
        simulator=simulator,
        jobs=jobs,
        max_seconds=max_seconds,
    )
    strings = [PauliString(label) for label in observable] if observable else None
    if estimate:
        usage = executor.estimate_usage(compiled, strings)
        console.print(str(usage), highlight=False, soft_wrap=True)
        return
    with _bar(console) as progress:
        if counts:
            result: Any = executor.sample(compiled, progress=progress)
        else:
            result = executor.expval(compiled, strings, progress=progress)
    _show(console, result, observable)


@app.command("list")
def list_jobs(jobs: _Jobs = _DEFAULT_JOBS) -> None:
    """List the jobs in a folder, the latest last."""
    from compile.execution.records import JobFolder, job_ids

    if not (known := job_ids(jobs)):
        text = f"No jobs in {str(jobs)!r}: run-circuit --jobs keeps them, for real devices always."
        output.console().print(text, markup=False, highlight=False)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("Job", "Device", "Asked for", "Submissions", "Over"):
        table.add_column(title, no_wrap=True)
    for job_id in known:
        folder = JobFolder.named(job_id, jobs)
        record = folder.read_record()
        over = [folder.read_answers(n) is not None for n in range(len(record["submissions"]))]
        asked = _asked(record["question"])
        table.add_row(job_id, record["device"], asked, str(len(over)), str(sum(over)))
    output.console().print(table)


@app.command()
def show(
    job_id: Annotated[str, typer.Argument(metavar="JOB")], jobs: _Jobs = _DEFAULT_JOBS
) -> None:
    """Show what a job asked for, and what became of its submissions."""
    from compile.execution.records import JobFolder

    folder = JobFolder.named(job_id, jobs)
    record = folder.read_record()
    console = output.console()
    settings = record["settings"]
    for title, text in (
        ("Job", record["id"]),
        ("Created", record["created"]),
        ("Device", record["device"]),
        ("Asked for", _asked(record["question"])),
        ("Shots", str(settings["shots"])),
        ("Mitigation", ", ".join(f"{k}={v}" for k, v in settings["mitigation"].items() if v)),
    ):
        console.print(f"{title:11} {text or 'none'}", markup=False, highlight=False)
    table = Table(box=box.SIMPLE_HEAD)
    for title in ("Tag", "Run", "Rows", "Shots", "State"):
        table.add_column(title, overflow="fold")
    for number, submission in enumerate(record["submissions"]):
        rows = sum(stop - start for _, start, stop in submission["pieces"])
        over = folder.read_answers(number) is not None
        state = submission["failure"] or ("over" if over else "under way")
        run = submission["run"] or ""
        table.add_row(submission["tag"], run, str(rows), str(submission["shots"]), state)
    console.print(table)


@app.command()
def resume(
    job_id: Annotated[str, typer.Argument(metavar="JOB")], jobs: _Jobs = _DEFAULT_JOBS
) -> None:
    """Go on with a job where it stopped, and show its result; nothing runs twice."""
    console = output.console()
    with console.status("Loading packages, job and device"):
        from compile import Job

        job = Job.resume(job_id, jobs)
    with _bar(console) as progress:
        result = job.result(progress)
    _show(console, result, _labels(job))


def _factors(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        from qsim.errors import UsageError

        raise UsageError(f"--zne takes numbers such as 1,3,5, not {text!r}") from None


def _labels(job: Job) -> list[str] | None:
    observables = job.question.observables
    return None if observables is None else [str(getattr(o, "label", o)) for o in observables]


def _asked(question: dict[str, Any]) -> str:
    observables = question["observables"]
    if observables is None:
        return "samples"
    what = "gradient" if question["gradient"] else "values"
    return f"{what} of {len(observables)} observables"


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int, int], object]]:
    """Progress in rows on the console, as the callback that jobs take."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("Rows", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _show(console: Console, result: Any, labels: list[str] | None) -> None:
    """Counts, or expectation values by their observable."""
    if isinstance(result, dict):
        _show_counts(console, result)
    elif isinstance(result, list):
        for number, row in enumerate(result):
            console.print(f"Sample {number}", highlight=False)
            _show_counts(console, row)
    else:
        _show_values(console, result, labels)


def _show_counts(console: Console, counts: dict[str, int]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Read")
    table.add_column("Times", justify="right")
    for bits, number in list(counts.items())[:_MOST_BITSTRINGS]:
        table.add_row(bits, str(number))
    console.print(table)
    if len(counts) > _MOST_BITSTRINGS:
        console.print(f"and {len(counts) - _MOST_BITSTRINGS} rarer ones", highlight=False)


def _show_values(console: Console, values: Tensor, labels: list[str] | None) -> None:
    if values.dim() > 1:
        console.print(str(values), markup=False, highlight=False)
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Observable")
    table.add_column("Value", justify="right")
    for k, value in enumerate(values.tolist()):
        table.add_row(labels[k] if labels else f"Z on qubit {k}", f"{value:+.4f}")
    console.print(table)
