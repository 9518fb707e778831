import pytest
import torch

from classical.nas import MobileSpace, Supernet


@pytest.fixture
def supernet(mobile: MobileSpace) -> Supernet:
    torch.manual_seed(0)
    return Supernet(mobile)
