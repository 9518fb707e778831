"""What a trained model comes to on a device: accuracy without noise and under it, and gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compile import NoisyCircuit, compile, noisy
from qml.bench.cells import Cell, Trained
from qml.data.tasks import Split
from qml.nn.model import Classifier, Executor
from qml.noise_aware.normalization import calibrate
from qml.training.loop import predict
from qsim.observables import Observables


@dataclass(frozen=True)
class Bound:
    """Runs a compiled circuit whose weights are bound: an executor that needs none."""

    noisy: NoisyCircuit

    def expval(
        self,
        observables: Observables = None,
        weights: Tensor | None = None,
        inputs: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """As `NoisyCircuit.expval`; weights are left aside."""
        return self.noisy.expval(observables, None, inputs, **options)


def measure(cell: Cell, trained: Trained) -> dict[str, Any]:
    """Facts of a row, JSON-able.

    Returns:
        "noise_free" and "noisy", accuracies on test samples, the latter with shots under the
        device's noise; "parameters"; and of the compiled circuit "one_qubit_gates",
        "two_qubit_gates", "depth" and "esp".
    """
    model = trained.model
    circuit = model.circuit.bind(weights=model.weights.detach())
    compiled = compile(circuit, cell.device, layout=trained.layout, seed=cell.seed)
    count = cell.sizes.test_samples
    test = Split(cell.task.test.x[:count], cell.task.test.y[:count])
    return {
        "noise_free": _accuracy(_read_as(model, None, cell), test),
        "noisy": _accuracy(_read_as(model, Bound(noisy(compiled, cell.device)), cell), test),
        "parameters": model.circuit.num_weights,
        "one_qubit_gates": compiled.one_qubit_gates,
        "two_qubit_gates": compiled.two_qubit_gates,
        "depth": compiled.depth,
        "esp": compiled.esp,
    }


def _read_as(model: Classifier, executor: Executor | None, cell: Cell) -> Classifier:
    """The model, run so, with readings normalized as validation samples say."""
    if executor is None:
        calibrated = model.on(None)
        calibrate(calibrated, cell.task.valid.x)
        return calibrated
    generator = torch.Generator().manual_seed(cell.seed)
    options: dict[str, Any] = {"shots": cell.sizes.shots, "generator": generator}
    if not cell.exact:
        options |= {"method": "trajectories", "trajectories": cell.sizes.trajectories[1]}
    calibrated = model.on(executor, **options)
    calibrate(calibrated, cell.task.valid.x)
    return calibrated


def _accuracy(model: Classifier, split: Split) -> float:
    with torch.no_grad():
        return (predict(model, split.x).argmax(1) == split.y).float().mean().item()
