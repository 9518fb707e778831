"""Masks: which weights they choose, by hand, and that they hold while a network is trained."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from classical.data import DataSet, Split
from classical.errors import UsageError
from classical.pruning import (
    Fisher,
    GradualPruner,
    Masks,
    WeightPruner,
    l1,
    l2,
    ladder,
    make_masks,
    prune_iteratively,
)
from classical.training import TrainConfig, accuracy, train


def _linear(values: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(len(values[0]), len(values))
    layer.weight.data = torch.tensor(values)
    return layer


def _digits_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


@pytest.fixture(scope="module")
def trained(digits: DataSet) -> nn.Module:
    model = _digits_model()
    train(model, digits, TrainConfig(epochs=4, lr=0.1))
    return model


def test_the_smallest_weights_go() -> None:
    masks = make_masks(_linear([[0.1, -3.0], [2.0, -0.2]]), 0.5)
    assert masks["weight"].tolist() == [[False, True], [True, False]]
    assert masks.sparsity == 0.5


@pytest.mark.parametrize(
    ("granularity", "units"), [("fine", 36), ("vector", 12), ("kernel", 4), ("channel", 2)]
)
def test_units_of_every_granularity_go_as_one(granularity: str, units: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 2, 3, bias=False)
    mask = make_masks(layer, 0.5, granularity=granularity)["weight"]
    parts = mask.reshape(units, -1)
    assert (parts.all(1) | ~parts.any(1)).all()
    strength = layer.weight.abs().reshape(units, -1).mean(1)
    assert parts.all(1).sum() == units // 2
    assert strength[~parts.any(1)].max() < strength[parts.all(1)].min()


@given(st.integers(1, 40), st.floats(0, 0.999))
def test_so_many_go_as_were_asked_for(size: int, sparsity: float) -> None:
    masks = make_masks(nn.Linear(size, 3), sparsity)
    assert int((~masks["weight"]).sum()) == round(sparsity * (3 * size))


def test_all_layers_compete_under_the_global_scope() -> None:
    model = nn.Sequential(_linear([[0.1, 0.2]]), _linear([[3.0], [4.0]]))
    masks = make_masks(model, 0.5, scope="global")
    assert [int(mask.sum()) for mask in masks.values()] == [0, 2]
    with pytest.raises(UsageError, match="the scope is 'layer'"):
        make_masks(model, {"0.weight": 0.5}, scope="global")


def test_l1_and_l2_differ_where_weights_are_spread() -> None:
    layer = _linear([[1.0, 1.0], [0.0, 1.9]])
    keeps = [
        make_masks(layer, 0.5, granularity="channel", criterion=c)["weight"].any(1).tolist()
        for c in (l1, l2)
    ]
    assert keeps == [[True, False], [False, True]]


def test_fisher_is_the_mean_square_of_single_gradients() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    split = Split(torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1]))
    found = Fisher(model, split, chunk=2)
    assert model.training
    expected = torch.zeros(2, 4)
    model.eval()
    for x, y in zip(split.x, split.y, strict=True):
        model.zero_grad()
        nn.functional.cross_entropy(model(x[None]), y[None]).backward()
        expected += model[2].weight.grad.square() / 5
    assert torch.allclose(found.information["2.weight"], expected, atol=1e-7)
    weight = model[2].weight.detach()
    assert torch.allclose(found("2.weight", weight), expected * weight**2 / 2)
    with pytest.raises(UsageError, match="the split has none"):
        Fisher(model, Split(torch.ones(0, 3), torch.ones(0)))


def test_fisher_spares_what_the_loss_feels() -> None:
    """A small weight on a strong input outlives a larger one on an input that is always zero."""
    layer = _linear([[1.0, 0.1], [-1.0, -0.1]])
    x = torch.tensor([[0.0, 10.0], [0.0, -10.0]])
    fisher = Fisher(layer, Split(x, torch.tensor([1, 0])))
    assert make_masks(layer, 0.5, criterion=fisher)["weight"].tolist() == [[False, True]] * 2
    assert make_masks(layer, 0.5)["weight"].tolist() == [[True, False]] * 2


def test_zeros_are_plain_zeros_and_the_model_is_left_alone() -> None:
    layer = _linear([[-0.1, 3.0]])
    pruned = WeightPruner()(layer, {"weight": 0.5})
    assert layer.weight.tolist() == [[pytest.approx(-0.1), 3.0]]
    assert math.copysign(1, pruned.weight[0, 0].item()) == 1


def test_masks_hold_while_training(digits: DataSet) -> None:
    model = _digits_model()
    masks = make_masks(model, 0.8)
    masks(model)
    train(model, digits, TrainConfig(epochs=2), after_step=[masks])
    for name, mask in masks.items():
        assert torch.equal(model.get_parameter(name) != 0, mask)


def test_gradual_pruning_rises_to_its_target(digits: DataSet) -> None:
    model = _digits_model()
    pruner = GradualPruner(0.8, steps=30, every=7, scope="global")
    assert [pruner.at(step) for step in (0, 15, 30, 99)] == pytest.approx([0, 0.7, 0.8, 0.8])
    found = []
    train(
        model,
        digits,
        TrainConfig(epochs=2),
        after_step=[pruner, lambda _: found.append(pruner.masks.sparsity if pruner.masks else 0)],
    )
    assert found == sorted(found)
    assert found[5] == 0 < found[6] < found[-1] == pytest.approx(0.8, abs=1e-3)
    zeros = sum(int((p == 0).sum()) for p in model.parameters() if p.ndim > 1)
    assert zeros == round(0.8 * (64 * 32 + 320))


def test_rounds_prune_the_same_part_of_what_is_left(digits: DataSet, trained: nn.Module) -> None:
    assert ladder(0.75, 2) == pytest.approx([0.5, 0.75])
    seen = []
    pruned, masks = prune_iteratively(
        trained,
        digits,
        0.75,
        rounds=2,
        config=TrainConfig(epochs=2),
        watch=lambda s, _: seen.append(s),
    )
    assert seen == pytest.approx([0.5, 0.75])
    assert masks.sparsity == pytest.approx(0.75, abs=1e-3)
    assert accuracy(pruned, digits.test) > 0.9
    assert trained[1].weight.count_nonzero() == 64 * 32


@pytest.mark.parametrize("sparsity", [1.0, -0.1, 1.5, math.nan])
def test_impossible_sparsities_are_refused(sparsity: float) -> None:
    with pytest.raises(UsageError, match="a fraction from 0 up to, but without, 1, not"):
        make_masks(nn.Linear(2, 2), sparsity)
    with pytest.raises(UsageError, match="a fraction from 0"):
        GradualPruner(sparsity, steps=3)
    with pytest.raises(UsageError, match="a fraction from 0"):
        ladder(sparsity, 2)


def test_other_bad_requests_are_refused() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(UsageError, match=r"no parameter 'bias' to prune: weight are"):
        make_masks(layer, {"bias": 0.5})
    with pytest.raises(UsageError, match=r"weight \[2, 2\] has no kernels, which 'kernel' prunes"):
        make_masks(layer, 0.5, granularity="kernel")
    with pytest.raises(UsageError, match="the granularity is one of 'fine'"):
        make_masks(layer, 0.5, granularity="row")
    with pytest.raises(UsageError, match=r"this one has no weight \[2, 3\]"):
        Masks(weight=torch.ones(2, 3, dtype=torch.bool))(layer)
    with pytest.raises(UsageError, match="no parameter of two dimensions"):
        make_masks(nn.ReLU(), 0.5)
    with pytest.raises(UsageError, match="one step or more"):
        GradualPruner(0.5, steps=0)
    with pytest.raises(UsageError, match="one round or more"):
        ladder(0.5, 0)
