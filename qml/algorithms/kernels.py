"""Quantum kernels: how much the states of two samples overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from qsim import Circuit, state


def fidelity_kernel(
    circuit: Circuit, x: Tensor, y: Tensor | None = None, weights: Tensor | None = None
) -> Tensor:
    """|<psi(y_j)|psi(x_i)>|^2 of all pairs (Havlicek et al., arXiv:1804.11326).

    Every sample is run once, and one product of matrices gives all overlaps. Differentiable.

    Args:
        circuit: an encoder, also one with weights.
        x: inputs, real [rows, num_inputs].
        y: real [columns, num_inputs]; x by default.
        weights: real [num_weights].

    Returns:
        real [rows, columns].
    """
    left = state(circuit, weights, x)
    right = left if y is None else state(circuit, weights, y)
    return (left @ right.mH).abs().square()


def alignment(kernel: Tensor, labels: Tensor) -> Tensor:
    """How well a kernel matches labels, at most 1: <K, T> / |K| |T| with T = 1 for equal labels.

    A scalar to maximize by the weights of an encoder (Hubregtsen et al., arXiv:2105.02276). T is -1
    for different labels.
    """
    target = torch.where(labels[:, None] == labels, 1.0, -1.0).to(kernel.dtype)
    return (kernel * target).sum() / (kernel.norm() * target.norm())


class QuantumKernel:
    """`fidelity_kernel` on arrays of NumPy, as scikit-learn takes it.

    Example:
        machine = SVC(kernel=QuantumKernel(zz_feature_map(Circuit(4)))).fit(x, labels)
    """

    def __init__(self, circuit: Circuit, weights: Tensor | None = None) -> None:
        self.circuit = circuit
        self.weights = None if weights is None else weights.detach()

    @torch.no_grad()
    def __call__(self, x: Any, y: Any = None) -> np.ndarray:
        """Samples [rows, num_inputs], [columns, num_inputs] -> float64 [rows, columns]."""
        left = torch.as_tensor(np.asarray(x, dtype=np.float32))
        right = None if y is None or y is x else torch.as_tensor(np.asarray(y, dtype=np.float32))
        weights = None if self.weights is None else self.weights.to(left.dtype)
        return fidelity_kernel(self.circuit, left, right, weights).double().numpy()
