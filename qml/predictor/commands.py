"""The command that trains the predictor anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from qml.progress import ConsoleReporter

app = typer.Typer(
    help="The learned predictor of a circuit's success (QuEst).",
    add_completion=False,
    no_args_is_help=True,
)


@app.callback()
def _root() -> None:
    """Keeps `train` a command by name, though it is the only one."""


@app.command()
def train(
    folder: Annotated[Path, typer.Argument(help="Gets everything; training goes on in it.")],
    circuits: Annotated[int, typer.Option(min=20, help="Random circuits to simulate.")] = 4000,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over them.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Of circuits and training.")] = 0,
) -> None:
    """Simulate random circuits on many devices, train the predictor on them and test it."""
    from qml.predictor import training

    console = Console()
    try:
        with ConsoleReporter(console) as reporter:
            quality = training.train(folder, reporter, circuits=circuits, epochs=epochs, seed=seed)
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on.", highlight=False)
        raise
    table = Table("Circuits", "R2", "RMSE")
    for name, (r2, rmse) in quality.items():
        table.add_row(name, f"{r2:.3f}", f"{rmse:.3f}")
    console.print(table)
