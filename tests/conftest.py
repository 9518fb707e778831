"""What all tests share: fixed random seeds, no windows, and the meaning of the mark ``gpu``."""

import os
import random
import sys
from importlib.util import find_spec
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

os.environ["MPLBACKEND"] = "Agg"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (libraries still draw from it)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tq() -> Any:
    """TorchQuantum, without the data sets of torchvision."""
    if find_spec("torchquantum") is None:
        pytest.skip("needs TorchQuantum")
    if find_spec("torchvision") is None:
        for module in ("", ".datasets", ".datasets.utils", ".transforms"):
            sys.modules["torchvision" + module] = MagicMock()
    import torchquantum

    return torchquantum
