"""Efficient QML: train quantum circuits, search them for a device, and run them there.

``import qml`` is quick: the simulator (`qml.qsim`), the hardware side (`qml.compile`), compression
of classical networks (`qml.classical`) and all names below are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

_PACKAGES = ("classical", "compile", "qsim")
_HOMES = {
    "Checkpoint": "qml.checkpoints",
    "Classifier": "qml.model",
    "DesignSpace": "qml.spaces",
    "EvolutionarySearch": "qml.search",
    "Gene": "qml.genes",
    "GeneSpace": "qml.genes",
    "Job": "qml.pipeline",
    "JobConfig": "qml.pipeline",
    "PruneConfig": "qml.pruning",
    "QuantumLayer": "qml.model",
    "RunFolder": "qml.runs",
    "Split": "qml.tasks",
    "SubCircuitScore": "qml.scoring",
    "SubConfig": "qml.supercircuit",
    "SuperCircuit": "qml.supercircuit",
    "Task": "qml.tasks",
    "TensorBoard": "qml.callbacks",
    "TrainConfig": "qml.training",
    "U3CU3": "qml.spaces",
    "UsageError": "qsim.errors",
    "add_encoder": "qml.encoders",
    "add_template": "qml.ansatz",
    "amplitudes": "qml.encoders",
    "angle_preset": "qml.encoders",
    "evaluate": "qml.training",
    "fit": "qml.training",
    "gradient_variance": "qml.barren",
    "load_preset": "qml.presets",
    "load_task": "qml.tasks",
    "predict": "qml.training",
    "progress_bar": "qml.callbacks",
    "prune": "qml.pruning",
    "write_report": "qml.report",
}

__all__ = [*_PACKAGES, *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("efficient-qml")
    if name in _PACKAGES:
        return import_module(name)
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
