"""Photographs of scikit-image, as ImageNet networks take them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from classical.errors import need

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "clock", "colorwheel")
"""Names of the photographs in scikit-image."""


def photographs(side: int = 224) -> Tensor:
    """The photographs of `PHOTOGRAPHS`, cut to their middle square.

    Args:
        side: pixels.

    Returns:
        float32 [images, 3, side, side], (grey value - 127) / 128 as EfficientNet-Lite takes it.

    Raises:
        UsageError: if scikit-image is not installed.
    """
    data = need("skimage.data", extra="classical", purpose="loading photographs")
    return torch.cat([_prepared(torch.as_tensor(getattr(data, n)()), side) for n in PHOTOGRAPHS])


def _prepared(image: Tensor, side: int) -> Tensor:
    """uint8 [height, width] or [height, width, 3] -> float32 [1, 3, side, side]."""
    grey = image[..., None] if image.ndim == 2 else image
    x = grey.expand(-1, -1, 3).permute(2, 0, 1)[None].float()
    height, width = x.shape[-2:]
    cut = min(height, width)
    top, left = (height - cut) // 2, (width - cut) // 2
    square = x[..., top : top + cut, left : left + cut]
    small = interpolate(square, size=(side, side), mode="bilinear", antialias=True)
    return (small - 127) / 128
