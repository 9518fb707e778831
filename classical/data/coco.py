"""Visual wake words, for who has a network: is there a person in the photograph?"""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from classical.data.downloads import Download
from classical.data.images import DataSet, parted
from classical.errors import need

IMAGES = Download(
    "http://images.cocodataset.org/zips/val2017.zip",
    "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
    815_585_330,
)
ANNOTATIONS = Download(
    "http://images.cocodataset.org/annotations/annotations_trainval2017.zip",
    "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
    252_907_541,
)
_INSTANCES = "annotations/instances_val2017.json"
_SMALLEST = 0.005
"""Of the image: a smaller person does not count."""


def visual_wake_words(side: int = 96, seed: int = 0, folder: str | Path | None = None) -> DataSet:
    """The 5,000 photographs of COCO val2017, class 1 where a person is large enough.

    Chowdhery et al., "Visual Wake Words Dataset" (arXiv:1906.05721), section 3.1: the area of a
    person exceeds 0.5 % of the photograph. The paper labels the 115,000 photographs of COCO 2014,
    19 GB, in the same way; these 5,000 take 1.1 GB, and accuracies are not those of the paper.

    Args:
        side: pixels to which whole photographs are scaled; each takes 12 side^2 bytes.
        seed: draws the partition, 70 % training, 10 % validation and 20 % test.
        folder: of the archives; by default the package's cache.

    Raises:
        UsageError: as `Download.fetch`, or if Pillow is not installed.
    """
    pillow = need("PIL.Image", extra="classical", purpose="reading photographs")
    labels = _labels(ANNOTATIONS.fetch(folder))
    with zipfile.ZipFile(IMAGES.fetch(folder)) as archive:
        pixels = np.stack(
            [_scaled(pillow, archive.read(f"val2017/{name}"), side) for name in labels]
        )
    return parted("visual wake words", pixels / np.float32(255), np.array([*labels.values()]), seed)


def _labels(path: Path) -> dict[str, int]:
    """File name -> 1 with a large enough person, otherwise 0, in the order of the names."""
    with zipfile.ZipFile(path) as archive:
        coco: dict[str, Any] = json.loads(archive.read(_INSTANCES))
    person = next(kind["id"] for kind in coco["categories"] if kind["name"] == "person")
    least = {image["id"]: _SMALLEST * image["width"] * image["height"] for image in coco["images"]}
    seen = {
        found["image_id"]
        for found in coco["annotations"]
        if found["category_id"] == person and found["area"] > least[found["image_id"]]
    }
    names = sorted((image["file_name"], image["id"]) for image in coco["images"])
    return {name: int(number in seen) for name, number in names}


def _scaled(pillow: Any, content: bytes, side: int) -> np.ndarray:
    """A JPEG -> uint8 [3, side, side]."""
    with pillow.open(BytesIO(content)) as image:
        small = image.convert("RGB").resize((side, side), pillow.Resampling.BILINEAR)
    return np.asarray(small).transpose(2, 0, 1)
