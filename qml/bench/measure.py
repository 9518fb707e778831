"""What a trained model comes to on a device: accuracy without noise and under it, and gates."""

from __future__ import annotations

from typing import Any

import torch

from compile import NoisyCircuit, compile, noisy
from qml.bench.cells import Cell, Trained
from qml.nas.estimators import MAX_PHYSICAL
from qml.nn.model import Classifier
from qml.noise_aware.normalization import calibrate
from qml.training.loop import evaluate

_DRAWS = 16
"""Trajectories of a sample for the mean over all, where noise is not exact."""


def measure(cell: Cell, trained: Trained) -> dict[str, Any]:
    """Facts of a row, JSON-able.

    Returns:
        "noise_free" and "noisy", accuracies on test samples, the latter with shots under the
        device's noise; "parameters"; and of the compiled circuit "one_qubit_gates",
        "two_qubit_gates", "depth" and "esp".
    """
    bound = trained.model.bound()
    compiled = compile(bound.circuit, cell.device, layout=trained.layout, seed=cell.seed)
    count = cell.sizes.test_samples[not cell.exact]
    test = cell.task.test.first(count)
    return {
        "noise_free": evaluate(_calibrated(cell, bound.on(None)), test).accuracy,
        "noisy": evaluate(_on_device(cell, bound, noisy(compiled, cell.device)), test).accuracy,
        "parameters": trained.model.circuit.num_weights,
        **compiled.costs,
    }


def _on_device(cell: Cell, model: Classifier, circuit: NoisyCircuit) -> Classifier:
    """The model, read by shots, and normalized by what noise makes of validation samples."""
    generator = torch.Generator().manual_seed(cell.seed)
    exact = circuit.circuit.num_qubits <= MAX_PHYSICAL  # routing may lead a few qubits over many
    method: dict[str, Any] = {} if exact else {"method": "trajectories"}
    draws: dict[str, Any] = method and {"trajectories": _DRAWS, "generator": generator}
    calibrated = _calibrated(cell, model.on(circuit, **method, **draws))
    return calibrated.on(circuit, shots=cell.sizes.shots, generator=generator, **method)


def _calibrated(cell: Cell, model: Classifier) -> Classifier:
    calibrate(model, cell.task.valid.x)
    return model
