"""A device and a small classifier for it."""

from __future__ import annotations

import pytest
import torch

from compile import Device
from qml.nn.ansatz import add_template
from qml.nn.encoders import rotation_encoder
from qml.nn.model import Classifier
from qsim import Circuit


@pytest.fixture(scope="session")
def quito() -> Device:
    return Device.from_name("quito")


@pytest.fixture
def classifier() -> Classifier:
    circuit = add_template(rotation_encoder(Circuit(3), gates=("ry",)), "u3cu3_0")
    return Classifier(circuit, 3, generator=torch.Generator().manual_seed(0))
