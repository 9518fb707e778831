import pytest
import torch
from torch import nn

from classical import count_parameters, model_size_bytes


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 5))


def test_counts_weights_and_biases_but_no_buffers(model: nn.Module) -> None:
    assert count_parameters(model) == (3 * 8 * 9 + 8) + (8 + 8) + (8 * 5 + 5)


def test_shared_parameters_count_once() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    assert count_parameters(nn.Sequential(first, second)) == 16 + 4 + 4


def test_pruned_parameters_can_be_left_out() -> None:
    layer = nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)[:, 1:] = 0.0
    assert count_parameters(layer) == 16
    assert count_parameters(layer, nonzero_only=True) == 4
    assert model_size_bytes(layer, bits=4, nonzero_only=True) == 2


@pytest.mark.parametrize(("bits", "size"), [(32, 60), (8, 15), (4, 8), (1, 2)])
def test_size_at_a_bit_width_is_rounded_up(bits: int, size: int) -> None:
    assert model_size_bytes(nn.Linear(4, 3), bits=bits) == size


def test_size_follows_the_dtype_of_each_parameter() -> None:
    layers = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2).to(torch.float16))
    assert model_size_bytes(layers) == 15 * 4 + 8 * 2


def test_less_than_one_bit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 bit, and bits=0 was given"):
        model_size_bytes(nn.Linear(1, 1), bits=0)
