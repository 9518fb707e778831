"""Scores of untrained networks, against sums by hand."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from classical.errors import UsageError
from classical.models import VGG
from classical.nas import gradsign, naswot, synflow


def test_synflow_of_two_layers_by_hand() -> None:
    model = nn.Sequential(
        nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2), nn.ReLU6(), nn.Linear(2, 1, bias=False)
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[10.0, -20.0], [3.0, 4.0]]))
        model[3].weight.copy_(torch.tensor([[-5.0, 6.0]]))
    # Every layer's saliencies sum to the output, |w2| |w1| 1.
    assert synflow(model, torch.zeros(1, 2)) == pytest.approx(math.log(2 * (5 * 30 + 6 * 7)))


def test_naswot_by_the_definition() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(3, 6), nn.ReLU()), torch.randn(4, 3)
    codes = (model[0](x) > 0).tolist()
    agreements = [[sum(a == b for a, b in zip(p, q, strict=True)) for q in codes] for p in codes]
    expected = torch.tensor(agreements, dtype=torch.float64).det().abs().log()
    assert naswot(model, x) == pytest.approx(expected.item())
    assert not model[1]._forward_hooks


def test_gradsign_by_single_gradients() -> None:
    torch.manual_seed(0)
    model, x, y = VGG((4, "pool", 4)), torch.rand(5, 1, 8, 8), torch.arange(5)
    score = gradsign(model, x, y)
    assert model.training
    model.eval()
    signs = []
    for k in range(5):
        loss = cross_entropy(model(x[k : k + 1]), y[k : k + 1])
        signs.append([g.sign() for g in torch.autograd.grad(loss, list(model.parameters()))])
    expected = sum(torch.stack(one).sum(0).abs().sum() for one in zip(*signs, strict=True))
    # A gradient of zero in one order of sums is a tiny one in another.
    assert score == pytest.approx(float(expected), rel=0.02)


def test_wider_networks_score_higher_and_nothing_changes() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(16, 1, 8, 8), torch.arange(16) % 10
    small, large = VGG((4, "pool", 4)), VGG((16, "pool", 32))
    before = copy.deepcopy(small.state_dict())
    assert synflow(small, x[:1]) < synflow(large, x[:1])
    assert naswot(small, x) < naswot(large, x)
    assert gradsign(small, x, y) < gradsign(large, x, y)
    assert all(torch.equal(small.state_dict()[name], value) for name, value in before.items())


def test_networks_without_rectifiers_are_refused() -> None:
    with pytest.raises(UsageError, match="16 samples and 0 such modules in Linear"):
        naswot(nn.Linear(2, 2), torch.ones(16, 2))
