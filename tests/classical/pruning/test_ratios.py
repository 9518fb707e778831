"""How much to prune where: scans, uniform, NetAdapt and AMC, on a network whose answer is known."""

import pytest
import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.metrics import count_macs
from classical.pruning import (
    AMCConfig,
    ChannelPruner,
    WeightPruner,
    amc,
    netadapt,
    sensitivity_scan,
    uniform,
)

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))


class Parallel(nn.Module):
    """Two branches of the same cost; only the first matters to what comes out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.useful, self.idle = nn.Linear(8, 20), nn.Linear(8, 20)
        self.first, self.second = nn.Linear(20, 4), nn.Linear(20, 4)
        with torch.no_grad():
            self.second.weight.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.first(self.useful(x).relu()) + self.second(self.idle(x).relu())


MODEL = Parallel().eval()
TARGET = MODEL(X).detach()
PRUNER = ChannelPruner(X[:1])


def quality(model: nn.Module) -> float:
    """1 for the outputs of the whole model."""
    with torch.no_grad():
        return 1 - ((model(X) - TARGET).square().mean() / TARGET.square().mean()).item()


def macs(model: nn.Module) -> int:
    return count_macs(model, X[:1])


def test_a_scan_prunes_one_layer_at_a_time() -> None:
    scan = sensitivity_scan(MODEL, quality, pruner=PRUNER, ratios=(0.5, 0.9))
    assert scan.dense == 1
    assert scan.scores["idle"] == pytest.approx((1, 1))
    assert scan.scores["useful"][1] < scan.scores["useful"][0] < 0.99
    assert scan.most(0.01) == {"useful": 0, "idle": 0.9}
    weights = sensitivity_scan(MODEL, quality, names=["second.weight"], ratios=(0.5,))
    assert weights.scores == {"second.weight": (1.0,)}


def test_a_scan_is_plotted() -> None:
    pytest.importorskip("matplotlib").use("agg")
    scan = sensitivity_scan(MODEL, quality, pruner=PRUNER, ratios=(0.2, 0.5))
    figure = scan.plot(columns=3)
    assert [axis.get_title() for axis in figure.axes] == ["useful", "idle"]
    assert figure.axes[1].lines[0].get_ydata().tolist() == pytest.approx(scan.scores["idle"])


def test_uniform_meets_the_budget_with_no_channel_too_few() -> None:
    ratios = uniform(MODEL, PRUNER, macs, 0.5)
    assert ratios["useful"] == ratios["idle"]
    smaller = PRUNER(MODEL, ratios)
    assert macs(smaller) == macs(MODEL) / 2
    assert uniform(MODEL, PRUNER, macs, 1.0) == {"useful": 0, "idle": 0}


def test_netadapt_prunes_what_matters_least() -> None:
    tuned = []
    smaller, steps = netadapt(MODEL, PRUNER, macs, 0.6, quality, steps=2, tune=tuned.append)
    assert macs(smaller) <= 0.6 * macs(MODEL)
    assert [step.name for step in steps] == ["idle", "idle"]
    assert steps[-1].score == pytest.approx(1)
    assert steps[-1].cost == macs(smaller)
    assert len(tuned) == 4
    assert smaller.useful.out_features == 20


def test_amc_learns_what_matters_least() -> None:
    found = amc(MODEL, PRUNER, macs, 0.6, quality, config=AMCConfig(episodes=24, warm_up=8))
    assert macs(PRUNER(MODEL, found.ratios)) <= 0.6 * macs(MODEL)
    assert found.score == max(found.scores) == quality(PRUNER(MODEL, found.ratios))
    random, learned = found.scores[:8], found.scores[-8:]
    assert sum(learned) > sum(random)
    assert found.score > quality(PRUNER(MODEL, uniform(MODEL, PRUNER, macs, 0.6)))
    again = amc(MODEL, PRUNER, macs, 0.6, quality, config=AMCConfig(episodes=3, warm_up=1))
    assert again.scores == found.scores[:1] + again.scores[1:]


def test_what_cannot_be_reached_is_said() -> None:
    with pytest.raises(
        UsageError, match=r"out of reach: pruning 90% leaves .* .masks lower no MACs"
    ):
        uniform(MODEL, WeightPruner(), macs, 0.5)
    for search in (netadapt, amc):
        with pytest.raises(UsageError, match="out of reach"):
            search(MODEL, PRUNER, macs, 0.01, quality)
        with pytest.raises(UsageError, match="fraction of the cost that may stay, from 0 to 1"):
            search(MODEL, PRUNER, macs, 0.0, quality)
    with pytest.raises(UsageError, match="one step or more, not 0"):
        netadapt(MODEL, PRUNER, macs, 0.5, quality, steps=0)
    with pytest.raises(UsageError, match="one episode of warm-up or more"):
        AMCConfig(episodes=5, warm_up=5)
