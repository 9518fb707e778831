"""What makes rounding after training better, and how bits are shared out."""

import sys

import pytest
import torch
from torch import Tensor, nn

from classical.data import DataSet
from classical.errors import UsageError
from classical.models.efficientnet import InvertedResidual
from classical.quantization import (
    HAQ,
    MSE,
    Scheme,
    adaround,
    allocate_bits,
    correct_bias,
    equalize,
    fit,
    fold_batch_norm,
    measure_sensitivity,
    quantize_weights,
    with_bits,
)
from classical.quantization.sensitivity import Evaluate
from classical.training import TrainConfig, accuracy, train


@pytest.fixture(scope="module")
def trained(digits: DataSet) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 24, bias=False), nn.ReLU(),
        nn.Linear(24, 10),
    )  # fmt: skip
    train(model, digits, TrainConfig(epochs=6, lr=0.1))
    return model


def _outputs(model: nn.Module, x: Tensor) -> list[Tensor]:
    found = []
    for layer in model:
        x = layer(x)
        found.append(x.detach())
    return found


def test_corrected_layers_have_the_mean_outputs_of_the_original(
    digits: DataSet, trained: nn.Module
) -> None:
    x = digits.train.x[:200]
    rounded = quantize_weights(trained, Scheme(2))
    corrected = correct_bias(rounded, trained, x)
    assert rounded[3].bias is None
    for layer in (1, 3, 5):
        means = [_outputs(model, x)[layer].mean(0) for model in (trained, corrected, rounded)]
        assert torch.allclose(means[0], means[1], atol=1e-4)
        assert not torch.allclose(means[0], means[2], atol=1e-2)


def test_means_of_convolutions_are_by_channel() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv1d(3, 2, 1))
    conv = nn.Sequential(model[0])
    x = torch.randn(6, 2, 5, 5)
    corrected = correct_bias(quantize_weights(conv, Scheme(2)), conv, x)
    means = [net(x).mean((0, 2, 3)) for net in (conv, corrected)]
    assert torch.allclose(*means, atol=1e-5)
    with pytest.raises(UsageError, match="different layers"):
        correct_bias(model, conv, x)


def test_equalized_layers_compute_the_same_with_like_ranges() -> None:
    torch.manual_seed(0)
    block = InvertedResidual(4, 4, 3, 1, 2).eval()
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 12, 3, groups=3), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3),
    )  # fmt: skip
    with torch.no_grad():
        scales = torch.logspace(-1.5, 1.5, 6)
        model[0].weight *= scales.reshape(-1, 1, 1, 1)
        model[0].bias *= scales
        model[2].weight /= scales.reshape(3, 1, 2, 1, 1).expand(3, 4, 2, 1, 1).reshape(12, 2, 1, 1)
    x = torch.randn(16, 2, 8, 8)
    equal = equalize(model, x)
    assert torch.allclose(equal(x), model(x), rtol=1e-4, atol=1e-5)
    first = equal[0].weight.abs().flatten(1).amax(1)
    second = equal[2].weight.view(3, 4, 2, -1).abs().amax((1, 3)).flatten()
    assert torch.allclose(first, second, rtol=1e-3)
    before, after = (
        (quantize_weights(m, Scheme(4))(x) - m(x)).square().mean() for m in (model, equal)
    )
    assert after < before / 3
    with pytest.raises(UsageError, match="replace ReLU6 by ReLU"):
        equalize(fold_batch_norm(block, torch.randn(2, 4, 8, 8)), torch.randn(2, 4, 8, 8))


@pytest.mark.parametrize("per", ["channel", 8])
def test_learned_rounding_is_on_the_grid_and_closer_than_the_nearest(
    per: str | int, digits: DataSet, trained: nn.Module
) -> None:
    x, scheme = digits.train.x[:200], Scheme(2, per=per)
    learned = adaround(trained, x, scheme, steps=150)
    nearest = quantize_weights(trained, scheme, MSE())
    expected = trained(x)
    errors = [float((model(x) - expected).detach().square().mean()) for model in (learned, nearest)]
    assert errors[0] < 0.7 * errors[1]
    grid = fit(trained[1].weight, scheme, MSE())
    steps = (learned[1].weight - trained[1].weight).abs()
    assert torch.allclose(grid.round(learned[1].weight), learned[1].weight, atol=1e-6)
    inside = grid.round(trained[1].weight).abs() < scheme.high * float(grid.scale.min())
    scale = grid.scale[:, None].expand_as(scheme.blocks(steps)).reshape(steps.shape)
    assert bool((steps <= 1.001 * scale)[inside].all())
    with pytest.raises(UsageError, match="one step or more, not 0"):
        adaround(trained, x, scheme, steps=0)


def test_the_regularizer_pulls_weights_to_the_nearest_integer(
    digits: DataSet, trained: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, scheme = digits.train.x[:200], Scheme(3)
    nearest = quantize_weights(trained, scheme, MSE())[1].weight
    module = sys.modules[adaround.__module__]  # the function of this name hides it
    monkeypatch.setattr(module, "_POWERS", (2.0, 2.0))
    monkeypatch.setattr(module, "_WARM_UP", 0.0)
    differing = []
    for weight in (0.0, 1e4):
        monkeypatch.setattr(module, "_WEIGHT", weight)
        learned = adaround(trained, x, scheme, steps=100, lr=0.05)[1].weight
        differing.append(int((~torch.isclose(learned, nearest, atol=1e-5)).sum()))
    assert differing[1] < 0.1 * differing[0]


def test_bits_go_where_they_matter() -> None:
    model = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10), nn.Linear(10, 20))
    measured = {
        "0": {2: 0.1, 4: 0.9, 8: 0.9},
        "1": {2: 0.8, 4: 0.89, 8: 0.9},
        "2": {2: 0.88, 4: 0.9, 8: 0.9},
    }
    assert allocate_bits(model, measured, 8) == {"0": 8, "1": 8, "2": 8}
    assert allocate_bits(model, measured, 4) == {"0": 4, "1": 4, "2": 4}
    assert allocate_bits(model, measured, 3) == {"0": 4, "1": 4, "2": 2}
    assert allocate_bits(model, measured, 2.5) == {"0": 4, "1": 2, "2": 2}
    # The larger layer loses more, and less for each bit that it saves.
    sized = {"0": {4: 0.89, 8: 0.9}, "2": {4: 0.885, 8: 0.9}}
    assert allocate_bits(model, sized, 5.5) == {"0": 8, "2": 4}
    with pytest.raises(UsageError, match=r"more than 1.5 for each weight"):
        allocate_bits(model, measured, 1.5)
    with pytest.raises(UsageError, match="no convolution or linear layer 'x'"):
        allocate_bits(model, {"x": {2: 1.0}}, 4)


def test_sensitivities_are_of_one_layer_at_a_time(digits: DataSet, trained: nn.Module) -> None:
    found = measure_sensitivity(trained, lambda model: accuracy(model, digits.valid), (2, 8))
    assert list(found) == ["1", "3", "5"]
    only = with_bits(trained, {"3": 2})
    assert found["3"][2] == accuracy(only, digits.valid)
    assert torch.equal(only[1].weight, trained[1].weight)
    assert abs(found["1"][8] - accuracy(trained, digits.valid)) < 0.02


def _worth_of(model: nn.Sequential) -> Evaluate:
    """Errors of weights, those of one layer many times those of the others."""

    def worth(quantized: nn.Module) -> float:
        errors = [
            float((after.weight - before.weight).detach().square().mean())
            for before, after in zip(model, quantized, strict=True)
        ]
        return -(50 * errors[2] + sum(errors))

    return worth


def test_searched_bits_keep_the_budget_and_beat_the_same_for_all() -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        model = nn.Sequential(*[nn.Linear(8, 8) for _ in range(6)])
        worth = _worth_of(model)
        found = HAQ(mean_bits=4, seed=seed).search(model, worth)
        assert sum(found.bits.values()) <= 4 * 6
        assert found.worth == worth(with_bits(model, found.bits))
        assert found.worth > worth(with_bits(model, {str(k): 4 for k in range(6)}))


def test_the_agent_repeats_itself() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8))
    search = HAQ(mean_bits=4, episodes=24, warm_up=20)
    assert search.search(model, _worth_of(model)) == search.search(model, _worth_of(model))


def test_impossible_budgets_are_refused() -> None:
    with pytest.raises(
        UsageError, match="a budget of 1 bits a weight does not lie within the 2 to 8"
    ):
        HAQ(mean_bits=1)
    with pytest.raises(UsageError, match="one episode or more, not 0"):
        HAQ(mean_bits=4, episodes=0)
