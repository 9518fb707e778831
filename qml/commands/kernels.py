"""``qml kernels``: loops in C++, one technique at a time."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from qml.commands import output

if TYPE_CHECKING:
    from classical.kernels import Timing

app = typer.Typer(
    help="Matrix products and convolutions in C++, one technique at a time.", no_args_is_help=True
)


@app.callback()
def _root() -> None:
    """Keeps `bench` a command by name, though it is the only one."""


@app.command()
def bench(
    size: Annotated[int, typer.Option(min=1, help="Rows and columns of the matrices.")] = 512,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of what has several.", show_default="PyTorch's")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the numbers.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the numbers: .json.")] = None,
) -> None:
    """Check and time every technique, beside the processor's peak and beside PyTorch."""
    output.check_file("--out", out, (".json",))
    console = output.console()
    with console.status("Loading packages"):
        from classical import kernels
        from qsim.files import write_atomically

    timings: list[Timing] = []
    with console.status("Measuring") as status:
        for timing in kernels.bench(threads, size, seed):
            status.update(f"Measuring, after {timing.study} {timing.method}")
            timings.append(timing)
    for study in dict.fromkeys(timing.study for timing in timings):
        console.print(_table([timing for timing in timings if timing.study == study]))
    console.print(
        f"Peak in multiply-add: {timings[0].peak_gflops:.1f} GFLOP/s ({kernels.ISA}, threads: "
        f"{timings[-1].threads}). GFLOP/s count the direct sum, also where Winograd does fewer.",
        highlight=False,
    )
    if out is not None:
        found = {"isa": kernels.ISA, "timings": [asdict(timing) for timing in timings]}
        write_atomically(out, json.dumps(found, indent=1).encode())


def _table(timings: list[Timing]) -> Table:
    """Methods of one study."""
    table = Table(title=f"{timings[0].study}, {timings[0].shape}", box=box.SIMPLE_HEAD)
    table.add_column("Method", no_wrap=True)
    for title in ("Threads", "ms", "GFLOP/s", "Of peak", "Of torch", "Error"):
        table.add_column(title, justify="right")
    for timing in timings:
        table.add_row(
            timing.method,
            str(timing.threads),
            f"{1e3 * timing.seconds:.3g}",
            f"{timing.gflops:.3g}",
            f"{timing.share_of_peak:.1%}",
            f"{timing.times_torch:.3g}",
            f"{timing.largest_error:.0e}",
        )
    return table
