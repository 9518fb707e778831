"""Data and spaces that several tests use."""

import pytest

from classical.data import DataSet, load_images
from classical.nas import MobileSpace, Stage


@pytest.fixture(scope="session")
def digits() -> DataSet:
    pytest.importorskip("sklearn")
    return load_images("digits")


@pytest.fixture(scope="session")
def mobile() -> MobileSpace:
    """A space of tiny networks with every kind of choice."""
    return MobileSpace(
        (Stage(8, (1, 2), 1), Stage(16, (1, 2, 3), 2)),
        resolutions=(6, 8),
        expansions=(2, 4),
        stem=8,
        head=32,
    )
