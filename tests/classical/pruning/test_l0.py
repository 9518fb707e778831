"""Gates: their distribution, and a plain model that computes the same."""

import pytest
import torch
from torch import nn

from classical.errors import UsageError
from classical.pruning import GatedModel, HardConcrete

X = torch.randn(4, 2, 5, 5, generator=torch.Generator().manual_seed(0))


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 4, 1),
        nn.Flatten(),
        nn.Linear(36, 3),
    ).eval()


def test_the_penalty_is_the_share_of_gates_that_are_not_zero() -> None:
    torch.manual_seed(0)
    gates = HardConcrete(20_000, chance=0.3)
    opened = (gates() > 0).float().mean().item()
    assert gates.penalty().item() / 20_000 == pytest.approx(opened, abs=0.015)
    assert gates().min() == 0
    assert gates().max() == 1


def test_gates_are_certain_in_evaluation_mode() -> None:
    gates = HardConcrete(3).eval()
    gates.log_alpha.data = torch.tensor([-5.0, 0.0, 5.0])
    assert gates().tolist() == pytest.approx([0, 0.5, 1])


def test_the_collapsed_model_computes_the_same() -> None:
    model = _model()
    gated = GatedModel(model, X).eval()
    gated.gates[0].log_alpha.data = torch.tensor([-5.0, 5.0, 0.3, -4.0, -0.2, 5.0])
    gated.gates[1].log_alpha.data = torch.tensor([0.0, -5.0, -5.0, 5.0])
    smaller = gated.collapse(X)
    with torch.no_grad():
        assert torch.allclose(smaller(X), gated(X), atol=1e-6)
        assert not torch.allclose(smaller(X), model(X), atol=1e-2)
    assert smaller[0].weight.shape == (4, 2, 3, 3)
    assert smaller[5].weight.shape == (3, 18)
    assert not any(module._forward_pre_hooks for module in smaller.modules())
    assert isinstance(smaller, nn.Sequential)


def test_the_penalty_closes_gates() -> None:
    torch.manual_seed(0)
    gated = GatedModel(_model(), X, names=["0"]).train()
    optimizer = torch.optim.SGD(gated.gates.parameters(), 1.0)
    before = gated.penalty().item()
    for _ in range(60):
        optimizer.zero_grad()
        gated.penalty().backward()
        optimizer.step()
    assert gated.penalty().item() < before / 2
    for gate in gated.gates:
        gate.log_alpha.data.fill_(-9.0)
    assert gated.collapse(X)[0].out_channels == 1


def test_readers_without_gates_are_named() -> None:
    model = nn.Sequential(nn.Conv1d(2, 4, 1), nn.Conv1d(4, 4, 1), nn.Flatten(), nn.Linear(8, 2))
    x = torch.randn(1, 2, 2)
    with pytest.raises(UsageError, match="1, which reads the channels of 0, is Conv1d"):
        GatedModel(model, x)
    assert len(GatedModel(model, x, names=["1"]).gates) == 1
