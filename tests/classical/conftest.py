"""Data and spaces that several tests use, and models that become networks of integers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from classical.data import DataSet, load_images
from classical.models import VGG
from classical.models.efficientnet import InvertedResidual, convolution
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


class Residual(nn.Module):
    """Sums, an operation in place, a result that two others read, a mean instead of a pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 6, 1)
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        torch.relu_(y)  # what reads y from here on gets the result
        y = (y + self.second(y)).relu()
        return self.linear(y.mean((2, 3)))


class Dense(nn.Module):
    """Concatenation of channels that have different scales, cut; flattening of large images."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 5, 3, stride=2, padding=1)
        self.second = nn.Conv2d(5, 3, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.linear = nn.Linear(10 * 36, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        y = torch.cat([y, self.second(y), self.pool(x)], 1).relu()
        return self.linear(y.flatten(1))


def _mobile() -> nn.Module:
    return nn.Sequential(
        convolution(2, 4, 3, 2),
        InvertedResidual(4, 4, 3, 1, 2),
        InvertedResidual(4, 6, 5, 2, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(6, 3),
    )


def _pools() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(1, 2), padding="valid"),
        nn.MaxPool2d(3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 4, padding="same", groups=2),
        nn.AvgPool2d(2, padding=1),
        nn.Hardtanh(-0.2, 0.3),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "vgg": lambda: VGG((4, "pool", 6), 3, in_channels=2),
    "residual": Residual,
    "mobile": _mobile,
    "pools": _pools,
    "dense": Dense,
}


@pytest.fixture
def prepared() -> Callable[[str], tuple[nn.Module, Tensor]]:
    """A model for networks of integers, with normalizations that do something, and images."""
    return _prepared


@pytest.fixture(params=MODELS)
def every_model(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    """Each of these models, one after another."""
    return _prepared(request.param)


def _prepared(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(3)
    model = MODELS[name]()
    x = torch.randn(24, 2, 12, 12)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.momentum = None
    model.train()(x)
    return model, x
