"""Quanvolution: a circuit in place of the filters of a convolution."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import unfold

from qml.nn.model import QuantumLayer
from qsim import Circuit
from qsim.errors import UsageError


class Quanvolution(nn.Module):
    """A circuit that slides over images (Henderson et al., arXiv:1904.04767).

    Every patch of every channel is a sample, its pixels in rows are the inputs of the circuit, and
    its expectation values are the channels of the output. All patches of all images run as one
    batch.

    Args:
        circuit: with channels * kernel_size**2 inputs.
        kernel_size, stride, padding: of the patches, as for `nn.Conv2d`.
        trainable: whether the weights are trained; a fixed circuit with random ones is that of the
            paper.
        options: of `qml.nn.model.QuantumLayer`, such as observables.

    Example:
        circuit = random_layer(rotation_encoder(Circuit(4), gates=("ry",)), 12, seed=0)
        model = nn.Sequential(Quanvolution(circuit), nn.Flatten(), nn.Linear(4 * 14 * 14, 10))
    """

    def __init__(
        self,
        circuit: Circuit,
        kernel_size: int = 2,
        stride: int = 2,
        padding: int = 0,
        *,
        trainable: bool = True,
        **options: Any,
    ) -> None:
        """Raises UsageError if the inputs of the circuit are no patches."""
        super().__init__()
        if not circuit.num_inputs or circuit.num_inputs % kernel_size**2:
            raise UsageError(
                f"patches of {kernel_size} x {kernel_size} pixels have a multiple of "
                f"{kernel_size**2} numbers, but the circuit has {circuit.num_inputs} inputs"
            )
        self.layer = QuantumLayer(circuit, **options)
        self.layer.weights.requires_grad_(trainable)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, images: Tensor) -> Tensor:
        """Images [batch, channels, height, width] -> [batch, observables, rows, columns].

        Raises UsageError for another number of channels than the circuit has inputs for.
        """
        if images.dim() != 4 or images.shape[1] * self.kernel_size**2 != self._inputs:
            raise UsageError(
                f"images are [batch, {self._inputs // self.kernel_size**2}, height, width], "
                f"not {list(images.shape)}"
            )
        patches = unfold(images, self.kernel_size, 1, self.padding, self.stride)  # [B, inputs, L]
        values = self.layer(patches.transpose(1, 2).reshape(-1, self._inputs))
        rows = self._steps(images.shape[2])
        return values.reshape(len(images), rows, -1, values.shape[1]).permute(0, 3, 1, 2)

    @property
    def _inputs(self) -> int:
        return self.layer.circuit.num_inputs

    def _steps(self, pixels: int) -> int:
        return (pixels + 2 * self.padding - self.kernel_size) // self.stride + 1
