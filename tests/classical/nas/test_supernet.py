"""The supernet: what is cut out computes what it computed inside, and everything learns."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from classical.data import DataSet
from classical.errors import UsageError
from classical.metrics import count_parameters
from classical.nas import (
    MobileNet,
    MobileSpace,
    SampledSubnets,
    Stage,
    Supernet,
    recalibrated,
    shrink,
    subnet_accuracy,
)
from classical.training import TrainConfig, accuracy, train


def _disturbed(supernet: Supernet) -> Supernet:
    """Every value at random, so that no slice is like another."""
    with torch.no_grad():
        for value in (*supernet.parameters(), *supernet.buffers()):
            if value.is_floating_point():
                value.add_(0.1 * torch.rand_like(value))
    return supernet


@pytest.mark.parametrize("seed", range(8))
def test_an_extracted_network_gives_the_same_logits(supernet: Supernet, seed: int) -> None:
    supernet = _disturbed(supernet).eval()
    gene = supernet.space.sample(np.random.default_rng(seed))
    net, x = supernet.extract(gene), torch.rand(3, 1, 8, 8)
    assert torch.equal(net(x), supernet(x, gene))
    assert count_parameters(net) == count_parameters(MobileNet(supernet.mobile.plan(gene)))


def test_an_extracted_network_is_free_of_the_supernet(supernet: Supernet) -> None:
    before = copy.deepcopy(supernet.state_dict())
    net = supernet.extract(supernet.space.largest)
    with torch.no_grad():
        for value in net.parameters():
            value.zero_()
    assert all(torch.equal(supernet.state_dict()[k], v) for k, v in before.items())


def test_smaller_kernels_are_transformed_centres(supernet: Supernet) -> None:
    gene = {**supernet.space.largest, "kernel.0.0": 3}
    name = "stages.0.0.layers.depthwise.conv.weight"
    full = supernet.full.state_dict()[name]
    found = supernet.extract(gene).state_dict()[name]
    assert torch.equal(found, full[..., 2:5, 2:5])  # the matrices begin as identities
    five, three = (supernet.transforms[f"{name.replace('.', '/')}/{size}"].data for size in (5, 3))
    five.copy_(2 * torch.eye(25))
    three.copy_(torch.eye(9).flip(1))
    found = supernet.extract(gene).state_dict()[name]
    assert torch.equal(found, 2 * full[..., 2:5, 2:5].flip(-1, -2))


def test_gradients_reach_what_a_subnet_has_and_nothing_else(supernet: Supernet) -> None:
    gene = supernet.space.canonical({**supernet.space.smallest, "depth.1": 2, "kernel.1.1": 5})
    supernet(torch.rand(2, 1, 8, 8), gene).square().sum().backward()
    touched = {name for name, p in supernet.named_parameters() if p.grad is not None}
    assert not any("stages.1.2." in name or "stages.0.1." in name for name in touched)
    weight = supernet.full.get_parameter("stages.1.1.layers.project.conv.weight")
    assert weight.grad is not None
    assert weight.grad[:8, :16].abs().min() > 0
    assert weight.grad[8:].abs().max() == weight.grad[:, 16:].abs().max() == 0
    transforms = [name for name in touched if name.startswith("transforms")]
    assert any("stages/1/1" in name and name.endswith("/5") for name in transforms)
    assert not any("stages/1/1" in name and name.endswith("/3") for name in transforms)


def test_sorting_channels_changes_nothing_but_their_order(supernet: Supernet) -> None:
    supernet = _disturbed(supernet).eval()
    x, largest = torch.rand(3, 1, 8, 8), supernet.space.largest
    narrow = {**largest, "expansion.1.0": 2}
    before, narrow_before = supernet(x, largest), supernet(x, narrow)
    supernet.sort_channels()
    assert torch.allclose(supernet(x, largest), before, atol=1e-5)
    assert not torch.allclose(supernet(x, narrow), narrow_before, atol=1e-5)
    weight = supernet.full.get_parameter("stages.0.0.layers.project.conv.weight")
    sums = weight.abs().sum((0, 2, 3))
    assert torch.equal(sums, sums.sort(descending=True).values)


def test_statistics_are_those_of_the_images(digits: DataSet) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    before = copy.deepcopy(model.state_dict())
    images = digits.train.x[:600]
    found = recalibrated(model, images, batch_size=200)
    seen = model[0](images).transpose(0, 1).flatten(1)
    assert torch.allclose(found[1].running_mean, seen.mean(1), atol=1e-5)
    assert torch.allclose(found[1].running_var, seen.var(1), rtol=0.02)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert (found[1].momentum, found.training, model.training) == (0.1, False, True)
    with pytest.raises(UsageError, match="some images, and none were given"):
        recalibrated(model, images[:0])


def test_progressive_shrinking_trains_all_networks(digits: DataSet) -> None:
    torch.manual_seed(0)
    mobile = MobileSpace(
        (Stage(8, (1, 2)), Stage(16, (1,))),
        resolutions=(6, 8),
        widths=(0.5, 1.0),
        kernels=(3, 5),
        expansions=(2, 4),
        stem=8,
        head=32,
    )
    supernet = Supernet(mobile)
    records = shrink(supernet, digits, TrainConfig(epochs=3, lr=0.2))
    assert list(records) == ["largest", "resolution", "kernel", "depth", "expansion", "width"]
    score = subnet_accuracy(supernet, digits)
    alone = MobileNet(mobile.plan(mobile.space.smallest))
    assert score(mobile.space.smallest) > 0.5  # guessing gives 0.1
    assert score(mobile.space.largest) > 0.9
    assert accuracy(recalibrated(alone, digits.train.x), digits.valid) < 0.4


def test_sampled_networks_by_the_formula(supernet: Supernet, digits: DataSet) -> None:
    supernet = supernet.eval()
    x, y = digits.valid.x[:8], digits.valid.y[:8]
    largest = supernet.space.opened([])  # a single network, which is its own teacher
    loss = SampledSubnets(largest, supernet.extract(supernet.space.largest))
    assert torch.allclose(loss(supernet, x, y), nn.functional.cross_entropy(supernet(x), y))


def test_what_does_not_fit_is_refused(supernet: Supernet, digits: DataSet) -> None:
    with pytest.raises(UsageError, match=r"kernel\.0\.0 cannot be 9: choose one of \(3, 5, 7\)"):
        supernet(digits.example, {**supernet.space.largest, "kernel.0.0": 9})
    with pytest.raises(UsageError, match="the gene does not say 'resolution'"):
        supernet.extract({})
    with pytest.raises(UsageError, match="no choices of kind 'heads'"):
        shrink(supernet, digits, phases=["heads"])
    with pytest.raises(UsageError, match="at least 1 sub-net"):
        SampledSubnets(supernet.space, nn.Identity(), samples=0)


def test_a_supernet_is_a_network_for_train(supernet: Supernet, digits: DataSet) -> None:
    train(supernet, digits, TrainConfig(epochs=2, lr=0.2))
    largest = supernet.extract(supernet.space.largest)
    assert accuracy(supernet, digits.test) == accuracy(largest, digits.test) > 0.3
