"""A device and a classifier of two qubits for it."""

from __future__ import annotations

import pytest
import torch

from compile import Device
from qml.data.tasks import Split
from qml.nn.model import Classifier
from qsim import Circuit, Input, Weight


@pytest.fixture(scope="session")
def quito() -> Device:
    return Device.from_name("quito")


@pytest.fixture
def classifier() -> Classifier:
    """Weight 0 in two gates, with scales; a controlled gate, whose angle has two frequencies."""
    circuit = Circuit(2).ry(Input(0), 0).ry(Input(1), 1).ry(Weight(0), 0).rx(2 * Weight(0), 1)
    circuit.cry(Weight(1), 0, 1).rz(Weight(2), 1).ry(Weight(3), 1)
    return Classifier(circuit, 2, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def split() -> Split:
    x = 3 * torch.rand(24, 2, generator=torch.Generator().manual_seed(0))
    return Split(x, (x[:, 0] > x[:, 1]).long())
