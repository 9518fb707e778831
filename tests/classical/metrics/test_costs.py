"""Operations, activations, energy and the table, against counts by hand."""

from time import sleep

import pytest
import torch
from torch import nn

from classical.errors import UsageError
from classical.metrics import (
    compare_latency,
    count_macs,
    energy,
    macs_by_module,
    measure_activations,
    measure_latency,
    profile,
)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(16, 48, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.project(x).view(*x.shape[:2], 3, 4, 4).permute(2, 0, 3, 1, 4)
        return nn.functional.scaled_dot_product_attention(query, key, value)


@pytest.mark.parametrize(
    ("model", "shape", "macs"),
    [
        (nn.Linear(8, 3), (5, 8), 5 * 8 * 3),
        (nn.Conv2d(4, 6, 3, padding=1), (2, 4, 7, 7), 2 * 49 * 6 * 4 * 9),
        (nn.Conv2d(4, 8, 3, groups=4, stride=2), (1, 4, 7, 7), 9 * 8 * 9),
        (nn.ConvTranspose2d(4, 2, 2, stride=2), (1, 4, 3, 3), 9 * 4 * 2 * 4),
        (Attention(), (2, 10, 16), 2 * 10 * 16 * 48 + 2 * 2 * 10 * 10 * 16),
        (
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
            (3, 5, 16),
            3 * (5 * 16 * 64 + 2 * 5 * 5 * 16 + 2 * 5 * 16 * 32),
        ),
    ],
)
def test_macs_counted_by_hand(model: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    assert count_macs(model, torch.randn(shape)) == macs


def test_macs_belong_to_the_innermost_module() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    assert macs_by_module(model, torch.ones(1, 4)) == {"0": 16, "1.1": 8}
    attention = Attention()
    assert macs_by_module(attention, torch.ones(1, 3, 16)) == {"": 2 * 3 * 3 * 16, "project": 2304}


def test_a_chain_keeps_two_activations_at_a_time() -> None:
    model = nn.Sequential(
        nn.Linear(8, 32, False), nn.Linear(32, 16, False), nn.Linear(16, 2, False)
    )
    found = measure_activations(model, torch.ones(1, 8))
    assert found.peak_bytes == 4 * (32 + 16)
    assert found.total_bytes == 4 * (8 + 32 + 16 + 2)
    assert found.peak_step.module == "1"


def test_a_residual_keeps_its_input_and_an_operation_in_place_takes_nothing() -> None:
    class Residual(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + (2 * x).exp_().sin()

    found = measure_activations(Residual(), torch.ones(1, 100))
    assert [step.live_bytes for step in found.steps] == [800, 800, 1200, 1200]


def test_an_input_that_is_a_part_counts_as_that_part() -> None:
    assert measure_activations(nn.Identity(), torch.ones(100, 8)[:1]).peak_bytes == 32


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5))
    model[1].eval()
    profile(model, torch.randn(8, 4))
    measure_latency(model, torch.randn(8, 4), runs=4)
    assert (model.training, model[0].training, model[1].training) == (True, True, False)
    assert int(model[0].num_batches_tracked) == 0
    assert not model[0]._forward_hooks


def test_energy_by_hand() -> None:
    assert energy(1000, 400) == pytest.approx(1e-12 * (1000 * 4.6 + 100 * 640))
    assert energy(1000, 0, dtype="int8") == pytest.approx(1e-12 * 1000 * 0.3)
    with pytest.raises(UsageError, match="no energy for 'int7': choose one of int8"):
        energy(1, 1, dtype="int7")


def test_latency_names_threads_and_refuses_nonsense() -> None:
    found = measure_latency(nn.Linear(4, 4), torch.ones(1, 4), runs=8, threads=1)
    assert 0 < found.low <= found.median <= found.high
    assert (found.runs, found.threads, found.device) == (8, 1, "cpu")
    assert "1 thread)" in str(found)
    with pytest.raises(UsageError, match="4 runs or more"):
        measure_latency(nn.Linear(4, 4), torch.ones(1, 4), runs=1)


def test_models_take_turns_and_each_has_its_own_times() -> None:
    order: list[str] = []

    class Slow(nn.Module):
        def __init__(self, name: str, seconds: float) -> None:
            super().__init__()
            self.name, self.seconds = name, seconds

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            order.append(self.name)
            sleep(self.seconds)
            return x

    models = [Slow("a", 0.0), Slow("b", 0.005)]
    first, second = compare_latency(models, torch.ones(1), warm_up=1, runs=5)
    assert order == ["a", "b"] * 6
    assert second.low >= 0.005
    assert first.runs == second.runs == 5


def test_the_table_has_a_line_for_every_layer_and_their_sums() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    found = profile(model, torch.ones(1, 1, 4, 4))
    assert [layer.kind for layer in found.layers] == ["Conv2d", "ReLU", "Flatten", "Linear"]
    assert found.macs == 2 * 9 * 4 + 24
    assert found.parameters == 20 + 27
    assert found.weight_bytes == 47 * 4
    assert sum(layer.parameters for layer in found.layers) == found.parameters
    assert str(found).splitlines()[-2].split()[:3] == ["all", "47", "96"]
