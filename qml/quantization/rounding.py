"""Models with weights on a grid: rounded after training, or trained there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.utils import parametrize

from qml.nn.model import QuantumLayer, duplicate
from qml.pruning.angles import Grid, check_finite
from qml.pruning.loop import Model
from qsim.errors import UsageError


def quantize(model: Model, grid: Grid) -> Model:
    """A copy of the model whose weights are rounded to the grid.

    Example:
        quantized = quantize(model, uniform_grid(model.circuit, bits=4))

    Raises:
        UsageError: for the grid of another circuit, or weights that are no numbers.
    """
    _check(model, grid)
    rounded = duplicate(model)
    rounded.weights = nn.Parameter(grid.nearest(model.weights.detach()))
    return rounded


@contextmanager
def straight_through(model: QuantumLayer, grid: Grid) -> Iterator[None]:
    """Train a model on the grid: in here its weights are rounded, afterwards they stay so.

    Gradients pass the rounding as if it was not there (Bengio et al., arXiv:1308.3432), and move
    angles behind it. A checkpoint that is made in here is loaded in here.

    Example:
        with straight_through(model, uniform_grid(model.circuit, bits=4)):
            fit(model, task.train, task.valid, config, seed=0)

    Raises:
        UsageError: for the grid of another circuit, weights that are no numbers, or a model that is
            trained on a grid already.
    """
    if parametrize.is_parametrized(model, "weights"):
        raise UsageError("this model is trained on a grid already: leave that one first")
    _check(model, grid)
    parametrize.register_parametrization(model, "weights", _Rounded(grid))
    try:
        yield
    finally:
        parametrize.remove_parametrizations(model, "weights")


class _Rounded(nn.Module):
    """Rounds in the forward pass only."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, weights: Tensor) -> Tensor:
        return weights + (self.grid.nearest(weights) - weights).detach()


def _check(model: QuantumLayer, grid: Grid) -> None:
    if len(grid.steps) != len(model.weights):
        raise UsageError(
            f"the grid is of {len(grid.steps)} weights, but the model has {len(model.weights)}: "
            "make the grid of model.circuit"
        )
    check_finite(model.weights, "quantization")
