"""One bit: XNOR-Net (Rastegari et al., arXiv:1603.05279), and its products by counting bits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.quantization.quantizers import straight_through


def sign(x: Tensor) -> Tensor:
    """-1 or 1, where 0 counts as positive: the one value that a bit cannot hold."""
    return torch.where(x < 0, -1.0, 1.0).to(x.dtype)


class BinaryWeight(nn.Module):
    """Signs times one factor for each output: their mean magnitude, which is nearest."""

    def forward(self, weight: Tensor) -> Tensor:
        """[outputs, ...] -> the same."""
        factor = weight.abs().flatten(1).mean(1).reshape(-1, *[1] * (weight.dim() - 1))
        return factor.detach() * straight_through(weight.clamp(-1, 1), sign(weight))


class BinaryActivation(nn.Module):
    """Signs; gradients pass where inputs lie within -1 and 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return straight_through(x.clamp(-1, 1), sign(x))


def pack_signs(x: Tensor) -> np.ndarray:
    """Signs of rows as bits, 1 where not negative.

    Args:
        x: [rows, values].

    Returns:
        uint64 [rows, words]; what is left of the last word is 0.
    """
    bits = np.packbits((x >= 0).cpu().numpy(), axis=1, bitorder="little")
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)


def binary_matmul(a: np.ndarray, b: np.ndarray, length: int) -> np.ndarray:
    """Products of rows of signs, by exclusive or and counting of bits.

    Args:
        a: uint64 [rows, words] of `pack_signs`.
        b: uint64 [columns, words].
        length: values of a row before packing.

    Returns:
        int32 [rows, columns]: sign(A) @ sign(B).T.

    Raises:
        UsageError: if rows do not have the words for this length.
    """
    words = -(-length // 64)
    if a.shape[1:] != (words,) or b.shape[1:] != (words,):
        raise UsageError(
            f"rows of {length} signs take {words} words, not {a.shape[1:]} and {b.shape[1:]}"
        )
    different = np.zeros((len(a), len(b)), np.int32)
    for word in range(words):
        different += np.bitwise_count(a[:, word, None] ^ b[None, :, word])
    return length - 2 * different


class PackedLinear(nn.Module):
    """A linear layer of 1-bit weights and inputs, 1/32 of the memory.

    Args:
        layer: as trained with `BinaryWeight` and `BinaryActivation`, plain or not.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()
        self.length = layer.in_features
        self.words = pack_signs(weight)
        self.factor = weight.abs().mean(1)
        self.bias = None if layer.bias is None else layer.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs] -> [batch, outputs]."""
        products = torch.from_numpy(binary_matmul(pack_signs(x), self.words, self.length))
        y = products * self.factor
        return y if self.bias is None else y + self.bias
