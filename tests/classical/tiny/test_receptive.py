"""Receptive fields, against where gradients arrive."""

import pytest
import torch
from torch import Tensor, nn

from classical.models import VGG
from classical.models.efficientnet import InvertedResidual
from classical.tiny import Window, receptive_fields


def _seen(model: nn.Module, x: Tensor, pixel: tuple[int, int]) -> list[tuple[int, int]]:
    """Rows and columns, first and last, of the input that a pixel of the output depends on."""
    x = x.clone().requires_grad_()
    model(x)[0, :, pixel[0], pixel[1]].sum().backward()
    assert x.grad is not None
    touched = x.grad[0].abs().sum(0).nonzero()
    return list(zip(touched.amin(0).tolist(), touched.amax(0).tolist(), strict=True))


class _Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.long = nn.Conv2d(3, 4, (5, 3), padding=(2, 1), dilation=1)
        self.short = nn.Conv2d(3, 4, 1)
        self.end = nn.Conv2d(4, 2, 3, stride=2, padding=2, dilation=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.long(x) + self.short(x))


MODELS = {
    "VGG": VGG((4, "pool", 8, 8), in_channels=3).backbone,
    "branches": _Branches(),
    "strided": InvertedResidual(3, 6, 5, 2, 4),
    "residual": nn.Sequential(InvertedResidual(3, 3, 3, 1, 2), nn.AvgPool2d(3, 2, 1)),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("pixel", [(0, 0), (3, 4), (2, 1)])
def test_gradients_arrive_in_the_receptive_field(name: str, pixel: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = MODELS[name].eval().double()
    for part in model.modules():  # rectifiers and maxima would hide a part of the field
        for child, module in part.named_children():
            if isinstance(module, nn.ReLU | nn.ReLU6):
                setattr(part, child, nn.Identity())
            if isinstance(module, nn.MaxPool2d):
                setattr(part, child, nn.AvgPool2d(2))
    x = torch.rand(1, 3, 24, 20, dtype=torch.float64)
    fields = list(receptive_fields(model, x).values())[-1]
    for field, at, seen, size in zip(fields, pixel, _seen(model, x, pixel), (24, 20), strict=True):
        begin, end = field.span((at, at + 1))
        assert seen == (max(begin, 0), min(end, size) - 1)


def test_layers_in_a_row_by_hand() -> None:
    stem, pool = Window(3, 2, 1), Window(2, 2)
    assert pool.of(stem) == Window(5, 4, 1)
    assert Window(3, 4, 1) | Window(5, 4, 0) == Window(6, 4, 1)


def test_what_sees_everything_ends_the_list() -> None:
    fields = receptive_fields(VGG((4, "pool")), torch.zeros(1, 1, 8, 8))
    assert list(fields) == ["backbone.conv0", "backbone.bn0", "backbone.relu0", "backbone.pool1"]
