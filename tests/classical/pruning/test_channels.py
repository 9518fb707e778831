"""Removing channels: what depends on what, and outputs that stay where only zeros leave."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.metrics import count_macs, count_parameters
from classical.models import VGG, EfficientNetLite0
from classical.pruning import ChannelGroup, ChannelPruner, channel_groups, remove_channels


class Residual(nn.Module):
    """Two blocks whose outputs are added to the same stream, the second after a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.inner = nn.Conv2d(6, 4, 1)
        self.outer = nn.Conv2d(4, 6, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        x = x + self.outer(self.inner(x).relu())
        return self.head(x.mean((2, 3)))


class Concat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(2, 4, 1)
        self.right = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(10)
        self.last = nn.Linear(10 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(torch.cat([self.left(x), self.right(x)], 1)).relu()
        return self.last(nn.functional.max_pool2d(x, 2).flatten(1))


class Depthwise(nn.Module):
    """A depthwise convolution that makes two channels of each, and squeeze-and-excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(2, 6, 1)
        self.depthwise = nn.Conv2d(6, 12, 3, padding=1, groups=6)
        self.squeeze = nn.Conv2d(12, 4, 1)
        self.excite = nn.Conv2d(4, 12, 1)
        self.head = nn.Conv2d(12, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.expand(x).relu()).relu()
        gate = self.excite(self.squeeze(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return self.head(x * gate)


class Attention(nn.Module):
    """Heads of width 4, by PyTorch's function or by matrix products."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.heads = 3
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 36)
        self.project = nn.Linear(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        qkv = self.qkv(self.norm(x)).view(batch, tokens, 3, self.heads, 4)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        if self.fused:
            y = nn.functional.scaled_dot_product_attention(query, key, value)
        else:
            y = (query @ key.transpose(-2, -1) / 2).softmax(-1) @ value
        return x + self.project(y.transpose(1, 2).flatten(2))


IMAGE = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(1))
TOKENS = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
CASES = {
    "sequential": (lambda: VGG((4, "pool", 6), 3, 2), IMAGE),
    "residual": (Residual, IMAGE),
    "concat": (Concat, IMAGE),
    "depthwise": (Depthwise, IMAGE),
    "attention": (lambda: Attention(True), TOKENS),
    "matrix products": (lambda: Attention(False), TOKENS),
    "transposed": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(2, 4, 2), nn.ReLU6(), nn.Conv2d(4, 6, 1), nn.PixelShuffle(1)
        ),
        IMAGE,
    ),
}
GROUPS = {
    "sequential": {"backbone.conv0": 4, "backbone.conv1": 6},
    "residual": {"stem": 6, "inner": 4},
    "concat": {"left": 4, "right": 6},
    "depthwise": {"expand": 6, "squeeze": 4},
    "attention": {"qkv": 3},
    "matrix products": {"qkv": 3},
    "transposed": {"0": 4},
}


def _built(case: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    build, x = CASES[case]
    model = build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return model.eval(), x


def _silence(model: nn.Module, group: ChannelGroup, units: Tensor) -> None:
    """Set to zero all that makes these channels."""
    for member in group.members:
        if member.role in ("out", "scale") or member.tensor.endswith("bias"):
            index = torch.isin(member.units, units).nonzero().flatten()
            model.get_parameter(member.tensor).data.index_fill_(member.dim, index, 0.0)


@pytest.mark.parametrize("case", CASES)
def test_groups_are_what_leaves_together(case: str) -> None:
    model, x = _built(case)
    groups = channel_groups(model, x)
    assert {name: group.units for name, group in groups.groups.items()} == GROUPS[case]


@pytest.mark.parametrize("case", CASES)
def test_outputs_stay_when_channels_of_zeros_leave(case: str) -> None:
    model, x = _built(case)
    groups = channel_groups(model, x).groups.values()
    removals = [(group, torch.arange(0, group.units - 1, 2)) for group in groups]
    for group, units in removals:
        _silence(model, group, units)
    before = copy.deepcopy(model.state_dict())
    smaller = remove_channels(model, removals, x)
    with torch.no_grad():
        assert torch.allclose(smaller(x), model(x), atol=1e-6)
    assert count_parameters(smaller) < count_parameters(model)
    assert count_macs(smaller, x) < count_macs(model, x)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


@pytest.mark.parametrize("case", CASES)
def test_smaller_models_train_and_shrink_again(case: str) -> None:
    model, x = _built(case)
    pruner = ChannelPruner(x)
    smaller = pruner(model, dict.fromkeys(pruner.names(model), 0.3)).train()
    smaller(x).sum().backward()
    assert all(parameter.grad is not None for parameter in smaller.parameters())
    assert pruner.groups(smaller).groups.keys() == GROUPS[case].keys()


def test_sizes_by_hand() -> None:
    model, x = _built("depthwise")
    smaller = ChannelPruner(x)(model, {"expand": 0.5, "squeeze": 0.25})
    assert (smaller.expand.out_channels, smaller.depthwise.groups) == (3, 3)
    assert (smaller.depthwise.in_channels, smaller.depthwise.out_channels) == (3, 6)
    assert smaller.squeeze.weight.shape == (3, 6, 1, 1)
    assert smaller.excite.weight.shape == (6, 3, 1, 1)
    assert smaller.head.in_channels == 6


def test_the_smallest_channels_leave() -> None:
    model, x = _built("residual")
    with torch.no_grad():
        model.inner.weight[1].mul_(1e-3)
    smaller = ChannelPruner(x)(model, {"inner": 0.25})
    assert torch.equal(smaller.inner.weight, model.inner.weight[[0, 2, 3]])
    assert torch.equal(smaller.outer.weight, model.outer.weight[:, [0, 2, 3]])


def test_a_layer_that_is_called_twice_is_cut_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.again, self.last = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.again(self.again(self.first(x)).relu()))

    model, x = Twice(), torch.randn(1, 3)
    assert channel_groups(model, x).groups["first"].units == 8
    assert ChannelPruner(x)(model, {"first": 0.5}).again.weight.shape == (4, 4)


def test_real_networks_shrink() -> None:
    model, x = EfficientNetLite0(), torch.randn(1, 3, 64, 64)
    pruner = ChannelPruner(x)
    names = pruner.names(model)
    # The stem, 15 expansions, 7 stages whose residual sums tie their blocks, and the head.
    assert len(names) == 24
    smaller = pruner(model, dict.fromkeys(names, 0.5))
    assert count_macs(smaller, x) < 0.3 * count_macs(model, x)


def _tied() -> nn.Module:
    model = nn.Sequential(
        nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 6), nn.Linear(6, 2)
    )
    model[2].weight = model[0].weight
    return model


@pytest.mark.parametrize(
    ("model", "x", "name", "message"),
    [
        (VGG((4,), 3, 2), IMAGE, "classifier", "it makes an output of the model"),
        (_tied(), torch.ones(1, 4), "0", "0.weight and 2.weight are one shared weight"),
        (
            nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 4), nn.Linear(4, 2)),
            TOKENS,
            "0",
            "layer_norm mixes its channels",
        ),
        (
            nn.Sequential(
                nn.Linear(8, 8),
                nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
                nn.Linear(8, 3),
            ),
            TOKENS,
            "0",
            "multi_head_attention_forward needs all of its channels",
        ),
        (VGG((4,), 3, 2), IMAGE, "conv7", "there is no group 'conv7': choose of backbone.conv0"),
    ],
)
def test_layers_that_cannot_shrink_are_named_with_the_reason(
    model: nn.Module, x: Tensor, name: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ChannelPruner(x)(model, {name: 0.5})


def test_bad_requests_are_refused() -> None:
    model, x = _built("sequential")
    for ratio in (1.0, -0.1):
        with pytest.raises(UsageError, match="a fraction from 0 up to, but without, 1"):
            ChannelPruner(x)(model, {"backbone.conv0": ratio})
    group = channel_groups(model, x)["backbone.conv0"]
    with pytest.raises(UsageError, match=r"one of the 4 channels of .*conv0 has to stay"):
        remove_channels(model, [(group, torch.arange(4))], x)
    with pytest.raises(UsageError, match=r"no layer has channels .*it makes an output"):
        channel_groups(nn.Linear(2, 2), torch.ones(1, 2))


def test_a_written_size_is_pointed_at() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(OrderedDict(a=nn.Conv2d(2, 4, 1), b=nn.ReLU()))
            self.head = nn.Linear(64, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layers(x).reshape(-1, 64))

    with pytest.raises(UsageError, match="a number of channels is written into its forward pass"):
        ChannelPruner(IMAGE)(Written(), {"layers.a": 0.5})
