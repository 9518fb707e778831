"""Models that are not the course's, in training mode, and what bad input gets."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import nn

import classical
from classical import UsageError
from classical.data import Split
from classical.metrics import count_macs, measure_latency, model_size_bytes, profile
from classical.nas import naswot
from classical.pruning import (
    ChannelPruner,
    Fisher,
    GatedModel,
    NonZeros,
    Regression,
    make_masks,
    nm_masks,
    pruning_report,
)
from classical.quantization import (
    LSQ,
    IntegerModule,
    KMeans,
    Scheme,
    adaround,
    correct_bias,
    equalize,
    fold_batch_norm,
    freeze,
    pack,
    prepare_qat,
    quantize_weights,
    to_integer,
)

X = torch.rand(8, 1, 12, 12, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8)


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.second(torch.relu(self.norm(self.first(x)))) + self.skip(x))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Residual(1, 8), Residual(8, 8), Residual(8, 12))
        self.classifier = nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.blocks(x).mean((2, 3)))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 4, 4)
        self.places = nn.Parameter(torch.zeros(9, 16))
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.classifier = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.places
        return self.classifier(self.layer(tokens).mean(1))


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.first, self.last = nn.Linear(144, 8), nn.Linear(8, 10)
        self.one, self.other = nn.Linear(8, 8), nn.Linear(8, 8)
        self.other.weight = self.one.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first(self.flatten(x)))
        return self.last(torch.relu(self.other(torch.relu(self.one(hidden)))))


def depthwise() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "residual": ResNet,
    "attention": Encoder,
    "shared": Shared,
    "depthwise": depthwise,
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    return MODELS[request.param]()


def _qat(model: nn.Module) -> Any:
    return prepare_qat(model, X, weights=lambda: LSQ(4))


def _smaller(model: nn.Module) -> nn.Module:
    pruner = ChannelPruner(X[:1])
    return pruner(model, dict.fromkeys(pruner.names(model), 0.5))


LOOKS: dict[str, Callable[[nn.Module], object]] = {
    "profile": lambda model: profile(model, X),
    "latency": lambda model: measure_latency(model, X, warm_up=0, runs=4),
    "masks": lambda model: make_masks(model, 0.5, scope="global"),
    "pattern": lambda model: nm_masks(model, 2, 4),
    "fisher": lambda model: Fisher(model, Split(X, Y)),
    "channels": _smaller,
    "gates": lambda model: GatedModel(model, X).collapse(X),
    "report": lambda model: pruning_report(model, model, X[:1]),
    "weights": lambda model: quantize_weights(model, Scheme(4)),
    "fold": lambda model: fold_batch_norm(model, X),
    "rounding": lambda model: adaround(model, X, Scheme(4), steps=1),
    "bias": lambda model: correct_bias(quantize_weights(model, Scheme(4)), model, X),
    "training": _qat,
    "integers": lambda model: to_integer(model, X),
}


@pytest.mark.filterwarnings("ignore:.*keep their bits", "ignore:There is a performance drop")
@pytest.mark.parametrize("look", LOOKS)
def test_models_stay_as_they_are_in_training_mode_too(model: nn.Module, look: str) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with suppress(UsageError):  # what cannot be done leaves it as it was, too
        LOOKS[look](model.train())
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("kind", ["residual", "attention", "depthwise"])
def test_channels_leave_through_any_of_them(kind: str) -> None:
    model = MODELS[kind]()
    assert count_macs(_smaller(model), X) < count_macs(model, X)


@pytest.mark.parametrize("kind", ["residual", "shared", "depthwise"])
def test_integers_are_close_for_all_but_attention(kind: str) -> None:
    model = MODELS[kind]().eval()
    with torch.no_grad():
        expected = model(X)
    found = IntegerModule(to_integer(model, X))(X)
    assert (found - expected).abs().max() < 0.1 * (expected.max() - expected.min())


def test_shared_weights_are_named() -> None:
    with pytest.raises(UsageError, match=r"one\.weight and other\.weight are one shared weight"):
        _smaller(Shared())
    with pytest.raises(UsageError, match="layers 'one' and 'other' share a weight"):
        _qat(Shared())
    words = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False))
    words[1].weight = words[0].weight
    with pytest.raises(UsageError, match="layers '0' and '1' share a weight"):
        prepare_qat(words, Y, weights=lambda: LSQ(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tied = quantize_weights(words, Scheme(4))
    assert tied[0].weight is tied[1].weight


def test_weights_that_keep_their_bits_are_named() -> None:
    for quantize in (_qat, LOOKS["weights"]):
        with pytest.warns(UserWarning, match=r"places, layer\.self_attn\.in_proj_weight: no"):
            quantize(Encoder())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _qat(ResNet())
        quantize_weights(Encoder(), {"classifier": Scheme(4)})
        quantize_weights(nn.Linear(4, 4), Scheme(4))


MODEL_AND_DATA: dict[str, Callable[[nn.Module, torch.Tensor], object]] = {
    "profile": profile,
    "latency": measure_latency,
    "macs": count_macs,
    "channels": lambda model, x: ChannelPruner(x)(model, {"0": 0.5}),
    "nonzeros": lambda model, x: ChannelPruner(X, criterion=NonZeros(x))(model, {"0": 0.5}),
    "regression": lambda model, x: ChannelPruner(X, criterion=Regression(x))(model, {"0": 0.5}),
    "fisher": lambda model, x: Fisher(model, Split(x, Y[: len(x)])),
    "qat": lambda model, x: prepare_qat(model, x, weights=lambda: LSQ(4)),
    "fold": fold_batch_norm,
    "equalize": equalize,
    "integers": to_integer,
    "rounding": lambda model, x: adaround(model, x, Scheme(4)),
    "bias": lambda model, x: correct_bias(model, model, x),
    "naswot": naswot,
    "predict": classical.predict,
    "accuracy": lambda model, x: classical.accuracy(model, Split(x, Y[: len(x)])),
}


@pytest.mark.parametrize("name", MODEL_AND_DATA)
def test_data_on_another_device_are_named(name: str) -> None:
    with pytest.raises(UsageError, match="model and data are on cpu and meta: move both"):
        MODEL_AND_DATA[name](depthwise(), X.to("meta"))


@pytest.mark.parametrize("name", MODEL_AND_DATA)
def test_no_data_are_named(name: str) -> None:
    told = r"\[0, 1, 12, 12\]|has none|0 samples"
    with pytest.raises(UsageError, match=told):
        MODEL_AND_DATA[name](depthwise(), X[:0])


@pytest.mark.parametrize("name", ["integers", "rounding", "bias"])
def test_data_that_are_not_finite_are_named(name: str) -> None:
    with pytest.raises(UsageError, match="not finite: remove its sample"):
        MODEL_AND_DATA[name](depthwise(), torch.full_like(X, torch.nan))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(12, 4, batch_first=True)
        self.classifier = nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.cell(x[:, 0])[0][:, -1])


@pytest.mark.filterwarnings("ignore:The tensor attributes")
def test_what_has_several_results_is_named() -> None:
    with pytest.raises(UsageError, match=r"Recurrent has an operation with several results \(lstm"):
        to_integer(Recurrent(), X)


def test_impossible_settings_are_named() -> None:
    for settings in ({"epochs": -1}, {"lr": 0}, {"batch_size": 0}, {"weight_decay": -1}):
        with pytest.raises(UsageError, match="training takes no negative number of epochs"):
            classical.TrainConfig(**settings)
    with pytest.raises(UsageError, match="at least 1 bit"):
        model_size_bytes(depthwise(), 0)
    with pytest.raises(UsageError, match="give sparsities by name without it"):
        make_masks(depthwise(), 0.5, granularity="kernel")
    with pytest.raises(UsageError, match=r"write nn\.ReLU\(\) for torch\.relu"):
        naswot(ResNet(), X)


def test_a_frozen_model_is_packed_as_it_is(tmp_path: Any) -> None:
    shared = prepare_qat(depthwise(), X, weights=lambda: KMeans(2))
    assert pack(freeze(shared), tmp_path / "plain") > pack(shared, tmp_path / "shared")
