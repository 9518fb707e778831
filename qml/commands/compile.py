"""``qml devices`` and ``qml compile``."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from qml.commands import output

if TYPE_CHECKING:
    from compile import Compiled, Device

_CIRCUITS = (".json", ".qasm")
_PLOTS = (".png", ".svg", ".pdf")


def devices() -> None:
    """List the device snapshots, which need no account, with their calibrations in short."""
    from compile import Device, fake_device_names

    console = output.console()
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Device", no_wrap=True)
    for title in ("Qubits", "Two-qubit", "One-qubit", "Readout", "Dead edges"):
        table.add_column(title, justify="right")
    table.add_column("Gates")
    with console.status("Reading snapshots"):
        for name in fake_device_names():
            table.add_row(name, *_facts(Device.from_fake(name)))
    console.print(table)
    console.print("Errors are medians over what works.", highlight=False)


def _facts(device: Device) -> list[str]:
    target = device.backend.target
    gates = sorted({name for name, _ in device.gate_facts} - {"id", "reset"})
    working = [q for q in range(device.num_qubits) if q not in device.offline_qubits]
    return [
        str(device.num_qubits),
        _median([device.two_qubit_error(*edge) for edge in device.edges]),
        _median([device.one_qubit_error(q) for q in working]),
        _median([device.readout_error(q) for q in range(target.num_qubits)]),
        str(len(device.dead_edges) or ""),
        " ".join([*gates, *(["+ dynamic"] if device.supports_dynamic_circuits else [])]),
    ]


def _median(errors: list[float]) -> str:
    return f"{median(errors):.2%}" if errors else ""


def compile_file(
    file: Annotated[Path, typer.Argument(help="A circuit: OpenQASM 2 or 3 (.qasm), or .json.")],
    device: Annotated[
        str, typer.Option(help="A snapshot, a saved calibration (.json), or a real device.")
    ] = "FakeQuitoV2",
    effort: Annotated[str, typer.Option(help="fast, balanced or best.")] = "best",
    budget: Annotated[float, typer.Option(help="Seconds for the search.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same circuit.")] = 0,
    dd: Annotated[str | None, typer.Option(help="Dynamical decoupling: XX or XY4.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the result: .qasm (OpenQASM 3) or .json (all of it).")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the device with the chosen qubits: .png, .svg, .pdf.")
    ] = None,
) -> None:
    """Compile a circuit for a device as well as time allows, and say what it costs."""
    output.check_file("--out", out, _CIRCUITS)
    output.check_file("--plot", plot, _PLOTS)
    console = output.console()
    with console.status("Loading packages, circuit and device"):
        from compile import Device, compile
        from qsim.serialization import load_circuit

        circuit = load_circuit(file)
        target = Device.load(device) if device.endswith(".json") else Device.from_name(device)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("Candidates", total=None)
        compiled = compile(
            circuit,
            target,
            effort=effort,
            budget_s=budget,
            seed=seed,
            dd=dd,
            progress=lambda done, total: bars.update(task, completed=done, total=total),
        )
    console.print(_costs(compiled))
    for sentence in _remarks(compiled):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    if out is not None:
        _write(compiled, out)
    if plot is not None:
        _draw(compiled, plot)


def _costs(compiled: Compiled) -> Table:
    """What was chosen, beside Qiskit's level 3 where the search ran."""
    table = Table(title=f"Compiled for {compiled.device_name}", box=box.SIMPLE_HEAD)
    columns = [compiled, *([compiled.baseline] if compiled.baseline else [])]
    table.add_column("", no_wrap=True)
    for title, _ in zip(("Chosen", "Qiskit level 3"), columns, strict=False):
        table.add_column(title, justify="right")
    for title, name, form in (
        ("Success probability", "esp", ".4f"),
        ("of gates", "gate_esp", ".4f"),
        ("of readout", "readout_esp", ".4f"),
        ("of waiting", "idle_esp", ".4f"),
        ("Depth", "depth", "d"),
        ("Two-qubit gates", "two_qubit_gates", "d"),
    ):
        table.add_row(title, *[format(getattr(column, name), form) for column in columns])
    return table


def _remarks(compiled: Compiled) -> list[str]:
    places = ", ".join(f"{k} on {q}" for k, q in enumerate(compiled.initial_layout))
    found = [f"Qubits: {places}"]
    if compiled.candidates:
        end = "" if compiled.complete else ", when the budget ended: --budget gives more"
        found.append(f"Candidates weighed: {len(compiled.candidates)}{end}")
    return [*found, *(note[0].upper() + note[1:] for note in compiled.notes)]


def _write(compiled: Compiled, path: Path) -> None:
    from qsim.files import write_atomically

    if path.suffix == ".json":
        compiled.save(path)
    else:
        write_atomically(path, compiled.to_openqasm3().encode())


def _draw(compiled: Compiled, path: Path) -> None:
    from qsim.files import unwritable

    figure = compiled.plot_layout()
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise unwritable(path, error) from error
