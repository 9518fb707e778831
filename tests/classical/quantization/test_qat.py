"""Quantizers in training: their values, their gradients, and what they learn."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from classical.data import DataSet
from classical.errors import UsageError
from classical.quantization import (
    LSQ,
    PACT,
    BinaryActivation,
    BinaryWeight,
    IntegerModule,
    PackedLinear,
    Rounded,
    Running,
    Scheme,
    TernaryWeight,
    binary_matmul,
    fit,
    freeze,
    pack_signs,
    prepare_qat,
    quantize_weights,
    to_integer,
)
from classical.training import TrainConfig, accuracy, train


@pytest.fixture(scope="module")
def trained(digits: DataSet) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    train(model, digits, TrainConfig(epochs=6, lr=0.1))
    return model


PAIRS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "straight-through": (lambda: Rounded(Scheme(3)), lambda: Running(Scheme(3, symmetric=False))),
    "lsq": (lambda: LSQ(2), lambda: LSQ(2)),
    "pact": (lambda: LSQ(2), lambda: PACT(2)),
    "ternary": (TernaryWeight, lambda: PACT(2)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_training_with_few_bits_brings_accuracy_back(
    name: str, digits: DataSet, trained: nn.Module
) -> None:
    weights, activations = PAIRS[name]
    student = prepare_qat(trained, digits.train.x[:200], weights=weights, activations=activations)
    train(student, digits, TrainConfig(epochs=4))
    assert accuracy(student, digits.test) > accuracy(trained, digits.test) - 0.04
    levels = len(student[3].weight.unique())
    assert levels <= (3 if name == "ternary" else 8)
    plain = freeze(student)
    assert plain.state_dict().keys() == trained.state_dict().keys()
    assert torch.equal(plain[3].weight, student[3].weight)


def test_what_training_rounds_to_is_what_integers_compute(
    digits: DataSet, trained: nn.Module
) -> None:
    scheme = Scheme(8, per="channel")
    student = prepare_qat(trained, digits.train.x[:200], weights=lambda: Rounded(scheme))
    train(student, digits, TrainConfig(epochs=1, lr=0.01))
    plain = freeze(student)
    assert torch.equal(plain[1].weight, fit(plain[1].weight, scheme).round(plain[1].weight))
    network = to_integer(plain, digits.train.x[:200])
    assert accuracy(IntegerModule(network), digits.test) > accuracy(student, digits.test) - 0.01


def test_gradients_go_straight_through_and_stop_where_values_are_cut() -> None:
    x = torch.tensor([-3.0, 0.26, 0.9, 5.0], requires_grad=True)
    quantizer = Running(Scheme(4, symmetric=False)).eval()
    quantizer(torch.tensor([0.0, 1.5]))
    y = quantizer(x)
    assert torch.allclose(y, torch.tensor([0.0, 0.3, 0.9, 1.5]))
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0]


def test_running_ranges_follow_the_batches_in_training_alone() -> None:
    quantizer = Running(Scheme(8, symmetric=False), momentum=0.5)
    quantizer(torch.tensor([0.0, 2.0]))
    quantizer(torch.tensor([0.0, 4.0]))
    first = float(quantizer.high)
    quantizer.eval()(torch.tensor([0.0, 100.0]))
    assert (
        float(quantizer.high)
        == first
        == pytest.approx(0.5 * 2 + 0.5 * (0.5 * 2 + 0.5 * 4), rel=0.2)
    )


def test_lsq_has_the_gradient_of_the_paper() -> None:
    x = torch.tensor([-9.0, -0.26, 0.4, 1.3, 9.0], requires_grad=True)
    quantizer = LSQ(3)
    quantizer(torch.tensor([-1.0, 1.0]))
    with torch.no_grad():
        quantizer.step.fill_(0.5)
    y = quantizer(x)
    assert torch.allclose(y, torch.tensor([-2.0, -0.5, 0.5, 1.5, 1.5]))
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    scaled = x.detach() / 0.5  # equation 3
    inside = (scaled.round() - scaled)[1:4].sum() - 4 + 3
    assert float(quantizer.step.grad) == pytest.approx(float(inside) / (5 * 3) ** 0.5, abs=1e-5)


def test_lsq_takes_all_integers_for_what_is_not_negative() -> None:
    quantizer = LSQ(2)
    quantizer(torch.rand(100))
    assert len(quantizer(torch.linspace(-1, 9, 500)).unique()) == 4
    assert quantizer(torch.tensor([-1.0])).tolist() == [0]


def test_pact_has_the_gradient_of_the_paper() -> None:
    quantizer = PACT(2)
    quantizer(torch.tensor([0.0, 3.0]))
    x = torch.tensor([-1.0, 0.4, 1.6, 3.0, 7.0], requires_grad=True)
    y = quantizer(x)
    assert y.tolist() == [0, 0, 2, 3, 3]
    y.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0, 0]
    assert float(quantizer.height.grad) == 2
    with pytest.raises(UsageError, match="PACT cuts what is negative"):
        PACT(4)(torch.tensor([-1.0, 1.0]))


def test_binary_weights_are_the_nearest_with_one_factor() -> None:
    weight = torch.randn(5, 12)
    binary = BinaryWeight()(weight)
    assert all(len(row.abs().unique()) == 1 for row in binary)
    best = float((binary - weight).square().sum())
    for factor in (0.9, 1.1):
        assert float((factor * binary - weight).square().sum()) > best


def test_products_of_signs_by_counting_bits() -> None:
    for length in (1, 63, 64, 65, 200):
        a, b = torch.randn(7, length), torch.randn(5, length)
        a[0, 0] = 0
        signs = [torch.where(x < 0, -1, 1) for x in (a, b)]
        found = binary_matmul(pack_signs(a), pack_signs(b), length)
        assert found.tolist() == (signs[0] @ signs[1].T).tolist()
    with pytest.raises(UsageError, match="rows of 65 signs take 2 words"):
        binary_matmul(pack_signs(a), pack_signs(b), 65)


@pytest.mark.parametrize("bias", [True, False])
def test_packed_layers_compute_what_training_did(bias: bool) -> None:
    model = prepare_qat(
        nn.Sequential(nn.Linear(100, 9, bias=bias)),
        torch.randn(4, 100),
        weights=BinaryWeight,
        activations=BinaryActivation,
    )
    x = torch.randn(6, 100)
    packed = PackedLinear(model[0])
    assert packed.words.nbytes == 9 * 2 * 8
    assert torch.allclose(packed(x), model(x), atol=1e-4)
    assert torch.allclose(PackedLinear(freeze(model)[0])(x), model(x), atol=1e-4)


def test_ternary_weights_have_the_gradients_of_the_paper() -> None:
    quantizer = TernaryWeight(threshold=0.5)
    x = torch.tensor([1.0, 2.0, -4.0, 0.1, -3.0, 3.0], requires_grad=True)
    y = quantizer(x)
    assert y.tolist() == [0, 0, -3.5, 0, -3.5, 3]
    (y * torch.arange(1.0, 7.0)).sum().backward()
    assert float(quantizer.positive.grad) == 6
    assert float(quantizer.negative.grad) == -(3 + 5)
    assert x.grad.tolist() == [1, 2, 3 * 3.5, 4, 5 * 3.5, 6 * 3]


def test_models_are_left_as_they_were(trained: nn.Module) -> None:
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    prepare_qat(trained, torch.rand(4, 64), weights=lambda: LSQ(2), activations=lambda: LSQ(2))
    quantize_weights(trained, Scheme(2))
    assert before.keys() == trained.state_dict().keys()
    assert all(torch.equal(before[key], value) for key, value in trained.state_dict().items())
    assert not trained[1]._forward_pre_hooks


def test_impossible_settings_are_refused(trained: nn.Module) -> None:
    x = torch.rand(4, 64)
    for make in (lambda: LSQ(1), lambda: PACT(0), lambda: LSQ(17)):
        with pytest.raises(UsageError, match=r"this quantizer takes [12] to 16 bits, not"):
            make()
    with pytest.raises(UsageError, match="from 0 to below 1, not 1"):
        TernaryWeight(1)
    with pytest.raises(UsageError, match="activations have one scale"):
        Running(Scheme(8, per="channel"))
    with pytest.raises(
        UsageError, match="no convolution or linear layer 'first': choose among 1, 3"
    ):
        prepare_qat(trained, x, skip=["first"])
    twice = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    twice[1].weight = twice[0].weight
    with pytest.raises(UsageError, match="layers '0' and '1' share a weight"):
        prepare_qat(twice, torch.rand(4, 8), weights=lambda: LSQ(4))
    student = prepare_qat(trained, x, weights=lambda: LSQ(4))
    with pytest.raises(UsageError, match=r"the weight of '1' is computed from others"):
        prepare_qat(student, x, weights=lambda: LSQ(4))
