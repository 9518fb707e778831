"""`qml bench`: studies of the methods side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from qml.progress import ConsoleReporter

app = typer.Typer(help="Study the methods side by side.", no_args_is_help=True)


@app.command()
def quantumnas(
    task: Annotated[
        list[str] | None, typer.Option(help="Again for each; all tasks by default.")
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="Again for each; nine devices by default.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Again for each.", show_default="0, 1 and 2")
    ] = None,
    ablations: Annotated[
        bool, typer.Option("--ablations", help="Take the methods apart, too.")
    ] = False,
    processes: Annotated[
        int, typer.Option(min=1, help="At work at once.", show_default="cores")
    ] = os.cpu_count() or 1,
    out: Annotated[Path, typer.Option(help="Folder of the study; one from before goes on.")] = Path(
        "runs/quantumnas"
    ),
) -> None:
    """Accuracy under noise and compiled gates of every method, over tasks, devices and seeds."""
    console = Console()
    with console.status("Loading packages, data and devices"):
        from qml.bench import study
        from qml.bench.cells import Sizes
        from qml.bench.folder import open_study

        names, left_out = study.cells(
            task or study.TASKS, device or study.DEVICES, seed or study.SEEDS
        )
        folder = open_study(out, "quantumnas", Sizes())
    for sentence in left_out:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    with (
        _shown(console, lambda: study.write_tables(folder, names)),
        folder.lock(),
        ConsoleReporter(console) as reporter,
    ):
        study.run_study(
            folder, Sizes(), names, ablations=ablations, processes=processes, reporter=reporter
        )


@app.command()
def compression(
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Again for each.", show_default="0, 1 and 2")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="At work at once.", show_default="cores")
    ] = os.cpu_count() or 1,
    out: Annotated[Path, typer.Option(help="Folder of the study; one from before goes on.")] = Path(
        "runs/compression"
    ),
) -> None:
    """Accuracy, size, operations and time of a network before and after every compression."""
    console = Console()
    with console.status("Loading packages and data"):
        from qml.bench.compression import study
        from qml.bench.compression.cells import Sizes
        from qml.bench.folder import open_study

        names = study.cells(seed or study.SEEDS)
        folder = open_study(out, "compression", Sizes())
    with (
        _shown(console, lambda: study.write_tables(folder, names)),
        folder.lock(),
        ConsoleReporter(console) as reporter,
    ):
        study.run_study(folder, Sizes(), names, processes=processes, reporter=reporter)


@contextmanager
def _shown(console: Console, write_tables: Callable[[], Path]) -> Iterator[None]:
    """Whatever ends the study, its table is written and shown."""
    try:
        yield
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on.", highlight=False)
        raise
    finally:
        path = write_tables()
        console.print(path.read_text(), markup=False, highlight=False, soft_wrap=True)
        console.print(f"Table: {path}", markup=False, highlight=False, soft_wrap=True)
