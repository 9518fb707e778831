"""Integers and what they stand for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from classical.errors import UsageError
from classical.quantization import Affine, Scheme, fit, freeze, prepare_qat, quantize_weights
from classical.quantization.quantizers import Rounded

X = torch.tensor([[-1.0, 0.0, 2.0, 0.5], [0.01, -0.03, 0.02, 0.0]])


@settings(deadline=None)
@given(
    st.integers(2, 10),
    st.booleans(),
    st.sampled_from(["tensor", "channel", 2]),
    st.integers(0, 1000),
)
def test_rounding_errs_by_half_a_step_and_keeps_zero(
    bits: int, symmetric: bool, per: str | int, seed: int
) -> None:
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))
    x[1, 2] = 0
    grid = fit(x, Scheme(bits, symmetric, per))
    q, rounded = grid.quantize(x), grid.round(x)
    assert grid.scheme.low <= int(q.min()) <= int(q.max()) <= grid.scheme.high
    assert float(rounded[1, 2]) == 0
    steps = grid.scale[:, None].expand_as(grid.scheme.blocks(x)).reshape(x.shape)
    # The zero point of an asymmetric grid is rounded too, which moves its ends by half a step.
    assert bool(((rounded - x).abs() <= steps * (0.501 if symmetric else 1.001)).all())
    assert torch.equal(grid.quantize(rounded), q)


def test_integers_by_hand() -> None:
    grid = Affine(Scheme(4, symmetric=False), torch.tensor([0.2]), torch.tensor([-3]))
    assert grid.quantize(X)[0].tolist() == [-8, -3, 7, -1]
    assert torch.allclose(grid.dequantize(torch.tensor([-8, -3, 7])), torch.tensor([-1.0, 0, 2]))
    symmetric = fit(X, Scheme(3, per="channel"))
    assert torch.allclose(symmetric.scale, torch.tensor([2 / 3, 0.01]))
    assert symmetric.quantize(X).tolist() == [[-2, 0, 3, 1], [1, -3, 2, 0]]


def test_finer_blocks_round_better_and_cost_more() -> None:
    x = torch.randn(8, 32) * torch.logspace(-2, 0, 8)[:, None]
    grids = [fit(x, Scheme(4, per=per)) for per in ("tensor", "channel", 8)]
    errors = [float((grid.round(x) - x).square().sum()) for grid in grids]
    assert errors[0] > errors[1] > errors[2]
    bits = [grid.storage_bits(x.numel()) for grid in grids]
    assert bits == [1024 + 32, 1024 + 8 * 32, 1024 + 32 * 32]


def test_a_dead_channel_stays_zero() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, -1.0]])
    assert torch.equal(fit(x, Scheme(8, per="channel")).round(x), x)


def test_weights_of_a_copy_are_rounded() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    before = model[0].weight.clone()
    rounded = quantize_weights(model, {"0": Scheme(2, per="channel")})
    assert torch.equal(model[0].weight, before)
    assert all(len(row.unique()) <= 3 for row in rounded[0].weight)
    assert torch.equal(rounded[2].weight, model[2].weight)


@pytest.mark.parametrize("bits", [1, 0, -3, 17, 2.5])
def test_impossible_bit_widths_are_refused(bits: int) -> None:
    with pytest.raises(UsageError, match="linear quantization takes 2 to 16 bits, not"):
        Scheme(bits)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match='"tensor", "channel" or number of values, not \'row\''):
        Scheme(8, per="row")
    with pytest.raises(UsageError, match=r"8 values of shape \[2, 4\] are no groups of 3"):
        fit(X, Scheme(8, per=3))
    with pytest.raises(UsageError, match="no convolution or linear layer 'x': choose among 0, 1"):
        quantize_weights(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)), {"x": Scheme()})
    with pytest.raises(UsageError, match="the model has no convolution or linear layer"):
        quantize_weights(nn.ReLU(), Scheme())


def test_computed_weights_have_to_be_made_plain() -> None:
    model = prepare_qat(nn.Sequential(nn.Linear(4, 3)), X, weights=lambda: Rounded(Scheme(4)))
    with pytest.raises(UsageError, match=r"the weight of '0' is computed .* freeze\(model\)"):
        quantize_weights(model, Scheme(8))
    quantize_weights(freeze(model), Scheme(8))
