"""Efficient QML: train quantum circuits, search them for a device, and run them there.

``import qml`` is quick: the simulator (`qml.qsim`), the hardware side (`qml.compile`), compression
of classical networks (`qml.classical`) and all names below are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

_PACKAGES = ("classical", "compile", "qsim")
_HOMES = {
    "Checkpoint": "qml.training.checkpoints",
    "Classification": "qml.nas.objectives",
    "Classifier": "qml.nn.model",
    "DesignSpace": "qml.nas.spaces",
    "Energy": "qml.nas.objectives",
    "EvaluationLog": "qml.nas.evaluations",
    "Evaluations": "qml.nas.evaluations",
    "Evaluator": "qml.nas.evaluation",
    "EvolutionarySearch": "qml.nas.search",
    "ExactNoise": "qml.nas.estimators",
    "GatePruner": "qml.pruning",
    "Gene": "qml.nas.genes",
    "GeneSpace": "qml.nas.genes",
    "GradientPruning": "qml.onchip.pruning",
    "GradualRounding": "qml.pruning",
    "Inherited": "qml.nas.evaluation",
    "Job": "qml.job.pipeline",
    "JobConfig": "qml.job.pipeline",
    "LocalPool": "qml.nas.pools",
    "LossIncrease": "qml.pruning",
    "NoiseInjection": "qml.noise_aware.injection",
    "Normalization": "qml.noise_aware.normalization",
    "Objective": "qml.pruning",
    "OnChip": "qml.onchip.executor",
    "OnChipConfig": "qml.onchip.training",
    "OneProcess": "qml.nas.pools",
    "ParetoRank": "qml.nas.pareto",
    "Predictor": "qml.nas.estimators",
    "PruneConfig": "qml.pruning",
    "Quantization": "qml.noise_aware.quantization",
    "QuantumLayer": "qml.nn.model",
    "RayPool": "qml.nas.pools",
    "RunFolder": "qml.runs",
    "SPACES": "qml.nas.spaces",
    "SearchConfig": "qml.nas.search",
    "ShotNoise": "qml.noise_aware.shots",
    "Shots": "qml.nas.estimators",
    "Shrinking": "qml.nas.supercircuit",
    "Split": "qml.data.tasks",
    "SubConfig": "qml.nas.supercircuit",
    "SuccessGain": "qml.pruning",
    "SuccessProbability": "qml.nas.estimators",
    "SuperCircuit": "qml.nas.supercircuit",
    "SurvivingSignal": "qml.nas.estimators",
    "Task": "qml.data.tasks",
    "TensorBoard": "qml.training.callbacks",
    "TrainConfig": "qml.training.loop",
    "Tuned": "qml.nas.evaluation",
    "U3CU3": "qml.nas.spaces",
    "UsageError": "qsim.errors",
    "Votes": "qml.nn.model",
    "add_encoder": "qml.nn.encoders",
    "add_template": "qml.nn.ansatz",
    "allocate_bits": "qml.quantization",
    "amplitude_encoder": "qml.nn.amplitude_gates",
    "amplitudes": "qml.nn.encoders",
    "angle_preset": "qml.nn.encoders",
    "calibrate": "qml.noise_aware.normalization",
    "clifford_grid": "qml.quantization",
    "clifford_t_grid": "qml.quantization",
    "compiled_savings": "qml.quantization",
    "estimate_cost": "qml.onchip.cost",
    "evaluate": "qml.training.loop",
    "find_space": "qml.nas.spaces",
    "fit": "qml.training.loop",
    "gradient_variance": "qml.training.barren",
    "human_designs": "qml.nas.search",
    "load_preset": "qml.job.presets",
    "load_task": "qml.data.tasks",
    "on_device": "qml.noise_aware.devices",
    "pareto_front": "qml.nas.pareto",
    "predict": "qml.training.loop",
    "progress_bar": "qml.training.callbacks",
    "prune": "qml.pruning",
    "pulse_grid": "qml.quantization",
    "quantization_loss": "qml.noise_aware.quantization",
    "quantize": "qml.quantization",
    "random_search": "qml.nas.search",
    "straight_through": "qml.quantization",
    "t_count": "qml.quantization",
    "train_on_chip": "qml.onchip.training",
    "uniform_grid": "qml.quantization",
    "write_report": "qml.job.report",
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
