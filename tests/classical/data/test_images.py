"""The data sets: sizes, ranges, partitions."""

import pytest
import torch

from classical.data import DATA_SETS, PHOTOGRAPHS, load_images, photographs
from classical.errors import UsageError


@pytest.mark.parametrize(
    ("name", "shape", "counts", "classes"),
    [
        ("digits", (1, 8, 8), (1258, 180, 359), 10),
        ("mnist", (1, 28, 28), (3500, 500, 1000), 10),
        ("faces", (1, 25, 25), (140, 20, 40), 2),
    ],
)
def test_sizes_and_ranges(
    name: str, shape: tuple[int, ...], counts: tuple[int, ...], classes: int
) -> None:
    pytest.importorskip("skimage")
    data = load_images(name)
    parts = (data.train, data.valid, data.test)
    assert tuple(len(part) for part in parts) == counts
    assert data.num_classes == classes
    for part in parts:
        assert part.x.shape[1:] == shape
        assert 0 <= part.x.min() < part.x.max() <= 1
        assert part.y.unique().tolist() == list(range(classes))
    assert data.example.shape == (1, *shape)


def test_partitions_differ_by_seed_alone() -> None:
    first, again, other = (load_images("digits", seed) for seed in (0, 0, 1))
    assert torch.equal(first.test.x, again.test.x)
    assert not torch.equal(first.test.x, other.test.x)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no data set 'cifar': choose one of digits, mnist, faces"):
        load_images("cifar")
    assert DATA_SETS == ("digits", "mnist", "faces")


def test_photographs_are_prepared_for_imagenet_networks() -> None:
    pytest.importorskip("skimage")
    images = photographs(64)
    assert images.shape == (len(PHOTOGRAPHS), 3, 64, 64)
    assert -1 <= images.min() < images.max() <= 129 / 128
    assert len(images.unique(dim=0)) == len(PHOTOGRAPHS)
