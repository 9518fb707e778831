"""Maps of devices, drawn without pyplot: nothing is shown or kept open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from compile.compiled import Compiled
from compile.device import Device
from qsim.errors import UsageError, need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Vermilion of Okabe and Ito stands out from the blue-to-yellow colours of the errors.
CHOSEN, INK, SOFT, PALE = "#d55e00", "#1c2530", "#5a6675", "#dde3ea"
_COLORS = "cividis_r"  # reads the same for colour-blind readers; dark is bad
_INCHES = 0.7  # between neighbouring qubits
_BAR: dict[str, Any] = {"fraction": 0.06, "aspect": 24}
_LABELLED = 40  # qubits up to which every one bears its number


class Colours(NamedTuple):
    """What the colours of a map tell: numbers of qubits and of working couplings."""

    qubits: Sequence[float]
    edges: Sequence[float]
    qubit_title: str
    edge_title: str


def plot_device(
    device: Device, compiled: Compiled | None = None, highlight: Iterable[int] = ()
) -> Figure:
    """Map of a device: qubits coloured by readout error, couplings by the error of their gate.

    Args:
        device: what to draw; couplings that do not work are dotted.
        compiled: circuit whose qubits are ringed and labelled by the logical qubit they hold: "q1",
            or "q1→3" where they begin with qubit 1 and end with qubit 3.
        highlight: further physical qubits to ring.

    Returns:
        A figure; `figure.savefig("map.svg")` writes it.

    Raises:
        UsageError: matplotlib is missing, the circuit was compiled for another device, or a qubit
            to highlight does not exist.
    """
    labels = _labels(device, compiled)
    ringed = set(highlight) | set(labels)
    if unknown := ringed - set(range(device.num_qubits)):
        raise UsageError(
            f"{device.name} has qubits 0 to {device.num_qubits - 1}: there is no {min(unknown)} "
            "to highlight"
        )
    colours = Colours(
        [device.readout_error(qubit) for qubit in range(device.num_qubits)],
        [device.two_qubit_error(*edge) for edge in device.edges],
        "Readout error",
        "Two-qubit gate error",
    )
    return _map(device, colours, ringed, labels)


def plot_losses(compiled: Compiled) -> Figure:
    """Map of a device, coloured by how probable a circuit is to fail on each qubit and coupling.

    A qubit fails by its one-qubit gates, its waits and its reading; see `Compiled.esp_parts`.

    Raises:
        UsageError: matplotlib is missing.
    """
    device, parts = compiled.device, compiled.esp_parts
    labels = _labels(device, compiled)
    colours = Colours(
        [1 - parts.of_qubit(qubit) for qubit in range(device.num_qubits)],
        [1 - parts.gates.get(edge, 1.0) for edge in device.edges],
        "Loss by pulses, waits and readout",
        "Loss by two-qubit gates",
    )
    return _map(device, colours, set(labels), labels)


def _map(device: Device, colours: Colours, ringed: set[int], labels: dict[int, str]) -> Figure:
    figure_module = need("matplotlib.figure", extra="plot", purpose="drawing a device")
    places = _places(device)
    (left, bottom), (right, top) = places.min(0) - 0.8, places.max(0) + 0.8
    inches = (_INCHES * (right - left) + 2.4, max(_INCHES * (top - bottom) + 0.6, 2.8))
    figure = figure_module.Figure(figsize=inches, layout="constrained")
    axes = figure.add_subplot()
    couplings = _draw_couplings(axes, device, places, colours.edges)
    qubits = _draw_qubits(axes, places, colours.qubits, ringed, labels)
    for artist, title in ((qubits, colours.qubit_title), (couplings, colours.edge_title)):
        if artist is not None:
            outliers = artist.get_array().max() > artist.norm.vmax
            extend = "max" if outliers else "neither"
            figure.colorbar(artist, ax=axes, label=title, format=_percent, extend=extend, **_BAR)
    axes.set_title(device.name, color=INK, fontsize=11, fontweight="bold", loc="left")
    axes.set(aspect="equal", xlim=(left, right), ylim=(bottom, top))
    axes.set_axis_off()
    return figure


def _labels(device: Device, compiled: Compiled | None) -> dict[int, str]:
    """What a compiled circuit writes at physical qubits: their logical qubits, start and end."""
    if compiled is None:
        return {}
    if compiled.device_name != device.name:
        raise UsageError(
            f"the circuit was compiled for {compiled.device_name}, so it cannot be shown on a map "
            f"of {device.name}"
        )
    start = {physical: i for i, physical in enumerate(compiled.initial_layout)}
    end = {physical: i for i, physical in enumerate(compiled.final_layout)}
    labels = {}
    for physical in start.keys() | end.keys():
        first, last = start.get(physical), end.get(physical)
        moved = "" if last is None or first == last else f"→{last}"
        labels[physical] = ("" if first is None else str(first)) + moved
    return labels


def _places(device: Device) -> np.ndarray:
    """Positions [qubits, 2], neighbours about 1 apart: from the chip, or unfolded couplings."""
    if device.coords is not None:
        return np.asarray(device.coords, dtype=float) * (1, -1)  # rows run downward
    rustworkx = need("rustworkx", extra="ibm", purpose="drawing a device")
    graph = rustworkx.PyGraph()
    graph.add_nodes_from(range(device.num_qubits))
    graph.add_edges_from_no_data([*device.edges, *device.dead_edges])
    return _unfolded(rustworkx.distance_matrix(graph, null_value=device.num_qubits))


def _unfolded(distances: np.ndarray) -> np.ndarray:
    """Positions [qubits, 2] as far apart as these distances say, the longest extent lying flat.

    Classical multidimensional scaling gives a map without twists, and the steps of SMACOF
    (de Leeuw 1977) lessen its stress.
    """
    centring = np.eye(len(distances)) - 1 / len(distances)
    values, vectors = np.linalg.eigh(-centring @ distances**2 @ centring / 2)
    scaled = vectors * np.sqrt(np.maximum(values, 0))
    places = np.pad(scaled, ((0, 0), (1, 0)))[:, :-3:-1]
    for _ in range(100):
        now = np.linalg.norm(places[:, None] - places[None], axis=-1)
        ratio = np.divide(distances, now, out=np.zeros_like(now), where=now > 0)
        places = (np.diag(ratio.sum(1)) - ratio) @ places / len(distances)
    return places


def _draw_couplings(axes: Axes, device: Device, places: np.ndarray, errors: Sequence[float]) -> Any:
    collections = need("matplotlib.collections", extra="plot", purpose="drawing a device")
    dead = [places[list(edge)] for edge in device.dead_edges]
    axes.add_collection(
        collections.LineCollection(dead, colors=SOFT, linewidths=1.2, linestyles=":", zorder=1)
    )
    if not device.edges:
        return None
    lines = collections.LineCollection(
        [places[list(edge)] for edge in device.edges], cmap=_COLORS, linewidths=5, zorder=1
    )
    lines.set_array(errors)
    lines.set_norm(_scale(errors))
    axes.add_collection(lines)
    return lines


def _draw_qubits(
    axes: Axes,
    places: np.ndarray,
    errors: Sequence[float],
    ringed: set[int],
    labels: dict[int, str],
) -> Any:
    qubits = range(len(places))
    dots = axes.scatter(
        places[:, 0],
        places[:, 1],
        c=errors,
        cmap=_COLORS,
        norm=_scale(errors),
        s=330,
        edgecolors=[CHOSEN if qubit in ringed else PALE for qubit in qubits],
        linewidths=[3.0 if qubit in ringed else 1.0 for qubit in qubits],
        zorder=2,
    )
    fills = dots.to_rgba(np.asarray(errors))
    for qubit, (x, y) in enumerate(places):
        if len(places) <= _LABELLED or qubit in ringed:
            light = np.dot(fills[qubit, :3], (0.299, 0.587, 0.114)) > 0.5
            color = INK if light else "white"
            axes.text(x, y, str(qubit), color=color, ha="center", va="center", fontsize=8)
        if qubit in labels:
            _label(axes, (x, y), f"q{labels[qubit]}")
    return dots


def _scale(errors: Sequence[float]) -> Any:
    """Colours from 0 to the largest error, but outliers share the darkest one."""
    colors = need("matplotlib.colors", extra="plot", purpose="drawing a device")
    largest, usual = max(errors), 4 * float(np.median(errors))
    return colors.Normalize(0, min(largest, usual) or largest or 1.0)


def _label(axes: Axes, place: tuple[float, float], text: str) -> None:
    """A logical qubit, above its physical one."""
    effects = need("matplotlib.patheffects", extra="plot", purpose="drawing a device")
    axes.annotate(
        text,
        place,
        xytext=(0, 17),
        textcoords="offset points",
        color=CHOSEN,
        fontsize=9,
        fontweight="bold",
        ha="center",
        path_effects=[effects.withStroke(linewidth=3, foreground="white")],
    )


def _percent(value: float, _: int | None = None) -> str:
    return f"{value:.2%}" if value < 0.01 else f"{value:.1%}"
