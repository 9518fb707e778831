"""Figures with one panel for every name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from classical.errors import UsageError, need


def panels(
    names: Sequence[str], columns: int, purpose: str, **options: Any
) -> tuple[Any, list[Any]]:
    """A matplotlib figure, and its axes with the names as titles.

    Args:
        names: of the panels.
        columns: how many stand in a row.
        purpose: of the figure, for the error.
        options: of matplotlib's `subplots`, such as sharey=True.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    # Without pyplot, which would keep the figure open.
    library = need("matplotlib.figure", extra="plot", purpose=purpose)
    rows = -(-len(names) // columns)
    figure = library.Figure(figsize=(4 * columns, 2.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options).flatten().tolist()
    for axis in axes[len(names) :]:
        axis.remove()
    for axis, name in zip(axes, names, strict=False):
        axis.set_title(name)
    return figure, axes[: len(names)]


def plot_weights(model: nn.Module, bins: int = 64, columns: int = 3) -> Any:
    """Histograms of the weights that are not zero, and how many are, as a matplotlib figure.

    Args:
        model: a panel shows each of its parameters of two dimensions or more.
        bins: of a histogram.
        columns: panels in a row.

    Raises:
        UsageError: if there is no such parameter, or matplotlib is not installed.
    """
    weights = {name: p.detach().cpu() for name, p in model.named_parameters() if p.ndim > 1}
    if not weights:
        raise UsageError("there is no parameter of two dimensions or more to plot")
    figure, axes = panels(list(weights), columns, "plotting weights")
    for axis, weight in zip(axes, weights.values(), strict=True):
        values = weight[weight != 0]
        axis.hist(values.numpy(), bins)
        axis.set_xlabel(f"{1 - len(values) / weight.numel():.0%} zeros")
    return figure
