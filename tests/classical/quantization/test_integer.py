"""Networks of integers: exactly the arithmetic of their description, and close to the model."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from classical.errors import UsageError
from classical.models.efficientnet import SamePadding
from classical.quantization import (
    LSQ,
    IntegerModule,
    Rounded,
    Scheme,
    fold_batch_norm,
    freeze,
    prepare_qat,
    run_integer,
    to_integer,
)
from classical.quantization.integer import (
    Clamp,
    Conv2d,
    IntegerModel,
    fixed_point,
    shared_fixed_point,
)

Oracle = Callable[[IntegerModel, np.ndarray], np.ndarray]
Prepared = Callable[[str], tuple[nn.Module, Tensor]]


def test_it_is_exact_and_close(every_model: tuple[nn.Module, Tensor], oracle: Oracle) -> None:
    model, x = every_model
    assert model.training
    network = to_integer(model, x)
    assert model.training
    expected = model.eval()(x).detach()
    q = torch.randint(-128, 128, (8, 2, 12, 12), dtype=torch.int8)
    found = run_integer(network, q)
    assert found.dtype == torch.int8
    assert np.array_equal(found.numpy(), oracle(network, q.numpy()))
    error = (IntegerModule(network)(x) - expected).abs().max()
    assert float(error) < 0.06 * float(expected.max() - expected.min())


def test_calibration_in_evaluation_mode_ignores_the_mode(prepared: Prepared) -> None:
    model, x = prepared("vgg")
    networks = [to_integer(model.train(mode), x) for mode in (True, False)]
    outputs = [IntegerModule(network)(x) for network in networks]
    assert torch.equal(*outputs)


def test_activation_functions_are_part_of_the_layer_before_them(prepared: Prepared) -> None:
    model, x = prepared("mobile")
    kinds = [type(layer).__name__ for layer in to_integer(model, x).layers]
    assert kinds == [*["Conv2d"] * 4, "Add", *["Conv2d"] * 3, "AvgPool2d", "Flatten", "Linear"]
    assert any(isinstance(layer, Clamp) for layer in to_integer(*prepared("pools")).layers)


def test_folded_normalizations_change_nothing(prepared: Prepared) -> None:
    model, x = prepared("mobile")
    folded = fold_batch_norm(model, x)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert torch.allclose(folded(x), model.eval()(x), atol=1e-5)


def test_normalizations_of_linear_layers_and_those_without_a_layer() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.BatchNorm1d(4), nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3, affine=False)
    )
    x = torch.randn(50, 4) + 1
    model(x)
    folded = fold_batch_norm(model, x)
    assert [type(module).__name__ for module in folded] == ["BatchNorm1d", "Linear", "Identity"]
    assert torch.allclose(folded(x), model.eval()(x), atol=1e-6)


def test_a_channel_of_tiny_weights_keeps_its_bias() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1e-12, 1.0]).reshape(2, 1, 1, 1))
        model[0].bias.copy_(torch.tensor([1.0, 0.0]))
    x = torch.rand(4, 1, 3, 3)
    network = to_integer(model, x)
    assert torch.allclose(IntegerModule(network)(x)[:, 0], torch.ones(4, 3, 3), atol=0.01)


def test_bytes_by_hand() -> None:
    network = to_integer(nn.Sequential(nn.Conv2d(3, 4, 3)), torch.randn(2, 3, 5, 5))
    assert network.weight_bytes == 4 * 27 + 4 * 4 + 4 * 5
    layer = network.layers[0]
    assert isinstance(layer, Conv2d)
    assert (layer.weight.dtype, layer.bias.dtype) == (np.int8, np.int32)


@settings(deadline=None)
@given(st.floats(1e-15, 2.0**28), st.integers(-(2**31), 2**31 - 1))
def test_fixed_point_factors_are_as_good_as_31_bits(factor: float, x: int) -> None:
    multiplier, shift = (int(number[0]) for number in fixed_point(np.array([factor])))
    assert 0 <= multiplier < 2**31
    assert 1 <= shift <= 62
    assert abs(multiplier / 2**shift - factor) <= max(factor * 2**-31, 2**-63)
    assert abs(x * multiplier + (1 << (shift - 1))) < 2**63


@settings(deadline=None)
@given(st.floats(1e-4, 1e4), st.floats(1e-4, 1e4))
def test_shared_factors_fit_32_bits(first: float, second: float) -> None:
    factors, shift = shared_fixed_point(first, second)
    assert 255 * sum(factors) + 2 ** (shift - 1) < 2**31
    for factor, real in zip(factors, (first, second), strict=True):
        assert abs(factor / 2**shift - real) <= max(first, second) * 2**-20 + 2**-31


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Sigmoid(), "no integer form of sigmoid"),
        (nn.BatchNorm2d(2), "no integer form of batch_norm"),
        (nn.Conv2d(2, 2, 3, dilation=2), "no integer form of a dilated convolution"),
        (nn.MaxPool2d(3, ceil_mode=True), "max-pooling with ceil_mode"),
        (nn.AdaptiveAvgPool2d(5), r"adaptive pooling from \[12, 12\] to \[5, 5\]"),
        (nn.Linear(12, 3), r"a linear layer on more than \[batch, features\]"),
        (nn.ZeroPad2d(1), "padding that no convolution follows"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), "padding other than by zeros"),
    ],
)
def test_unknown_layers_are_named(layer: nn.Module, message: str) -> None:
    model = nn.Sequential(nn.MaxPool2d(1), layer)
    with pytest.raises(UsageError, match=message) as error:
        to_integer(model, torch.randn(4, 2, 12, 12))
    assert "in '1'" in str(error.value)


def test_useless_calibration_data_are_refused() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3))
    with pytest.raises(UsageError, match="there are no samples"):
        to_integer(model, torch.zeros(0, 2, 12, 12))
    with pytest.raises(UsageError, match="the values of the input are all 0 on the calibration"):
        to_integer(model, torch.zeros(4, 2, 12, 12))
    with pytest.raises(UsageError, match="model and data are on cpu and meta: move both"):
        to_integer(model, torch.zeros(4, 2, 12, 12, device="meta"))


def test_models_that_cannot_be_followed_are_refused() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(UsageError, match=r"torch.export cannot follow Branching on .* \[1, 2\]"):
        to_integer(Branching(), torch.tensor([[1.0, 2.0]]))


def test_layers_used_twice_and_computed_weights_are_refused() -> None:
    linear = nn.Linear(4, 4)
    x = torch.randn(8, 4)
    with pytest.raises(UsageError, match="is used more than once"):
        fold_batch_norm(nn.Sequential(linear, nn.BatchNorm1d(4), linear), x)
    for quantizers in ({"weights": lambda: Rounded(Scheme(8))}, {"activations": lambda: LSQ(8)}):
        model = prepare_qat(nn.Sequential(linear), x, **quantizers)
        with pytest.raises(UsageError, match=r"inputs of '0' go through quantizers: .* freeze"):
            to_integer(model, x)
        to_integer(freeze(model), x)

    class Doubling(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, 2 * self.weight)

    with pytest.raises(UsageError, match="no integer form of mul"):
        to_integer(nn.Sequential(Doubling(4, 4)), x)


def test_other_inputs_than_int8_are_refused() -> None:
    network = to_integer(nn.Sequential(nn.Linear(4, 2)), torch.randn(8, 4))
    with pytest.raises(UsageError, match=r"takes int8 \[batch, 4\], not float32 \[8, 4\]"):
        run_integer(network, torch.randn(8, 4))


def test_operations_in_place_leave_the_samples_alone() -> None:
    x = torch.randn(8, 4)
    before = x.clone()
    to_integer(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)), x)
    assert torch.equal(x, before)


def test_padding_as_tensorflow_has_it_is_part_of_the_convolution() -> None:
    model = nn.Sequential(SamePadding(3, 2), nn.Conv2d(2, 3, 3, 2))
    layer = to_integer(model, torch.randn(4, 2, 12, 12)).layers[0]
    assert isinstance(layer, Conv2d)
    assert layer.padding == (0, 1, 0, 1)
