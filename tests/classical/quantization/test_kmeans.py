"""Shared weights: clusters, training of their values, and the file."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from classical.data import load_images
from classical.errors import UsageError
from classical.quantization import KMeans, freeze, kmeans, pack, prepare_qat, unpack
from classical.quantization.huffman import code_lengths
from classical.quantization.kmeans import nearest
from classical.training import TrainConfig, accuracy, train

X = torch.randn(4, 1, 6, 6)


def _model(sparsity: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 40)
    )
    model(torch.randn(8, 1, 6, 6))
    with torch.no_grad():
        for layer in (model[0], model[4]):
            layer.weight *= torch.rand_like(layer.weight) >= sparsity
    return model


def test_clusters_by_hand() -> None:
    values = torch.tensor([0.0, 0.1, 0.2, 5.0, 5.2, 9.0])
    centers = kmeans(values, 3)
    assert torch.allclose(centers, torch.tensor([0.1, 5.1, 9.0]))
    assert nearest(values, centers).tolist() == [0, 0, 0, 1, 1, 2]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 16), st.integers(0, 100))
def test_clusters_are_a_fixed_point(clusters: int, seed: int) -> None:
    values = torch.randn(300, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    centers = kmeans(values, clusters)
    labels = (values[:, None] - centers).abs().argmin(1)
    assert torch.equal(labels, nearest(values, centers))
    for label in labels.unique():
        assert torch.allclose(values[labels == label].mean(), centers[label])


def test_weights_take_few_values_and_zeros_stay() -> None:
    shared = prepare_qat(_model(0.8), X, weights=lambda: KMeans(2))
    weight, before = freeze(shared)[4].weight, _model(0.8)[4].weight
    assert len(weight.unique()) == 4
    assert torch.equal(weight == 0, before == 0)
    dense = prepare_qat(_model(), X, weights=lambda: KMeans(3), skip=["4"])
    assert len(freeze(dense)[0].weight.unique()) <= 8
    assert torch.equal(dense[4].weight, _model()[4].weight)


def test_a_value_follows_the_mean_gradient_of_its_weights() -> None:
    shared = prepare_qat(
        nn.Sequential(nn.Linear(64, 8)), torch.randn(2, 64), weights=lambda: KMeans(2)
    )
    (shared[0].weight * torch.arange(512.0).reshape(8, 64)).sum().backward()
    labels = shared[0].parametrizations.weight[0].labels.flatten()
    gradient = shared[0].parametrizations.weight.original.grad
    for label in range(4):
        assert gradient[label] == pytest.approx(float(torch.arange(512.0)[labels == label].mean()))


def test_pruned_weights_stay_zero_in_training() -> None:
    shared = prepare_qat(_model(0.8), X, weights=lambda: KMeans(2))
    before = freeze(shared)[4].weight
    optimizer = torch.optim.SGD(shared.parameters(), 0.1)
    shared(X).square().sum().backward()
    optimizer.step()
    after = freeze(shared)[4].weight
    assert not torch.equal(after, before)
    assert torch.equal(after == 0, before == 0)


def test_training_brings_accuracy_back_and_keeps_the_clusters() -> None:
    digits = load_images("digits")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    train(model, digits, TrainConfig(epochs=5, lr=0.1))
    shared = prepare_qat(model, digits.example, weights=lambda: KMeans(1))
    before = accuracy(shared, digits.test)
    labels = shared[1].parametrizations.weight[0].labels.clone()
    train(shared, digits, TrainConfig(epochs=3, lr=0.05))
    assert accuracy(shared, digits.test) > before + 0.05
    assert torch.equal(labels, shared[1].parametrizations.weight[0].labels)
    assert len(freeze(shared)[1].weight.unique()) == 2


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]),
    st.integers(1, 8),
    st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64]),
)
def test_files_come_back_bit_for_bit(sparsity: float, bits: int, dtype: torch.dtype) -> None:
    from tempfile import TemporaryDirectory

    model = _model(sparsity).to(dtype)
    shared = prepare_qat(model, X.to(dtype), weights=lambda: KMeans(bits))
    with TemporaryDirectory() as folder:
        size = pack(shared, Path(folder, "model.qpk"))
        assert size == Path(folder, "model.qpk").stat().st_size
        found = unpack(Path(folder, "model.qpk"))
    expected = freeze(shared).state_dict()
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    model.load_state_dict(found)


def test_sizes_are_those_of_entropy_and_sparsity(tmp_path: Path) -> None:
    def size(sparsity: float, bits: int) -> int:
        torch.manual_seed(0)
        layer = nn.Sequential(nn.Linear(400, 200, bias=False))
        with torch.no_grad():
            layer[0].weight.normal_().mul_(torch.rand(200, 400) >= sparsity)
        shared = prepare_qat(layer, torch.randn(1, 400), weights=lambda: KMeans(bits))
        labels = shared[0].parametrizations.weight[0].labels
        counts = np.bincount(labels.flatten().numpy())
        shares = counts[counts > 0] / counts.sum()
        entropy = -float((shares * np.log2(shares)).sum()) * labels.numel() / 8
        found = pack(shared, tmp_path / "layer.qpk")
        assert entropy < found < 1.1 * entropy + 300
        return found

    assert size(0.0, 4) < 80_000 * 4 / 8
    assert size(0.95, 4) < 80_000 / 8 * 0.6  # less than a bit for each weight


@pytest.mark.parametrize(("sparsity", "bits"), [(0.0, 4), (0.8, 3)])
def test_a_file_has_the_bytes_of_its_parts(sparsity: float, bits: int, tmp_path: Path) -> None:
    shared = prepare_qat(_model(sparsity), X, weights=lambda: KMeans(bits))
    size = pack(shared, tmp_path / "model.qpk")
    expected = 13 + int.from_bytes((tmp_path / "model.qpk").read_bytes()[9:13], "little")
    for name, value in freeze(shared).state_dict().items():
        if value.ndim > 1:
            quantizer = shared.get_submodule(
                name.removesuffix("weight") + "parametrizations.weight.0"
            )
            labels = quantizer.labels.flatten().numpy()
            places = np.flatnonzero(labels)
            gaps = np.diff(places, prepend=-1) - 1
            assert gaps.max(initial=0) < 63  # or a gap would be written in several parts
            sparse = _bytes(labels[places] - 1) + _bytes(gaps)
            expected += 4 * 2**bits + 1 + min(_bytes(labels), sparse)
        else:
            expected += value.numel() * value.element_size()
    assert size == expected


def _bytes(text: np.ndarray) -> int:
    """Of Huffman codes: 10 for sizes, half a byte for each length, and the words."""
    counts = np.bincount(text)
    return 10 + -(-len(counts) // 2) + -(-int(counts @ code_lengths(counts)) // 8)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.qpk"
    pack(prepare_qat(_model(0.5), X, weights=lambda: KMeans(3)), path)
    data = path.read_bytes()
    for place in range(0, len(data), 97):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(UsageError, match=r"is damaged|is no packed model|has version"):
            unpack(path)
        path.write_bytes(data[:place])
        with pytest.raises(UsageError, match=r"is damaged|is no packed model"):
            unpack(path)
    with pytest.raises(UsageError, match="cannot read"):
        unpack(tmp_path / "none.qpk")
    with pytest.raises(UsageError, match="cannot write"):
        pack(_model(), tmp_path / "none" / "model.qpk")


@pytest.mark.parametrize(
    "entries",
    [
        [["w", [2], "float32", 0, 9]],
        [["w", [3], "float32", 0, 8]],
        [["w", [2], "complex64", 0, 8]],
        [["w", [2], "float32", 2, 8]],
        "w",
    ],
)
def test_headers_that_lie_are_refused(entries: object, tmp_path: Path) -> None:
    header = zlib.compress(json.dumps(entries).encode())
    rest = struct.pack("<I", len(header)) + header + bytes(8)
    (tmp_path / "w.qpk").write_bytes(struct.pack("<4sBI", b"EQPK", 1, zlib.crc32(rest)) + rest)
    with pytest.raises(UsageError, match="is no packed model, though its checksum fits"):
        unpack(tmp_path / "w.qpk")


def test_impossible_bit_widths_are_refused() -> None:
    with pytest.raises(UsageError, match=r"1 to 8 bits, 2 to 256 values, not 9 bits"):
        KMeans(9)
