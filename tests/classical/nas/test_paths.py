"""Choices by gradients: formulas, which weights move, and that the better candidate wins."""

import pytest
import torch
from torch import Tensor, nn

from classical.data import DataSet
from classical.errors import UsageError
from classical.metrics import count_macs
from classical.nas import (
    ArchitectureStep,
    Choice,
    MobileNet,
    MobileSpace,
    PathGates,
    SoftChoice,
    chosen,
    with_choices,
)
from classical.training import TrainConfig, train


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return torch.full_like(x, self.value)


def test_soft_choices_are_weighted_sums() -> None:
    choice = SoftChoice([Constant(1.0), Constant(4.0)], [10.0, 30.0])
    choice.alpha.data = torch.tensor([0.0, 2.0]).log_softmax(0)
    p = torch.tensor([0.0, 2.0]).softmax(0)
    assert torch.allclose(choice(torch.ones(2)), (p[0] + 4 * p[1]) * torch.ones(2))
    assert torch.allclose(choice.expected_cost, 10 * p[0] + 30 * p[1])


def test_gates_are_open_or_shut_and_their_gradient_is_unbiased() -> None:
    # The gradient of the expected output, sum of p y, with respect to alpha.
    torch.manual_seed(0)
    choice = PathGates([Constant(1.0), Constant(4.0)]).train()
    choice.alpha.requires_grad_(True)
    outputs = [choice(torch.ones(())) for _ in range(200)]
    assert {round(y.item(), 5) for y in outputs} == {1.0, 4.0}
    gradient = torch.autograd.grad(torch.stack(outputs).mean(), choice.alpha)[0]
    p = torch.tensor([0.5, 0.5])
    y = torch.tensor([1.0, 4.0])
    assert torch.allclose(gradient, p * (y - (p * y).sum()))


def test_a_step_of_the_weights_runs_one_path() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(2, 2) for _ in range(3)]
    PathGates(layers).train()(torch.ones(1, 2)).sum().backward()
    assert sum(layer.weight.grad is not None for layer in layers) == 1
    choice = PathGates(layers).eval()
    choice.alpha.data[2] = 1
    assert torch.equal(choice(torch.ones(1, 2)), layers[2](torch.ones(1, 2)))


@pytest.mark.parametrize("kind", [SoftChoice, PathGates])
def test_the_better_candidate_wins(digits: DataSet, kind: type[Choice]) -> None:
    torch.manual_seed(0)
    blind = nn.Sequential(Constant(0.0), nn.Linear(64, 10))
    model = nn.Sequential(nn.Flatten(), kind([blind, nn.Linear(64, 10)]))
    step = ArchitectureStep(model, digits.valid, lr=0.1, warm_up=40)
    train(model, digits, TrainConfig(epochs=4, lr=0.2), after_step=[step])
    net = chosen(model)
    assert model[1].probabilities[1] > 0.7
    assert isinstance(net[1], nn.Linear)
    assert torch.equal(net(digits.example), model[1].candidates[1](digits.example.flatten(1)))
    assert isinstance(model[1], kind)


@pytest.mark.parametrize("costs", [(1.0, 9.0), (9.0, 1.0)])
def test_between_equals_the_cheaper_one_wins(digits: DataSet, costs: tuple[float, float]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), SoftChoice([nn.Linear(64, 10), nn.Linear(64, 10)], costs))
    step = ArchitectureStep(model, digits.valid, lr=0.05, cost_weight=5.0)
    train(model, digits, TrainConfig(epochs=2), after_step=[step])
    assert model[1].probabilities[costs.index(1.0)] > 0.7


def test_steps_of_alpha_leave_weights_alone(digits: DataSet) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), SoftChoice([nn.Linear(64, 10), nn.Linear(64, 10)]))
    weight = model[1].candidates[0].weight
    before = weight.clone()
    ArchitectureStep(model, digits.valid)(model)
    assert torch.equal(weight, before)
    assert weight.grad is None
    assert model[1].alpha.abs().min() > 0
    assert not model[1].alpha.requires_grad


def test_alpha_waits_for_the_weights(digits: DataSet) -> None:
    model = nn.Sequential(nn.Flatten(), SoftChoice([nn.Linear(64, 10), nn.Linear(64, 10)]))
    step = ArchitectureStep(model, digits.valid, warm_up=2)
    moved = []
    for _ in range(3):
        step(model)
        moved.append(bool(model[1].alpha.any()))
    assert moved == [False, False, True]


def test_blocks_of_a_network_choose(mobile: MobileSpace, digits: DataSet) -> None:
    torch.manual_seed(0)
    plan = mobile.plan({**mobile.space.largest, "depth.1": 2})
    model = with_choices(plan, kernels=(3, 5), expansions=(2, 4))
    gates = [module for module in model.modules() if isinstance(module, PathGates)]
    assert [len(gate.candidates) for gate in gates] == [5, 5, 4, 5]
    side = [8, 8, 8, 4]
    for gate, pixels in zip(gates, side, strict=True):
        inputs = gate.candidates[0].layers.expand.conv.in_channels
        image = torch.zeros(1, inputs, pixels, pixels)
        assert gate.costs.tolist() == [count_macs(c, image) for c in gate.candidates]
    step = ArchitectureStep(model, digits.valid, batch_size=32)
    train(model, digits, TrainConfig(epochs=1, batch_size=200), after_step=[step])
    net = chosen(model)
    assert isinstance(net, MobileNet)
    assert not any(isinstance(module, Choice) for module in net.modules())
    assert torch.equal(net(digits.example), model(digits.example))


def test_what_makes_no_choice_is_refused(digits: DataSet) -> None:
    with pytest.raises(UsageError, match="not 1 candidates and 0 costs"):
        PathGates([nn.Identity()])
    with pytest.raises(UsageError, match="not 2 candidates and 1 costs"):
        SoftChoice([nn.Identity(), nn.Identity()], [1.0])
    with pytest.raises(UsageError, match="Linear has nothing to choose"):
        chosen(nn.Linear(2, 2))
    with pytest.raises(UsageError, match="nothing to choose"):
        ArchitectureStep(nn.Linear(2, 2), digits.valid)
