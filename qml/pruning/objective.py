"""A loss as a function of a circuit's weights alone, and its derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from qml.data.tasks import Split
from qml.nn.model import QuantumLayer
from qml.training.loop import Loss

_STEP = 0.1  # radians


@dataclass(frozen=True)
class Objective:
    """What pruning and quantization ask how much an angle matters.

    Attributes:
        model: whose weights these are; `model.on(noisy)` for the loss under noise.
        data: the samples; for an energy one, whose x is [1, 0].
        loss: of the model's outputs and the targets, as for `fit`; for an energy `lambda outputs,
            _: outputs.mean()`.
    """

    model: QuantumLayer
    data: Split
    loss: Loss = cross_entropy

    def __call__(self, weights: Tensor) -> Tensor:
        """The loss at weights [W], or [samples, W] with some for each sample: a scalar."""
        training = self.model.training
        self.model.eval()  # asking changes no statistics and draws nothing
        try:
            outputs = functional_call(self.model, {"weights": weights}, (self.data.x,))
        finally:
            self.model.train(training)
        return self.loss(outputs, self.data.y)

    def gradient(self, weights: Tensor) -> Tensor:
        """Of the loss at weights, in the shape of these."""
        leaf = weights.detach().clone().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(self(leaf), leaf)
        return gradient

    def fisher(self, weights: Tensor) -> Tensor:
        """Diagonal of the empirical Fisher information: mean squared gradients by sample [W].

        The loss has to be a mean over the samples.
        """
        samples = len(self.data)
        by_sample = samples * self.gradient(weights.detach().expand(samples, -1))
        return by_sample.square().mean(0)

    @torch.no_grad()
    def curvature(self, weights: Tensor) -> Tensor:
        """Second derivatives of the loss by each weight [W], by central differences.

        They cost two evaluations each, for any loss and engine; with steps of 0.1 rad the error is
        a few hundredths, in single precision too.
        """
        shifts = _STEP * torch.eye(len(weights), dtype=weights.dtype, device=weights.device)
        middle = self(weights)
        bent = [self(weights + shift) + self(weights - shift) - 2 * middle for shift in shifts]
        return torch.stack(bent) / _STEP**2 if bent else weights.clone()
