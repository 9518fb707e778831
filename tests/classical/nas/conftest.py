import pytest
import torch

from classical.nas import MobileSpace, Stage, Supernet


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


@pytest.fixture
def supernet(mobile: MobileSpace) -> Supernet:
    torch.manual_seed(0)
    return Supernet(mobile)
