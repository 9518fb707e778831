"""A compiled circuit over time, drawn without pyplot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compile.compiled import Compiled
from compile.plots import CHOSEN, INK, PALE, SOFT
from qsim.errors import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ONE, _TWO = "#0072b2", CHOSEN
_NS = 1e9
_HEIGHT = 0.6  # of a gate, between lines that are 1 apart
_NAMED = 0.012  # share of the width from which on a gate bears its name


def plot_timeline(compiled: Compiled) -> Figure:
    """Gates as bars over time, one line for each physical qubit in use; waits are grey.

    Two-qubit gates are drawn on both lines and joined; gates without a duration are ticks.

    Raises:
        UsageError: matplotlib is missing.
    """
    figure_module = need("matplotlib.figure", extra="plot", purpose="drawing a timeline")
    planned = compiled.schedule
    total = planned.seconds * _NS
    used = sorted({q for step in planned.steps for q in step.qubits} | set(compiled.final_layout))
    line = {qubit: k for k, qubit in enumerate(used)}
    figure = figure_module.Figure(figsize=(10, 0.8 + 0.45 * len(used)), layout="constrained")
    axes = figure.add_subplot()
    for after, qubit, seconds in planned.waits:
        _bar(axes, line[qubit], total - planned.ends[after] * _NS, seconds * _NS, PALE)
    for step, end in zip(planned.steps, planned.ends, strict=True):
        if step.name in ("barrier", "delay"):
            continue
        length, rows = step.seconds * _NS, [line[q] for q in step.qubits]
        begin = total - end * _NS - length
        color = _TWO if len(rows) > 1 else _ONE
        for row in rows:
            _bar(axes, row, begin, length, color)
        if len(rows) > 1:
            axes.plot([begin + length / 2] * 2, rows, color=color, linewidth=1.2)
        if length > _NAMED * total:
            place = (begin + length / 2, rows[0])
            axes.annotate(step.name, place, color="white", size=6, ha="center", va="center")
    measured = {physical: i for i, physical in enumerate(compiled.final_layout)}
    names = [f"{q} (q{measured[q]})" if q in measured else str(q) for q in used]
    axes.set_yticks(range(len(used)), names)
    axes.set(ylim=(len(used) - 0.4, -0.6), xlim=(0, total or 1), xlabel="ns")
    axes.set_title(f"{compiled.device_name}: {total:,.0f} ns", color=INK, fontsize=11, loc="left")
    axes.tick_params(colors=SOFT)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def _bar(axes: Axes, row: int, begin: float, length: float, color: str) -> None:
    height = (row - _HEIGHT / 2, _HEIGHT)
    axes.broken_barh([(begin, length)], height, color=color, linewidth=0.5)
