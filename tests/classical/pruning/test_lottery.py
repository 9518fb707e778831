"""Lottery tickets: the weights are those of the rewound step, and they train."""

import pytest
import torch
from torch import nn

from classical.data import DataSet
from classical.errors import UsageError
from classical.pruning import lottery_ticket
from classical.training import TrainConfig, accuracy, train

CONFIG = TrainConfig(epochs=5, lr=0.1, batch_size=64)


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))


def test_a_ticket_has_the_first_weights_and_trains(digits: DataSet) -> None:
    model = _model()
    ticket = lottery_ticket(model, digits, 0.75, rounds=2, config=CONFIG)
    assert ticket.masks.sparsity == pytest.approx(0.75, abs=1e-3)
    for name, mask in ticket.masks.items():
        expected = torch.where(mask, model.get_parameter(name), 0.0)
        assert torch.equal(ticket.model.get_parameter(name), expected)
    assert len(ticket.accuracies) == 2
    train(ticket.model, digits, CONFIG, after_step=[ticket.masks])
    assert accuracy(ticket.model, digits.test) > 0.8
    assert (ticket.model[1].weight == 0).sum() >= (~ticket.masks["1.weight"]).sum()


def test_rewinding_to_a_later_step(digits: DataSet) -> None:
    seen = []
    train(_model(), digits, CONFIG, after_step=[lambda m: seen.append(m[3].bias.detach().clone())])
    ticket = lottery_ticket(_model(), digits, 0.5, rounds=1, rewind=3, config=CONFIG)
    assert torch.equal(ticket.model[3].bias, seen[2])


def test_a_step_that_never_comes_is_refused(digits: DataSet) -> None:
    with pytest.raises(UsageError, match="step 999 to rewind to never came, for training had 100"):
        lottery_ticket(_model(), digits, 0.5, rounds=1, rewind=999, config=CONFIG)
