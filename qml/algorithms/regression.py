"""Quantum regression: functions as expectation values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from qml.nn.model import QuantumLayer, Runnable
from qsim import Circuit
from qsim.observables import Observables


class Regressor(QuantumLayer):
    """Expectation values, scaled and shifted to the targets.

    Quantum circuit learning (Mitarai et al., arXiv:1803.00745). What it can become is a Fourier
    series whose frequencies come from how often the circuit encodes a feature (Schuld, Sweke and
    Meyer, arXiv:2008.08605): take an encoder again and again, or
    `qml.nn.ansatz.data_reuploading`.

    Args:
        circuit: with inputs and weights.
        observables: one for each target; Z on every qubit by default.
        options: of `qml.nn.model.QuantumLayer`.

    Example:
        model = Regressor(data_reuploading(Circuit(1), 4, 1))
        fit(model, train, valid, TrainConfig(), seed=0, loss=torch.nn.functional.mse_loss)
    """

    def __init__(self, circuit: Circuit, observables: Observables = None, **options: Any) -> None:
        super().__init__(circuit, observables, **options)
        self.scale = nn.Parameter(torch.ones(len(self.observables)))
        self.shift = nn.Parameter(torch.zeros(len(self.observables)))

    def forward(self, x: Tensor | None = None, circuit: Runnable | None = None) -> Tensor:
        """x [batch, num_inputs] in radians -> [batch, targets]."""
        return super().forward(x, circuit) * self.scale + self.shift
