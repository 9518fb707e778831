"""Data that several tests train on."""

import pytest

from classical.data import DataSet, load_images


@pytest.fixture(scope="session")
def digits() -> DataSet:
    pytest.importorskip("sklearn")
    return load_images("digits")
