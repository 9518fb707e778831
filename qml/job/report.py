"""The report of a run: one HTML page with its numbers and pictures, and nothing outside it.

Everything comes from the files of the run folder, so a report can be written again at any time,
without the device. A run that has not finished gets the sections that it has reached.
"""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from compile import Device
from compile.plots import plot_device
from qml.job.pipeline import JobConfig
from qml.nas.spaces import DesignSpace
from qml.plots import (
    plot_accuracy,
    plot_best,
    plot_circuit,
    plot_confusion,
    plot_search,
    plot_training,
)
from qml.runs import CIRCUITS, TITLES, RunFolder
from qsim import Circuit
from qsim.errors import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Result = Mapping[str, Any]
REPORT_FILE = "report.html"
_TEMPLATE = "report.html.j2"
_CSS_PIXELS_PER_INCH = 96
_COMPARED = ("baseline", "matched", "pruned")


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it: data URI, description, width in CSS pixels."""

    source: str
    alt: str
    width: int


@dataclass(frozen=True)
class Metric:
    """A line of the results table. `best` picks the value that stands out, if one is better."""

    title: str
    key: str
    form: str
    best: Callable[..., float] | None = None


METRICS = (
    Metric("Noise-free accuracy", "noise_free_accuracy", "{:.1%}", max),
    Metric("Accuracy on device", "noisy_accuracy", "{:.1%}", max),
    Metric("Success probability", "esp", "{:.3f}", max),
    Metric("One-qubit gates", "one_qubit_gates", "{}", min),
    Metric("Two-qubit gates", "two_qubit_gates", "{}", min),
    Metric("Depth", "depth", "{}", min),
    Metric("Trained angles", "parameters", "{}"),
    Metric("Seconds to train", "train_seconds", "{:.1f}"),
    Metric("Seconds on device", "device_seconds", "{:.1f}"),
)


def write_report(folder: RunFolder) -> Path:
    """Write ``report.html`` into the run folder -> its path.

    Raises:
        UsageError: matplotlib, pylatexenc or jinja2 is missing, or a file of the folder is damaged.
    """
    jinja2 = need("jinja2", extra="plot", purpose="writing a report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("qml.job", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(_TEMPLATE).render(_content(folder))
    return folder.write_text(REPORT_FILE, page)


def _content(folder: RunFolder) -> dict[str, Any]:
    """Everything that the template names."""
    names = [*TITLES, *(f"device-{name}" for name in CIRCUITS)]
    stages = {name: stage for name in names if (stage := folder.stage(name)) is not None}
    rows = {name: row for name in CIRCUITS if (row := _row(stages, name))}
    measured = {name: stages[f"device-{name}"] for name in rows if f"device-{name}" in stages}
    config = JobConfig.from_folder(folder)
    return {
        "title": f"{config.task} on {config.device}",
        "created": f"{datetime.fromisoformat(folder.header['created']):%d %B %Y, %H:%M %Z}",
        "config": asdict(config),
        "versions": folder.header["versions"],
        "folder": folder.path.name,
        "missing": [_stage_title(name) for name in names if name not in stages],
        "rows": rows,
        "titles": CIRCUITS,
        "compared": [rows[name] for name in _COMPARED if name in measured],
        "samples": _samples(measured),
        "table": _table(rows),
        "seconds": _seconds(stages),
        "accuracy": _accuracy(rows, measured),
        "training": _training(stages, measured),
        "search": _search(stages, config.design_space),
        "circuit": _circuit(folder),
        "device": _device(folder, measured),
        "confusion": _confusion(measured),
        "command": _command(config),
    }


def _row(stages: Mapping[str, Result], name: str) -> dict[str, Any]:
    """What is known of a circuit; the same keys as in ``results.json``."""
    trained, measured = stages.get(name, {}), stages.get(f"device-{name}", {})
    known = {**trained, **measured}
    if "seconds" in trained:
        known["train_seconds"] = trained["seconds"]
    if "seconds" in measured:
        known["device_seconds"] = measured["seconds"]
    return {metric.key: known[metric.key] for metric in METRICS if metric.key in known}


def _table(rows: Mapping[str, Result]) -> list[dict[str, Any]]:
    """The results, a line for every metric with a cell for every circuit."""
    lines = []
    for metric in METRICS:
        values = [row.get(metric.key) for row in rows.values()]
        known = [value for value in values if value is not None]
        best = metric.best(known) if metric.best and len(set(known)) > 1 else None
        cells = [
            {
                "text": "–" if value is None else metric.form.format(value),
                "best": value is not None and value == best,
            }
            for value in values
        ]
        lines.append({"title": metric.title, "key": metric.key, "cells": cells})
    return lines


def _seconds(stages: Mapping[str, Result]) -> list[dict[str, Any]]:
    """Stage by stage: title, seconds, and percent of the longest."""
    longest = max((stage["seconds"] for stage in stages.values()), default=0.0)
    return [
        {
            "title": _stage_title(name),
            "seconds": stage["seconds"],
            "percent": 100 * stage["seconds"] / longest if longest else 0,
        }
        for name, stage in stages.items()
    ]


def _stage_title(name: str) -> str:
    if name in TITLES:
        return TITLES[name]
    return f"{CIRCUITS[name.removeprefix('device-')]} on the device"


def _accuracy(rows: Mapping[str, Result], measured: Mapping[str, Result]) -> Picture | None:
    if not measured:
        return None
    pairs = {
        CIRCUITS[name]: (rows[name]["noise_free_accuracy"], rows[name]["noisy_accuracy"])
        for name in measured
    }
    told = "; ".join(
        f"{title} {clean:.1%} without noise, {noisy:.1%} on the device"
        for title, (clean, noisy) in pairs.items()
    )
    figure = plot_accuracy(pairs, _samples(measured), chance=_chance(measured))
    return _picture(figure, f"Test accuracy of every circuit: {told}.")


def _training(stages: Mapping[str, Result], measured: Mapping[str, Result]) -> list[Picture]:
    """A picture for every trained stage."""
    pictures = []
    for name in TITLES:
        if name == "search" or name not in stages:
            continue
        title, history = TITLES[name], stages[name]["history"]
        last = history[-1]
        alt = (
            f"{title}: loss and accuracy by epoch; after {len(history)} epochs the validation loss "
            f"is {last['valid_loss']:.3f} and the validation accuracy {last['valid_accuracy']:.1%}."
        )
        pictures.append(_picture(plot_training(history, title, chance=_chance(measured)), alt))
    return pictures


def _search(stages: Mapping[str, Result], space: DesignSpace) -> dict[str, Any] | None:
    """The result of the search, what it keeps of the blocks, and its pictures."""
    if "search" not in stages:
        return None
    found = stages["search"]
    first, last = found["history"][0], found["history"][-1]
    progress = (
        f"Best and mean score by generation: the best goes from {first['best']:.3f} to "
        f"{last['best']:.3f}, the mean from {first['mean']:.3f} to {last['mean']:.3f}."
    )
    best = (
        "Noise-free validation loss and estimated success probability of the best candidate by "
        f"generation: in the end {last['loss']:.3f} and {last['esp']:.1%}."
    )
    pictures = [
        _picture(plot_search(found["history"]), progress),
        _picture(plot_best(found["history"]), best),
    ]
    blocks = _kept(found["gene"], space)
    return {**found, "kept": blocks, "most_blocks": space.blocks, "pictures": pictures}


def _kept(gene: Mapping[str, Any], space: DesignSpace) -> list[list[int]]:
    """What the gene keeps of the layers of each of its blocks."""
    begin, size = len(space.first), len(space.layers)
    starts = range(begin, begin + size * gene["blocks"], size)
    return [gene["layers"][start : start + size] for start in starts]


def _circuit(folder: RunFolder) -> dict[str, Any] | None:
    """The drawing of the last circuit that is there: the pruned one, or what comes before it."""
    for name in reversed(CIRCUITS):
        if folder.has(f"circuits/{name}.json"):
            circuit = Circuit.from_dict(folder.read_json(f"circuits/{name}.json"))
            counts = ", ".join(f"{count} {gate}" for gate, count in circuit.count_ops().items())
            alt = (
                f"{CIRCUITS[name]} circuit on {circuit.num_qubits} qubits: {counts}; "
                f"depth {circuit.depth()}."
            )
            picture = _picture(plot_circuit(circuit), alt)
            return {"name": name, "counts": counts, "picture": picture}
    return None


def _device(folder: RunFolder, measured: Mapping[str, Result]) -> dict[str, Any] | None:
    """The map of the device with the qubits of the last circuit that ran on it."""
    if not measured:
        return None
    name, result = list(measured.items())[-1]
    calibration = folder.read_json("calibration.json")
    device = Device.from_calibration(calibration)  # as it was when the run began
    start, end = result["initial_layout"], result["final_layout"]
    # The map asks no more of a compiled circuit than its name and its places.
    compiled: Any = SimpleNamespace(device_name=device.name, initial_layout=start, final_layout=end)
    places = ", ".join(f"q{i} on {physical}" for i, physical in enumerate(start))
    alt = (
        f"Map of the {device.num_qubits} qubits of {device.name} and their errors; the circuit "
        f"{CIRCUITS[name]} starts with {places}."
    )
    picture = _picture(plot_device(device, compiled), alt)
    return {"name": name, "calibrated": calibration["calibrated"], "picture": picture}


def _confusion(measured: Mapping[str, Result]) -> list[Picture]:
    pictures = []
    for name, result in measured.items():
        figure = plot_confusion(result["labels"], result["predictions"], CIRCUITS[name])
        right = sum(a == b for a, b in zip(result["labels"], result["predictions"], strict=True))
        alt = (
            f"Confusion matrix of the circuit {CIRCUITS[name]} on the device: "
            f"{right} of {len(result['labels'])} samples are on the diagonal."
        )
        pictures.append(_picture(figure, alt))
    return pictures


def _samples(measured: Mapping[str, Result]) -> int:
    return max((len(result["labels"]) for result in measured.values()), default=0)


def _chance(measured: Mapping[str, Result]) -> float | None:
    """Accuracy of guessing, as far as the number of classes shows in the results."""
    classes = max((max(result["labels"]) + 1 for result in measured.values()), default=0)
    return 1 / classes if classes else None


def _command(config: JobConfig) -> str:
    """The command line that repeats the run."""
    keys = ("task", "device", "preset", "seed", "space", "estimator")
    given = {key: value for key in keys if (value := getattr(config, key)) is not None}
    options = [f"--{key} {shlex.quote(str(value))}" for key, value in given.items()]
    return " ".join(["qml run", *options])


def _picture(figure: Figure, alt: str) -> Picture:
    """The figure as scalable graphics, the same bytes for the same figure."""
    matplotlib = need("matplotlib", extra="plot", purpose="writing a report")
    content = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": alt}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    source = f"data:image/svg+xml;base64,{b64encode(content.getvalue()).decode()}"
    return Picture(source, alt, round(_CSS_PIXELS_PER_INCH * figure.get_figwidth()))
