"""The command line ``qml``. What is slow to import is imported where it is used."""

from __future__ import annotations

import warnings
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from qml.commands import bench, jobs, kernels
from qml.commands import compile as compiling
from qml.job.presets import DEFAULT_PRESET, PRESETS
from qml.predictor import commands as predictor
from qml.progress import ConsoleReporter

if TYPE_CHECKING:
    from qml.job.pipeline import Job
    from qml.runs import RunFolder

DEFAULTS: dict[str, Any] = {
    "task": "digits-4",
    "device": "FakeQuitoV2",
    "preset": DEFAULT_PRESET,
    "seed": 0,
}
WRONG_USE = 2
INTERRUPTED = 130

app = typer.Typer(
    help="Train, search, prune and compile quantum classifiers, and run them on IBM devices.",
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they may hold the token of an account
)

app.add_typer(bench.app, name="bench")
app.add_typer(jobs.app, name="job")
app.add_typer(kernels.app, name="kernels")
app.add_typer(predictor.app, name="predictor")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line -> exit code: 2 for a mistake of the user, said in one sentence."""
    warnings.showwarning = _tell
    try:
        return app(arguments, prog_name="qml", standalone_mode=False) or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        _print_error(sentence)
        return WRONG_USE


def _sentence(error: Exception) -> str | None:
    """What a mistake of the user is told; None for what is none."""
    # Typer's own complaints: their common class has moved between its releases.
    if hasattr(error, "format_message"):
        return str(error.format_message())
    from classical.errors import UsageError as CompressionError
    from qsim.errors import UsageError

    return str(error) if isinstance(error, UsageError | CompressionError) else None


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        from qml import __version__

        typer.echo(f"efficient-qml {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("devices")(compiling.devices)
app.command("compile")(compiling.compile_file)
app.command("run-circuit")(jobs.run_circuit)


@app.command()
def run(
    task: Annotated[
        str | None,
        typer.Option(
            help="digits-4, mnist-2, vowel-4 ... (an unknown one lists all).",
            show_default=DEFAULTS["task"],
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="A snapshot ('qml devices' lists them) or, with a saved account, a real device.",
            show_default=DEFAULTS["device"],
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help=f"Sizes: {', '.join(PRESETS)}.", show_default=DEFAULTS["preset"]),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of every random draw.", show_default=str(DEFAULTS["seed"])),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="Design space: u3cu3, zz_ry, rxyz, zx_xx, rxyz_u1_cu3, ibmq_basis.",
            show_default="u3cu3",
        ),
    ] = None,
    estimator: Annotated[
        str | None,
        typer.Option(
            help="Scores candidates: noise, success, signal, shots, quest.",
            show_default="noise; signal from 7 qubits on",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Search in so many, with the same result.", show_default="1"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for the run.", show_default="runs/<task>-<device>-<time>"),
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run in this folder.")] = None,
) -> None:
    """Train a classifier, search circuit and qubits for a device, prune it and run it there."""
    choices: dict[str, Any] = {
        "task": task,
        "device": device,
        "preset": preset,
        "seed": seed,
        "space": space,
        "estimator": estimator,
        "processes": processes,
        "out": out,
    }
    given = {name: value for name, value in choices.items() if value is not None}
    if resume is not None and given:
        from qsim.errors import UsageError

        options = " and ".join(f"--{name}" for name in given)
        raise UsageError(f"--resume goes on with the settings of the run: leave out {options}")
    if resume is not None:
        _continue(resume)
    else:
        _start(**given)


def _start(out: Path | None = None, **given: Any) -> None:
    console = Console()
    with console.status("Loading packages, data and device"):
        from qml.job.pipeline import Job, JobConfig

        config = JobConfig.from_names(**(DEFAULTS | given))
        job = Job.create(config, out or _default_folder(config.task, config.device))
    _work(console, job)


def _continue(path: Path) -> None:
    console = Console()
    with console.status("Loading packages, data and device"):
        from qml.job.pipeline import Job
        from qml.runs import RunFolder

        folder = RunFolder.open(path)
        job = None if folder.finished else Job.open(folder)
    if job is None:
        _show(console, folder)
        return
    _work(console, job)


def _work(console: Console, job: Job) -> None:
    """Do the job with its progress on the console, then show what it found."""
    folder = job.folder
    for line in (f"Run folder: {folder.path}", *job.remarks()):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    try:
        with folder.lock(), ConsoleReporter(console) as reporter:
            job.run(reporter)
    except KeyboardInterrupt:
        _print_error(f"Stopped. To go on: qml run --resume {folder.path}")
        raise
    _show(console, folder)


def _show(console: Console, folder: RunFolder) -> None:
    results = folder.read_json("results.json")
    console.print(_table(results))
    shared = {name: results["seconds"][name] for name in ("supercircuit", "search")}
    console.print(
        f"Seconds: SuperCircuit {shared['supercircuit']:.1f}, search {shared['search']:.1f}, "
        f"all stages {sum(results['seconds'].values()):.1f}",
        highlight=False,
    )
    report = folder.path / "report.html"
    console.print(f"Report: {report}", markup=False, highlight=False, soft_wrap=True)


def _table(results: dict[str, Any]) -> Table:
    from qml.runs import CIRCUITS

    rows = results["circuits"]
    table = Table(title=f"{results['task']} on {results['device']}, seed {results['seed']}")
    table.add_column("", no_wrap=True)
    for name in rows:
        table.add_column(CIRCUITS[name], justify="right")

    def add(title: str, texts: list[str], style: str = "") -> None:
        table.add_row(title, *texts, style=style)

    circuits = list(rows.values())
    add("Noise-free accuracy", [f"{row['noise_free_accuracy']:.1%}" for row in circuits])
    add("Accuracy on device", [f"{row['noisy_accuracy']:.1%}" for row in circuits], "bold")
    add("Trained angles", [str(row["parameters"]) for row in circuits])
    add("One-qubit gates", [str(row["one_qubit_gates"]) for row in circuits])
    add("Two-qubit gates", [str(row["two_qubit_gates"]) for row in circuits])
    add("Depth", [str(row["depth"]) for row in circuits])
    add("Success probability", [f"{row['esp']:.3f}" for row in circuits])
    add("Seconds to train", [f"{row['seconds']['train']:.1f}" for row in circuits])
    add("Seconds on device", [f"{row['seconds']['device']:.1f}" for row in circuits])
    return table


def _default_folder(task: str, device: str) -> Path:
    return Path("runs") / f"{task}-{device}-{datetime.now():%Y%m%d-%H%M%S}"


def _tell(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning without the line of code that it comes from."""
    _print_error(str(message))


def _print_error(text: str) -> None:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
