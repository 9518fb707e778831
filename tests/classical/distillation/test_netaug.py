"""NetAug: a tiny sub-net learns beside larger ones."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from classical.data import load_images
from classical.distillation import NetAug
from classical.errors import UsageError
from classical.nas import MobileSpace, Stage, Supernet, recalibrated
from classical.training import TrainConfig, accuracy, train


def _supernet() -> Supernet:
    torch.manual_seed(0)
    return Supernet(
        MobileSpace(
            (Stage(8), Stage(16)),
            resolutions=(8,),
            widths=(0.5, 1.0),
            kernels=(3,),
            expansions=(2, 4),
            stem=8,
            head=32,
        )
    )


def test_it_sums_the_tiny_network_and_a_larger_one() -> None:
    net = _supernet().eval()
    x, y = torch.rand(4, 1, 8, 8), torch.arange(4)
    largest = net.space.largest  # nothing is larger: both terms are the same
    expected = 1.5 * cross_entropy(net(x, largest), y)
    assert torch.allclose(NetAug(net, largest, weight=0.5)(net, x, y), expected)


def test_the_tiny_network_learns() -> None:
    data, net = load_images("digits"), _supernet()
    tiny = net.space.canonical(net.space.smallest)
    train(net, data, TrainConfig(epochs=6, lr=0.2), loss=NetAug(net, tiny))
    assert accuracy(recalibrated(net.extract(tiny), data.train.x), data.test) > 0.8


def test_plain_networks_and_unknown_genes_are_refused() -> None:
    net = _supernet()
    with pytest.raises(UsageError, match="NetAug trains a Supernet, and a Linear was given"):
        NetAug(net, net.space.smallest)(nn.Linear(2, 2), torch.ones(1, 2), torch.zeros(1).long())
    with pytest.raises(UsageError, match=r"width cannot be 0\.1: choose one of"):
        NetAug(net, {**net.space.smallest, "width": 0.1})
