"""Figures, by what they draw."""

import pytest
import torch
from torch import nn

from classical.errors import UsageError
from classical.plots import plot_weights


def test_a_histogram_holds_the_weights_that_are_not_zero() -> None:
    pytest.importorskip("matplotlib")
    model = nn.Sequential(nn.Linear(8, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    with torch.no_grad():
        model[0].weight[:2] = 0
    first, second = plot_weights(model).axes
    assert [axis.get_title() for axis in (first, second)] == ["0.weight", "2.weight"]
    assert sum(bar.get_height() for bar in first.patches) == 3 * 8
    assert sum(bar.get_height() for bar in second.patches) == 10
    assert first.get_xlabel() == "40% zeros"


def test_without_weights_there_is_nothing_to_plot() -> None:
    with pytest.raises(UsageError, match="no parameter of two dimensions"):
        plot_weights(nn.BatchNorm2d(3))
