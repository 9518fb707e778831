"""Weights that the package trains itself, kept for the next time."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from classical.files import write_atomically

Model = TypeVar("Model", bound=nn.Module)
VERSION = 2
"""Of the training recipes: weights of another version are trained anew."""


def cache_folder() -> Path:
    """$EFFICIENT_QML_CACHE, or the user's cache folder."""
    given = os.environ.get("EFFICIENT_QML_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base) / "efficient-qml"


def cached(
    model: Model, name: str, trained: Callable[[], nn.Module], folder: str | Path | None = None
) -> Model:
    """Fill a model with kept weights, or with those of `trained`, which are then kept.

    Files are read with `weights_only`, and a damaged one is trained anew. A folder that cannot be
    written costs the training every time, which a warning says.
    """
    path = Path(folder or cache_folder()) / f"{name}-v{VERSION}.pt"
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(weights)
    except Exception:
        weights = trained().state_dict()
        model.load_state_dict(weights)
        _keep(path, weights)
    return model.eval()


def _keep(path: Path, weights: dict[str, torch.Tensor]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = BytesIO()
        torch.save(weights, content)
        write_atomically(path, content.getvalue())
    except OSError as error:
        warnings.warn(f"cannot keep the weights in {path.parent} ({error.strerror})", stacklevel=3)
