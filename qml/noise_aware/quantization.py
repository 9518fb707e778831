"""Post-measurement quantization of QuantumNAT (Wang et al., arXiv:2110.11331)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from qml.training.loop import Loss
from qsim.errors import UsageError
from qsim.parameters import whole

MIN_LEVELS = 2


class Quantization(nn.Module):
    """Rounds normalized values to equidistant levels, which takes small errors away.

    Values are clipped to [-bound, bound]. In the backward pass it is the identity (straight-through
    estimator, arXiv:1308.3432).

    Args:
        levels: number of levels, in the paper 3 to 6.
        bound: the outermost levels are -bound and bound; normalized values hardly pass 2.
    """

    def __init__(self, levels: int = 5, bound: float = 2.0) -> None:
        """Raises UsageError for less than two levels, or a bound that is not positive."""
        super().__init__()
        count = whole(levels)
        if count is None or count < MIN_LEVELS or not 0 < bound < float("inf"):
            raise UsageError(
                f"quantization takes {MIN_LEVELS} levels or more and a positive bound, not "
                f"{levels!r} levels up to {bound!r}"
            )
        self.levels = count
        self.bound = float(bound)
        self._last: list[Tensor] = []  # one list for all views of the module

    def forward(self, values: Tensor) -> Tensor:
        """Real [...] -> the same shape."""
        step = 2 * self.bound / (self.levels - 1)
        detached = values.detach()
        clipped = detached.clamp(-self.bound, self.bound)
        rounded = ((clipped + self.bound) / step).round() * step - self.bound
        self._last[:] = [(values - rounded).square().mean()]
        return values + (rounded - detached)

    @property
    def loss(self) -> Tensor:
        """Mean squared distance to their levels of the values given last, here or in a view.

        Raises:
            UsageError: before any values.
        """
        if not self._last:
            raise UsageError("nothing was quantized yet: run the model before its loss")
        return self._last[0]

    def extra_repr(self) -> str:
        return f"{self.levels} levels from {-self.bound:g} to {self.bound:g}"


def quantization_loss(model: nn.Module, weight: float = 0.1, loss: Loss = cross_entropy) -> Loss:
    """A loss for `fit` that draws the values in front of every quantization to its levels.

    It is loss(outputs, targets) + weight * sum over quantizations of |y - Q(y)|**2, the mean over
    samples and qubits.

    Args:
        model: what is trained, with one `Quantization` or more; run as it is or on a device.
        weight: of the distance.
        loss: of the outputs.

    Raises:
        UsageError: if nothing in the model quantizes; from the loss, if the model was not run.
    """
    layers = [module for module in model.modules() if isinstance(module, Quantization)]
    if not layers:
        raise UsageError("the model has no Quantization, so it has no quantization loss")

    def total(outputs: Tensor, targets: Tensor) -> Tensor:
        return loss(outputs, targets) + weight * torch.stack([q.loss for q in layers]).sum()

    return total
