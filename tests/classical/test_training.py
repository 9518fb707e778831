"""The training loop: it learns, it repeats itself, it stops at NaN."""

import pytest
import torch
from torch import nn

from classical.data import DataSet
from classical.errors import UsageError
from classical.training import TrainConfig, accuracy, log_likelihood, predict, train


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def test_it_learns_and_repeats_itself(digits: DataSet) -> None:
    models = [_model(), _model()]
    records = [train(model, digits, TrainConfig(epochs=6, lr=0.1), seed=1) for model in models]
    assert records[0] == records[1]
    assert accuracy(models[0], digits.test) > 0.9
    assert not models[0].training


def test_hooks_come_after_every_step_and_epoch(digits: DataSet) -> None:
    steps, epochs = [], []
    train(
        _model(),
        digits,
        TrainConfig(epochs=2, batch_size=500),
        after_step=[lambda _: steps.append(1)],
        after_epoch=[lambda number, _: epochs.append(number)],
    )
    assert (len(steps), epochs) == (6, [1, 2])


def test_frozen_parameters_stay(digits: DataSet) -> None:
    model = _model()
    model[1].requires_grad_(False)
    before = model[1].weight.clone()
    train(model, digits, TrainConfig(epochs=1))
    assert torch.equal(model[1].weight, before)


def test_a_loss_that_is_a_module_trains_along(digits: DataSet) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            self.frozen = nn.Parameter(torch.ones(()), requires_grad=False)

        def forward(self, model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return nn.functional.cross_entropy(self.scale * self.frozen * model(x), y)

    loss = Scaled()
    train(_model(), digits, TrainConfig(epochs=1), loss=loss)
    assert loss.scale != 1
    assert loss.frozen == 1


def test_a_loss_that_is_no_number_stops(digits: DataSet) -> None:
    with pytest.raises(UsageError, match="in epoch 1 the loss became nan: lower the learning rate"):
        train(_model(), digits, loss=lambda model, x, y: model(x).sum() * float("nan"))


def test_what_a_model_is_worth_does_not_depend_on_batches(digits: DataSet) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.BatchNorm1d(64), nn.Linear(64, 10))
    logits = predict(model, digits.test.x, 7)
    assert model.training
    assert not logits.requires_grad
    right = logits.softmax(1)[torch.arange(len(digits.test)), digits.test.y]
    assert log_likelihood(model, digits.test, 50) == pytest.approx(right.log().mean().item(), 1e-5)
    assert accuracy(model, digits.test, 9) == accuracy(model, digits.test)
    assert accuracy(model, digits.test) == (logits.argmax(1) == digits.test.y).double().mean()
