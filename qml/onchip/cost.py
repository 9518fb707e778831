"""What on-chip training will cost, before anything is run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from qml.nn.model import QuantumLayer
from qml.onchip.executor import OnChip
from qml.onchip.training import OnChipConfig

JOB_SECONDS = 2.0
"""What IBM Quantum counts for a job besides its shots."""

RESET_SECONDS = 250e-6
"""From one shot to the next (`rep_delay`), in which qubits are reset."""


@dataclass(frozen=True)
class Cost:
    """What a training takes.

    Attributes:
        jobs: one for each step.
        circuits: of all steps.
        shots: of all circuits.
        seconds: of the device, estimated: `JOB_SECONDS` a job, and for each shot `RESET_SECONDS`
            and the duration of the circuit.
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
    shots = circuits * chip.shots
    duration = circuit_seconds(chip)
    seconds = JOB_SECONDS * config.steps + shots * (RESET_SECONDS + duration)
    return Cost(config.steps, circuits, shots, seconds)


def circuit_seconds(chip: OnChip) -> float:
    """How long the compiled circuit and its measurement take, by the device's calibration."""
    target = chip.device.backend.target
    circuit = chip.compiled.measured()
    free = dict.fromkeys(circuit.qubits, 0.0)
    index = {qubit: i for i, qubit in enumerate(circuit.qubits)}
    for step in circuit.data:
        if not step.qubits:
            continue
        known = target[step.name].get(tuple(index[q] for q in step.qubits))
        end = max(free[q] for q in step.qubits) + float((known and known.duration) or 0.0)
        free.update(dict.fromkeys(step.qubits, end))
    return max(free.values())
