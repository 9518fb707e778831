"""Post-measurement normalization of QuantumNAT (Wang et al., arXiv:2110.11331)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qsim.errors import UsageError

_MIN_STD = 1e-6
"""Far below the 0.01 that a thousand shots leave unsure, so that small signals keep their scale."""


class Normalization(nn.Module):
    """Expectation values of every qubit, shifted to mean 0 and scaled to deviation 1.

    Noise takes <Z> of a qubit to about a <Z> + b, with the same a and b for all samples: normalized
    values are what they would be without noise. While training, and until `calibrate` is called,
    mean and deviation are those of the batch, in evaluation too, as in the paper: a model that was
    trained without noise then reads a noisy device right. Once calibrated, evaluation takes the
    stored ones, and single samples can be read, until training goes on.

    Args:
        num_qubits: values of each sample.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, num_qubits: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_qubits))
        self.register_buffer("std", torch.zeros(num_qubits))

    @property
    def calibrated(self) -> bool:
        """Whether it has statistics of its own."""
        return bool(self.std.any())

    def forward(self, expvals: Tensor) -> Tensor:
        """Real [..., num_qubits] -> the same shape.

        Raises:
            UsageError: for values of another number of qubits, or a single sample before
                calibration.
        """
        if expvals.shape[-1] != len(self.mean):
            raise UsageError(
                f"this normalizes {len(self.mean)} values of a sample, not {expvals.shape[-1]}"
            )
        if self.training:
            self.std = torch.zeros_like(self.std)
        mean, std = (self.mean, self.std) if self.calibrated else _statistics(expvals)
        return (expvals - mean) / std

    def store(self, expvals: Tensor) -> None:
        """Keep mean and deviation of these values for evaluation."""
        mean, std = _statistics(expvals.detach())
        self.mean, self.std = mean.to(self.mean), std.to(self.std)

    def extra_repr(self) -> str:
        return f"{len(self.mean)}{', calibrated' if self.calibrated else ''}"


def _statistics(expvals: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation [num_qubits] over all samples."""
    rows = expvals.flatten(0, -2)
    if len(rows) < 2:
        raise UsageError(
            "one sample has no spread to be normalized by: pass a batch, or call calibrate(model, "
            "samples) first"
        )
    return rows.mean(0), rows.std(0, correction=0) + _MIN_STD


@torch.no_grad()
def calibrate(model: nn.Module, x: Tensor) -> None:
    """Let every normalization of the model keep the statistics of these samples for evaluation.

    Call it with validation samples and the model as it will be run, such as `on_device(model,
    device)`: noise changes the statistics. A model that is `on` something else keeps its own.
    """
    layers = [module for module in model.modules() if isinstance(module, Normalization)]
    for layer in layers:
        layer.std = torch.zeros_like(layer.std)
    training = model.training
    hooks = [layer.register_forward_pre_hook(_store) for layer in layers]
    try:
        model.eval()(x)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()


def _store(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
    assert isinstance(layer, Normalization)
    layer.store(given[0])
