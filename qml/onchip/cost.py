"""What on-chip training will cost, before anything is run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from compile import estimate_usage
from compile.execution.usage import OVERHEAD
from qml.nn.model import QuantumLayer
from qml.onchip.chip import OnChip
from qml.onchip.training import OnChipConfig


@dataclass(frozen=True)
class Cost:
    """What a training takes.

    Attributes:
        jobs: one for each step.
        circuits: of all steps.
        shots: of all circuits.
        seconds: of the device, as `compile.estimate_usage` estimates them.
    """

    jobs: int
    circuits: int
    shots: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.jobs:,} jobs, {self.circuits:,} circuits, {self.shots:,} shots, "
            f"about {self.seconds:,.0f} s of device time"
        )


def estimate_cost(model: QuantumLayer, chip: OnChip, config: OnChipConfig) -> Cost:
    """What `train_on_chip` will run: circuits and seconds of the device.

    The number of circuits is exact where all gradients are measured, or weights take equally many
    shifts; which ones are pruned is drawn only in training.
    """
    circuits, evenly = 0, torch.ones_like(model.weights).detach()
    for step in range(config.steps):
        wanted = config.wanted(model, evenly, step, np.random.default_rng(step))
        circuits += chip.circuits_of(config.batch_size, wanted)
    usage = estimate_usage(chip.compiled, chip.shots, samples=circuits)
    seconds = usage.seconds + OVERHEAD * (config.steps - 1)  # it counts one job
    return Cost(config.steps, circuits, usage.executions, seconds)
