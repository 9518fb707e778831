"""Shot noise in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qsim.errors import UsageError
from qsim.parameters import whole


class ShotNoise(nn.Module):
    """Lets training see what finitely many shots do to expectation values.

    The mean of so many readings +1 and -1 scatters about <Z> with variance (1 - <Z>**2) / shots,
    nearly as a normal number, which is drawn anew in every step; gradients go through it. Exact
    noise alone teaches a model to read signals that shots drown. In evaluation it does nothing:
    there, run the circuit with shots.

    Args:
        shots: of each expectation value.
    """

    def __init__(self, shots: int = 8192) -> None:
        """Raises UsageError for less than one shot."""
        super().__init__()
        if (whole(shots) or 0) < 1:
            raise UsageError(f"shots are a whole number from 1 on, not {shots!r}")
        self.shots = shots

    def forward(self, expvals: Tensor) -> Tensor:
        """<Z> in [-1, 1] of every qubit, real [..., num_qubits] -> the same shape."""
        if not self.training:
            return expvals
        # Where <Z> is certain the root has no slope; rounding may pass 1.
        variance = (1 - expvals.square()).clamp(min=1e-6) / self.shots
        return expvals + variance.sqrt() * torch.randn_like(expvals)

    def extra_repr(self) -> str:
        return f"{self.shots}"
