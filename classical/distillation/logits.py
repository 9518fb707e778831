"""Soft labels: the student imitates the probabilities of its teacher."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from classical.errors import UsageError


def frozen(teacher: nn.Module) -> nn.Module:
    """A copy in evaluation mode that is not trained."""
    return copy.deepcopy(teacher).eval().requires_grad_(False)


def soft_divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(teacher || student) of the softened probabilities, the mean of a batch, in nats.

    T^2 keeps the gradients' size when the temperature changes (Hinton et al., arXiv:1503.02531,
    section 2).

    Args:
        student, teacher: logits [batch, classes].
        temperature: T, by which the logits are divided.

    Raises:
        UsageError: for logits of different shapes or a temperature that is not positive.
    """
    if student.shape != teacher.shape:
        raise UsageError(
            f"the student gives logits of shape {tuple(student.shape)} and the teacher of shape "
            f"{tuple(teacher.shape)}: distill between networks of the same classes"
        )
    if temperature <= 0:
        raise UsageError(f"a temperature is positive, and {temperature} was given")
    learned, taught = (log_softmax(logits / temperature, 1) for logits in (student, teacher))
    return temperature**2 * kl_div(learned, taught, reduction="batchmean", log_target=True)


class Logits(nn.Module):
    """weight * T^2 KL(teacher || student) + (1 - weight) * cross-entropy.

    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531).
    """

    def __init__(self, teacher: nn.Module, temperature: float = 4.0, weight: float = 0.9) -> None:
        """Copy the teacher and freeze it.

        Raises:
            UsageError: for a weight outside [0, 1].
        """
        super().__init__()
        if not 0 <= weight <= 1:
            raise UsageError(f"the weight of soft labels is from 0 to 1, and {weight} was given")
        self.teacher = frozen(teacher)
        self.temperature = temperature
        self.weight = weight

    def forward(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Student, inputs and labels [batch] -> the loss in nats."""
        with torch.no_grad():
            taught = self.teacher(x)
        logits = model(x)
        soft = soft_divergence(logits, taught, self.temperature)
        return self.weight * soft + (1 - self.weight) * cross_entropy(logits, y)
