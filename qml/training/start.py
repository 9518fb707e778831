"""Where training starts."""

from __future__ import annotations

import torch
from torch import Tensor

from qml.training.loop import epoch_generator
from qsim import Circuit

INITIAL_SPREAD = 0.1  # radians


def near_identity(circuit: Circuit, seed: int, stage: str) -> Tensor:
    """Weights with which gates are close to the identity, float32 [num_weights].

    That is as good a start as any for a single circuit, and a better one for a SuperCircuit: a
    sub-circuit is then close to those with some gates more or less, whose weights it shares.
    """
    rng = epoch_generator(seed, f"{stage}/weights", 0)
    return torch.from_numpy(rng.normal(0, INITIAL_SPREAD, circuit.num_weights)).float()
