"""Pruning by Torch-Pruning: as our own where both follow a model, and where ours does not."""

import copy
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.metrics import count_macs
from classical.models import VGG, EfficientNetLite0
from classical.pruning import (
    ChannelCriterion,
    ChannelGroup,
    ChannelPruner,
    DepGraphPruner,
    Regression,
    batch_norm_scale,
    by_weights,
    l2,
    pruning_report,
)

GENERATOR = torch.Generator().manual_seed(1)
IMAGE = torch.randn(3, 2, 4, 4, generator=GENERATOR)
TOKENS = torch.randn(2, 5, 8, generator=GENERATOR)


class Branches(nn.Module):
    """A residual sum, a depthwise convolution, halves that are multiplied, a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.halves = nn.Conv2d(6, 8, 1)
        self.outer = nn.Conv2d(4, 6, 1)
        self.joint = nn.Conv2d(10, 5, 1)
        self.head = nn.Linear(5 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        one, other = self.halves(self.depthwise(x).relu()).chunk(2, 1)
        both = one * other
        x = self.joint(torch.cat([x + self.outer(both), both], 1)).relu()
        return self.head(x.flatten(1))


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase] = nn.LSTM) -> None:
        super().__init__()
        self.first = nn.Linear(8, 6)
        self.recurrent = kind(6, 5, batch_first=True)
        self.inner, self.last = nn.Linear(5, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner(self.recurrent(self.first(x).relu())[0]).relu())


class Encoder(nn.Module):
    """PyTorch's attention, with three heads of width 4."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 12)
        self.layer = nn.TransformerEncoderLayer(12, 3, 16, batch_first=True)
        self.last = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(self.first(x)).mean(1))


class Joined(nn.Module):
    """What it is given, and a convolution of that, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 4, 1), nn.Conv2d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([x, self.first(x)], 1))


class Added(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.first(x))


def _normalized(blocks: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 8, 1), nn.GroupNorm(blocks, 8), nn.PReLU(8), nn.Conv2d(8, 3, 1), nn.Flatten()
    )


def _instances() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 8, 1),
        nn.InstanceNorm2d(8),
        nn.PReLU(8),
        nn.ConvTranspose2d(8, 3, 2),
        nn.Flatten(),
    )


def _shared() -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 2))
    model[2].weight = model[0].weight
    return model


def _built(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    model = build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.weight, 0.5, 2)
    return model.eval()


def _first(model: nn.Module, group: ChannelGroup) -> Tensor:
    """A criterion by which the first channels leave."""
    return torch.arange(group.units)


@pytest.mark.parametrize(
    ("build", "x", "criterion"),
    [
        (lambda: VGG((4, "pool", 6), 3, 2), IMAGE, None),
        (Branches, IMAGE, None),
        (Branches, IMAGE, by_weights(l2, "in")),
        (Branches, IMAGE, Regression(IMAGE)),
        (EfficientNetLite0, torch.randn(1, 3, 32, 32), batch_norm_scale),
    ],
)
def test_both_remove_the_same_channels(
    build: Callable[[], nn.Module], x: Tensor, criterion: ChannelCriterion | None
) -> None:
    model = _built(build)
    ours = ChannelPruner(x, criterion=criterion)
    ratios = dict.fromkeys(ours.names(model), 0.4)
    expected = ours(model, ratios)
    smaller = DepGraphPruner(x, criterion=criterion)(model, ratios)
    assert count_macs(smaller, x) < count_macs(model, x)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(smaller.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("build", "x", "name", "operation"),
    [
        (Recurrent, TOKENS, "first", "lstm"),
        (_instances, IMAGE, "0", "instance_norm"),
    ],
)
def test_refused_models_compute_what_they_do_with_zeros(
    build: Callable[[], nn.Module], x: Tensor, name: str, operation: str
) -> None:
    model = _built(build)
    with pytest.raises(UsageError, match=rf"{operation} needs .* DepGraphPruner .*qml\[pruning\]"):
        ChannelPruner(x)(model, {name: 0.5})
    smaller = DepGraphPruner(x, criterion=_first)(model, {name: 0.5})
    layer = model.get_submodule(name)
    half = len(layer.weight) // 2
    assert torch.equal(smaller.get_submodule(name).weight, layer.weight[half:])
    layer.weight.data[:half], layer.bias.data[:half] = 0, 0
    with torch.no_grad():
        torch.testing.assert_close(smaller(x), model(x))
    report = pruning_report(model, smaller, x)
    assert report.smaller
    assert report.after.parameters < report.before.parameters


def test_all_heads_of_attention_lose_the_same_places() -> None:
    model = _built(Encoder)
    pruner = DepGraphPruner(TOKENS, criterion=_first)
    assert pruner.groups(model)["first"].units == 4
    smaller = pruner(model, {"first": 0.25, "layer.linear1": 0.5})
    stay = [1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert torch.equal(smaller.first.weight, model.first.weight[stay])
    attention = model.layer.self_attn.in_proj_weight.unflatten(0, (3, 12))[:, stay][:, :, stay]
    assert torch.equal(smaller.layer.self_attn.in_proj_weight, attention.flatten(0, 1))
    assert smaller.layer.linear1.weight.shape == (8, 9)
    assert pruning_report(model, smaller, TOKENS).smaller
    smaller.train()(TOKENS).sum().backward()
    assert pruner(smaller, {"first": 0.3}).first.weight.shape == (6, 8)


def test_blocks_of_a_normalization_stay_of_one_size() -> None:
    pruner, model = DepGraphPruner(IMAGE, criterion=_first), _built(lambda: _normalized(4))
    smaller = pruner(model, {"0": 0.5})
    assert torch.equal(smaller[0].weight, model[0].weight[1::2])
    assert smaller[1].num_channels == smaller[2].num_parameters == 4


def test_the_model_and_what_is_frozen_stay() -> None:
    model = _built(Branches).train()
    model.halves.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    smaller = DepGraphPruner(IMAGE)(model, {"stem": 0.5})
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    for left in (model, smaller):
        assert all(module.training for module in left.modules())
        frozen = [name for name, p in left.named_parameters() if not p.requires_grad]
        assert frozen == ["halves.weight", "halves.bias"]


@pytest.mark.parametrize(
    ("build", "x", "name", "message"),
    [
        (Recurrent, TOKENS, "last", "it makes an output of the model"),
        (lambda: Recurrent(nn.GRU), TOKENS, "first", "Torch-Pruning cannot follow them"),
        (Joined, IMAGE, "first", "Torch-Pruning cannot follow the model"),
        (Added, IMAGE, "first", "they are tied to an input of the model"),
        (_shared, TOKENS, "0", "0.weight and 2.weight are one shared weight"),
        (lambda: _normalized(8), IMAGE, "0", "they leave only all together"),
        (lambda: VGG((4,), 3, 2), IMAGE, "conv7", "there is no group 'conv7'"),
        (lambda: VGG((4,), 3, 2), IMAGE[:0], "backbone.conv0", "there are no samples"),
    ],
)
def test_channels_that_have_to_stay_are_named_with_the_reason(
    build: Callable[[], nn.Module], x: Tensor, name: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        DepGraphPruner(x)(_built(build), {name: 0.5})


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(UsageError, match=r"torch_pruning, which .* 'efficient-qml\[pruning\]'"):
        DepGraphPruner(TOKENS)(_built(Encoder), {"first": 0.5})
