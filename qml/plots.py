"""Figures of training, search, results and circuits.

They are drawn without pyplot, so nothing is shown and nothing is kept open. Every function
returns a `matplotlib.figure.Figure`; `figure.savefig("name.svg")` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from qsim import GATES, Circuit
from qsim.errors import UsageError, need
from qsim.interop.qiskit import to_qiskit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qml.nas.evaluation import Evaluation

# Okabe and Ito's colours stay apart for colour-blind readers: blue and vermilion.
FIRST, SECOND = "#0072b2", "#d55e00"
INK, SOFT, LINE = "#1c2530", "#5a6675", "#dde3ea"

_STYLE = {
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
}
_CHANCE: dict[str, Any] = {"color": SOFT, "lw": 1, "ls": ":"}
_ON_DEVICE = "on the device, 95% interval"
_MARKED = 25  # points up to which a line marks each of them
_COLUMNS = 20  # gates side by side before the drawing of a circuit folds
_INCHES = 0.45  # of a gate in the drawing of a circuit


def plot_training(
    history: Sequence[Mapping[str, float | None]],
    title: str = "",
    *,
    chance: float | None = None,
) -> Figure:
    """Loss by epoch, and accuracy below it if there is one.

    Args:
        history: a record for every epoch with "train_loss" and "valid_loss" (means, in nats unless
            another loss was trained) and "valid_accuracy" (a fraction, or None).
        title: of the figure.
        chance: accuracy of guessing, marked by a line.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    epochs = np.arange(1, len(history) + 1)
    values = {key: [record[key] for record in history] for key in history[0]}
    accuracies = [value for value in values["valid_accuracy"] if value is not None]
    panels = 2 if accuracies else 1
    with _figure(3.7, 2.0 * panels) as figure:
        axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        _losses(axes[0], epochs, values["train_loss"], values["valid_loss"])
        axes[0].set_title(title)
        if accuracies:
            _accuracies(axes[1], epochs, accuracies, chance)
        axes[-1].set_xlabel("Epoch")
        _whole_numbers(axes[-1])
    return figure


def _losses(axes: Axes, epochs: Any, train: list[Any], valid: list[Any]) -> None:
    _line(axes, epochs, train, FIRST, "training")
    _line(axes, epochs, valid, SECOND, "validation", dashed=True)
    axes.set_ylabel("Loss")
    low, high = min(0, *train, *valid), max(0, *train, *valid)
    axes.set_ylim(low, high + 0.25 * (high - low))  # the legend goes above the lines
    axes.legend(loc="upper right", ncols=2)


def _accuracies(axes: Axes, epochs: Any, valid: list[Any], chance: float | None) -> None:
    _line(axes, epochs, 100 * np.array(valid), SECOND, "validation", dashed=True)
    axes.set(ylabel="Accuracy (%)", ylim=(0, 102))
    if chance is not None:
        axes.axhline(100 * chance, **_CHANCE)
        axes.text(1, 100 * chance, " guessing", color=SOFT, va="top", ha="right",
                  transform=axes.get_yaxis_transform())  # fmt: skip


def plot_search(history: Sequence[Mapping[str, float]]) -> Figure:
    """Best and mean score by generation.

    Args:
        history: a record for every generation with "generation", "best" and "mean" (scores in nats,
            lower is better).

    Raises:
        UsageError: if matplotlib is not installed.
    """
    generations = [record["generation"] for record in history]
    with _figure(4.8, 4.0) as figure:
        axes = figure.subplots()
        mean = [record["mean"] for record in history]
        _line(axes, generations, mean, SECOND, "mean of the population", dashed=True)
        _line(axes, generations, [record["best"] for record in history], FIRST, "best")
        axes.set(title="Score", xlabel="Generation", ylabel="Score (nats, lower is better)")
        axes.legend()
        _whole_numbers(axes)
    return figure


def plot_best(history: Sequence[Mapping[str, float]]) -> Figure:
    """What the best score is made of, by generation: noise-free loss and estimated success.

    Args:
        history: a record for every generation with "generation", and the "loss" (nats) and "esp"
            (probability) of its best candidate.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    generations = [record["generation"] for record in history]
    with _figure(4.8, 4.0) as figure:
        top, bottom = figure.subplots(2, 1, sharex=True)
        _line(top, generations, [record["loss"] for record in history], FIRST, "loss")
        _line(bottom, generations, [100 * record["esp"] for record in history], FIRST, "success")
        top.set(title="Best candidate", ylabel="Loss (nats)")
        bottom.set(xlabel="Generation", ylabel="Success (%)")
        _whole_numbers(bottom)
    return figure


def plot_front(
    front: Sequence[tuple[Any, Evaluation]], found: Sequence[tuple[Any, Evaluation]] = ()
) -> Figure:
    """Score over two-qubit gates of the best compromises, coloured by depth.

    Args:
        front: genes and evaluations, as `qml.nas.pareto.pareto_front` gives them.
        found: others, which are shown behind as grey points.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    with _figure(5.6, 3.8) as figure:
        axes = figure.subplots()
        for pairs, style in (
            (found, {"color": LINE, "s": 12}),
            (front, {"c": [e.depth for _, e in front], "cmap": "viridis", "edgecolors": INK}),
        ):
            gates, scores = [e.two_qubit_gates for _, e in pairs], [e.score for _, e in pairs]
            points = axes.scatter(gates, scores, zorder=2, **style)
        figure.colorbar(points, label="Depth")
        axes.set(title="Pareto front", xlabel="Two-qubit gates", ylabel="Score (lower is better)")
        axes.grid(axis="y")
        _whole_numbers(axes)
    return figure


def plot_accuracy(
    rows: Mapping[str, tuple[float, float]], samples: int, *, chance: float | None = None
) -> Figure:
    """Accuracy without noise and on the device, circuit by circuit, with what the noise takes away.

    Args:
        rows: (without noise, on the device) as fractions, by the title of the circuit.
        samples: test samples behind every accuracy; bars show its 95 % Wilson interval.
        chance: accuracy of guessing, marked by a line.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    with _figure(6.8, 0.9 + 0.5 * len(rows)) as figure:
        axes = figure.subplots()
        for place, (clean, noisy) in enumerate(rows.values()):
            low, high = wilson_interval(noisy, samples)
            axes.plot([100 * clean, 100 * noisy], [place, place], color=LINE, lw=5, zorder=1)
            axes.plot([100 * low, 100 * high], [place, place], color=FIRST, lw=1.4, zorder=2)
        places = range(len(rows))
        percent = 100 * np.array(list(rows.values()))
        # The open marker is the larger one: both are seen where the values agree.
        open_marker: dict[str, Any] = {"ms": 11, "mfc": "none", "mec": INK, "mew": 1.6}
        axes.plot(percent[:, 0], places, "o", clip_on=False, label="without noise", **open_marker)
        axes.plot(percent[:, 1], places, "o", ms=8, color=FIRST, clip_on=False, label=_ON_DEVICE)
        axes.set_yticks(places, list(rows))
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(0, 102), xlabel="Test accuracy (%)")
        axes.invert_yaxis()
        axes.margins(y=0.15)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        if chance is not None:
            axes.axvline(100 * chance, label="guessing", **_CHANCE)
        figure.legend(loc="outside upper left", ncols=3)
    return figure


def plot_study(records: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """Accuracy of every method of a study: a point for each device, a bar for the mean over them.

    Args:
        records: of one task, as `qml.bench.table.summary` gives them; "noise_free" and "noisy" are
            [mean, spread] of fractions.
        title: of the figure.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    rows = list(dict.fromkeys(record["row"] for record in records))
    with _figure(6.8, 0.9 + 0.4 * len(rows)) as figure:
        axes = figure.subplots()
        for key, colour, label, shift in (
            ("noise_free", SECOND, "without noise", -0.12),
            ("noisy", FIRST, "on the devices", 0.12),
        ):
            for place, row in enumerate(rows):
                found = [100 * record[key][0] for record in records if record["row"] == row]
                axes.scatter(found, [place + shift] * len(found), color=colour, s=14, alpha=0.5)
                axes.plot([float(np.mean(found))] * 2, [place + shift - 0.14, place + shift + 0.14],
                          color=colour, lw=2.5, label=label if place == 0 else None)  # fmt: skip
        axes.set(title=title, xlabel="Accuracy (%)", yticks=range(len(rows)), yticklabels=rows)
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.legend(loc="lower left")
    return figure


def plot_compression(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Accuracy over size of every method of a study of compression, each with a line to its start.

    Args:
        records: as `qml.bench.compression.table.summary` gives them.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    with _figure(7.2, 4.2) as figure:
        axes = figure.subplots()
        for number, record in enumerate(records):
            sizes = [record[key][0] / 1e3 for key in ("bytes_before", "bytes_after")]
            right = [100 * record[key][0] for key in ("before", "after")]
            axes.plot(sizes, right, color=LINE, lw=1)
            axes.plot(sizes[0], right[0], color=SOFT, marker="o")
            axes.errorbar(sizes[1], right[1], 100 * record["after"][1], color=f"C{number}",
                          marker="o", markersize=6, ls="", label=record["row"])  # fmt: skip
        axes.set(xlabel="Size (KB)", ylabel="Accuracy (%)", xscale="log")
        axes.grid()
        axes.legend(loc="lower right")
    return figure


def plot_confusion(labels: Sequence[int], predictions: Sequence[int], title: str = "") -> Figure:
    """Which class was taken for which: counts, coloured by their part of the true class.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    classes = max(*labels, *predictions) + 1
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (np.array(labels), np.array(predictions)), 1)
    parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = max(2.3, 0.35 * classes + 1)
    with _figure(side, side + 0.3) as figure:
        axes = figure.subplots()
        axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
        for (true, predicted), count in np.ndenumerate(counts):
            colour = "white" if parts[true, predicted] > 0.5 else INK
            axes.text(predicted, true, str(count), ha="center", va="center", color=colour)
        axes.set(title=title, xlabel="Predicted class", ylabel="True class")
        axes.set(xticks=range(classes), yticks=range(classes))
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure


def plot_predictions(
    pairs: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str = ""
) -> Figure:
    """What a model predicts over what is true, by kind of sample: a panel each.

    Args:
        pairs: (predicted, true) numbers by the name of their kind.
        title: of the figure.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    everything = np.concatenate([np.concatenate(pair) for pair in pairs.values()])
    ends = (everything.min(), everything.max())
    with _figure(2.9 * len(pairs), 3.3) as figure:
        figure.suptitle(title)
        panels = figure.subplots(1, len(pairs), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (name, (predicted, true)) in zip(panels, pairs.items(), strict=True):
            axes.plot(ends, ends, **_CHANCE)
            axes.plot(true, predicted, "o", color=FIRST, ms=3, alpha=0.5)
            axes.set(title=name, xlabel="Simulated", aspect="equal")
        panels[0].set_ylabel("Predicted")
    return figure


def plot_gradient_variance(variances: Mapping[int, float], title: str = "") -> Figure:
    """Variance of the gradient over the number of qubits, with the exponential that fits it best.

    Args:
        variances: by number of qubits, two or more, as `qml.gradient_variance` finds them; a
            variance that falls exponentially is a barren plateau.
        title: of the figure.

    Raises:
        UsageError: for less than two variances or one that is not positive, or if matplotlib is not
            installed.
    """
    qubits, values = np.array(list(variances)), np.array(list(variances.values()))
    if len(values) < 2 or not (values > 0).all():
        raise UsageError(f"variances are two or more positive numbers by qubits, not {variances}")
    slope, start = np.polyfit(qubits, np.log(values), 1)
    with _figure(4.8, 3.2) as figure:
        axes = figure.subplots()
        _line(axes, qubits, values, FIRST, "variance")
        label = f"a factor of {np.exp(slope):.2f} a qubit"
        _line(axes, qubits, np.exp(start + slope * qubits), SECOND, label, dashed=True)
        axes.set(title=title, xlabel="Qubits", ylabel="Variance of the gradient", yscale="log")
        axes.legend()
        _whole_numbers(axes)
    return figure


def plot_circuit(circuit: Circuit) -> Figure:
    """The circuit as Qiskit draws it, folded into lines; qubit 0 is on top, angles are in radians.

    Raises:
        UsageError: if matplotlib, pylatexenc or Qiskit is not installed.
    """
    for module in ("matplotlib", "pylatexenc"):
        need(module, extra="plot", purpose="drawing circuits")
    drawn = to_qiskit(circuit)
    width, height = 8.0, 4.0
    # Qiskit fits a drawing into given axes: the first pass shows which proportions it needs.
    for _ in range(2):
        with _figure(width, height, layout=None) as figure:
            axes = figure.add_axes((0, 0, 1, 1))
            drawn.draw("mpl", ax=axes, fold=_COLUMNS, style=_circuit_style())
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        width, height = _INCHES * (right - left), _INCHES * (top - bottom)
    return figure


def wilson_interval(fraction: float, samples: int, deviations: float = 1.96) -> tuple[float, float]:
    """Bounds of a probability that was seen as `fraction` of `samples` (Wilson, JASA 22, 1927).

    `deviations` of the normal distribution: 1.96 gives the 95 % interval.
    """
    spread = deviations**2 / samples
    middle = (fraction + spread / 2) / (1 + spread)
    half = sqrt(fraction * (1 - fraction) * spread + spread**2 / 4) / (1 + spread)
    return middle - half, middle + half


@contextmanager
def _figure(width: float, height: float, *, layout: str | None = "constrained") -> Iterator[Figure]:
    """A figure of that many inches, in the style of all figures here while it is drawn."""
    matplotlib = need("matplotlib", extra="plot", purpose="drawing figures")
    figures = need("matplotlib.figure", extra="plot", purpose="drawing figures")
    with matplotlib.rc_context(_STYLE):
        yield figures.Figure((width, height), layout=layout)


def _line(axes: Axes, x: Any, y: Any, colour: str, label: str, *, dashed: bool = False) -> None:
    marker = "o" if len(x) <= _MARKED else None
    axes.plot(x, y, color=colour, marker=marker, ls="--" if dashed else "-", label=label)
    axes.grid(axis="y")


def _whole_numbers(axes: Axes) -> None:
    ticker = need("matplotlib.ticker", extra="plot", purpose="drawing figures")
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))


def _circuit_style() -> dict[str, Any]:
    """Colours for Qiskit's drawer: gates on one qubit in blue, on several in orange."""
    faces = {1: "#a9cfea"}
    colours = {
        gate.qiskit or gate.name: (faces.get(gate.num_qubits, "#f2a46f"), INK)
        for gate in GATES.values()
    }
    return {
        "displaycolor": colours,
        "textcolor": INK,
        "gatetextcolor": INK,
        "subtextcolor": INK,
        "linecolor": SOFT,
        "subfontsize": 8.5,
    }
