"""Compression and efficient deployment of classical neural networks in PyTorch.

The package stands alone: it needs PyTorch and knows nothing of quantum circuits. ``import
classical`` is quick, for its parts and all names below are loaded when first used:

    import classical

    model, data = classical.models.mnist_vgg(), classical.data.load_images("mnist")
    print(classical.metrics.profile(model, data.example))
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PACKAGES = (
    "data",
    "distillation",
    "kernels",
    "metrics",
    "models",
    "nas",
    "pruning",
    "quantization",
    "tiny",
)
_HOMES = {
    "TrainConfig": "classical.training",
    "UsageError": "classical.errors",
    "accuracy": "classical.training",
    "count_parameters": "classical.metrics",
    "log_likelihood": "classical.training",
    "model_size_bytes": "classical.metrics",
    "plot_weights": "classical.plots",
    "predict": "classical.training",
    "train": "classical.training",
}

__all__ = [*_PACKAGES, *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
