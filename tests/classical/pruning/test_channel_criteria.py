"""Criteria of channels, against cases by hand."""

import itertools

import pytest
import torch
from torch import nn

from classical.errors import UsageError
from classical.pruning import (
    ChannelPruner,
    NonZeros,
    Regression,
    batch_norm_scale,
    by_weights,
    channel_groups,
    l2,
    scale_penalty,
)
from classical.pruning.channel_criteria import removal_order


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12, 2),
    ).eval()


X = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(0))


def test_weights_are_averaged_over_a_channel() -> None:
    model = _model()
    group = channel_groups(model, X)["0"]
    model[0].weight.data = torch.tensor([3.0, -1.0, 2.0]).reshape(3, 1, 1, 1)
    assert by_weights(l2)(model, group).tolist() == [9.0, 1.0, 4.0]


def test_channels_count_by_the_weights_that_read_them() -> None:
    model = _model()
    group = channel_groups(model, X)["0"]
    read = model[4].weight.detach().unflatten(1, (3, 4))  # four pixels of each channel
    expected = read.square().mean(0).sum(1)
    torch.testing.assert_close(by_weights(l2, "in")(model, group), expected)


def test_the_scale_of_normalization() -> None:
    model = _model()
    model[1].weight.data = torch.tensor([0.5, -2.0, 0.1])
    group = channel_groups(model, X)["0"]
    assert batch_norm_scale(model, group).tolist() == pytest.approx([0.5, 2.0, 0.1])
    assert scale_penalty(model).item() == pytest.approx(2.6)
    assert scale_penalty(nn.ReLU()).item() == 0
    plain = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    with pytest.raises(UsageError, match="the channels of 0 have no batch normalization"):
        ChannelPruner(torch.ones(1, 4), criterion=batch_norm_scale)(plain, {"0": 0.5})


def test_the_share_of_activations_that_are_not_zero() -> None:
    model = _model()
    model[0].weight.data = torch.tensor([1.0, 1.0, -1.0]).reshape(3, 1, 1, 1)
    model[0].bias.data = torch.tensor([0.0, -0.5, 0.0])
    found = NonZeros(X)(model, channel_groups(model, X)["0"])
    share = (X > 0.5).float().mean().item()
    assert found.tolist() == pytest.approx([1.0, share, 0.0])


@pytest.mark.parametrize("seed", range(4))
def test_greedy_removal_is_the_best_at_every_step(seed: int) -> None:
    torch.manual_seed(seed)
    parts = torch.randn(4, 10)
    order = removal_order(parts).argsort().tolist()
    for place in range(10):
        errors = {
            unit: parts[:, [*order[:place], unit]].sum(1).square().sum().item()
            for unit in set(range(10)) - set(order[:place])
        }
        assert order[place] == min(errors, key=errors.__getitem__)


def test_regression_finds_channels_that_cancel() -> None:
    """Two large channels whose contributions cancel go before a small one that counts."""
    model = nn.Sequential(nn.Linear(1, 4, bias=False), nn.Linear(4, 1, bias=False))
    model[0].weight.data = torch.tensor([[5.0], [5.0], [1.0], [2.0]])
    model[1].weight.data = torch.tensor([[1.0, -1.01, 1.0, 1.0]])
    x = torch.linspace(-1, 1, 50)[:, None]
    group = channel_groups(model, x)["0"]
    order = Regression(x)(model, group).argsort().tolist()
    assert order[0] == 2
    smaller = ChannelPruner(x, criterion=Regression(x))(model, {"0": 0.75})
    exact = [
        (smaller(x) - model(x)).square().mean().item(),
        min(
            (x @ model[0].weight[list(keep)].T @ model[1].weight[:, list(keep)].T - model(x))
            .square()
            .mean()
            .item()
            for keep in itertools.combinations(range(4), 1)
        ),
    ]
    assert exact[0] >= exact[1] > 0


def test_contributions_add_up_to_the_outputs() -> None:
    from classical.pruning.channel_criteria import _apart

    torch.manual_seed(0)
    layer, x = nn.Conv2d(3, 2, 3, stride=2, padding=1, bias=False), torch.randn(2, 3, 5, 5)
    with torch.no_grad():
        expected = layer(x)[:, 1].flatten()
        assert torch.allclose(_apart(layer, x, 1).sum(1), expected, atol=1e-5)


def test_hooks_are_taken_away() -> None:
    model = _model().train()
    NonZeros(X)(model, channel_groups(model, X)["0"])
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert model.training
