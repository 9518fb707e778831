"""Efficient QML: train quantum circuits, search them for a device, and run them there.

``import qml`` is quick: the simulator (`qml.qsim`), the hardware side (`qml.compile`), compression
of classical networks (`qml.classical`) and all names below are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

_PACKAGES = ("classical", "compile", "qsim")
_HOMES = {
    "BornMachine": "qml.algorithms.qgan",
    "Checkpoint": "qml.training.checkpoints",
    "Classification": "qml.nas.objectives",
    "Classifier": "qml.nn.model",
    "DesignSpace": "qml.nas.spaces",
    "DressedCircuit": "qml.algorithms.hybrid",
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
    "LocalPool": "qml.pools",
    "LossIncrease": "qml.pruning",
    "Molecule": "qml.chemistry.molecules",
    "NoiseInjection": "qml.noise_aware.injection",
    "Normalization": "qml.noise_aware.normalization",
    "Objective": "qml.pruning",
    "OnChip": "qml.onchip.chip",
    "OnChipConfig": "qml.onchip.training",
    "OneProcess": "qml.pools",
    "ParetoRank": "qml.nas.pareto",
    "Predictor": "qml.nas.estimators",
    "PruneConfig": "qml.pruning",
    "QGAN": "qml.algorithms.qgan",
    "QLSTM": "qml.algorithms.hybrid",
    "Quantization": "qml.noise_aware.quantization",
    "QuantumKernel": "qml.algorithms.kernels",
    "QuantumLayer": "qml.nn.model",
    "Quanvolution": "qml.algorithms.quanvolution",
    "RayPool": "qml.pools",
    "Regressor": "qml.algorithms.regression",
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
    "TransformerBlock": "qml.algorithms.hybrid",
    "Tuned": "qml.nas.evaluation",
    "U3CU3": "qml.nas.spaces",
    "UsageError": "qsim.errors",
    "Votes": "qml.nn.model",
    "adapt_vqe": "qml.algorithms.vqe",
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
    "default_estimator": "qml.nas.estimators",
    "evaluate": "qml.training.loop",
    "find_estimator": "qml.nas.estimators",
    "find_space": "qml.nas.spaces",
    "fit": "qml.training.loop",
    "gradient_variance": "qml.training.barren",
    "grover": "qml.algorithms.search",
    "hadamard_gradient": "qml.algorithms.hadamard",
    "hartree_fock": "qml.chemistry.ansatz",
    "human_designs": "qml.nas.search",
    "learn_state": "qml.algorithms.learning",
    "learn_unitary": "qml.algorithms.learning",
    "load_molecule": "qml.chemistry.molecules",
    "load_predictor": "qml.predictor.estimator",
    "load_preset": "qml.job.presets",
    "load_task": "qml.data.tasks",
    "make_molecule": "qml.chemistry.molecules",
    "minimize": "qml.algorithms.minimize",
    "on_device": "qml.noise_aware.devices",
    "overlap": "qml.algorithms.hadamard",
    "pareto_front": "qml.nas.pareto",
    "phase_estimation": "qml.algorithms.search",
    "placed_by_qiskit": "qml.nas.search",
    "predict": "qml.training.loop",
    "predict_success": "qml.predictor.estimator",
    "progress_bar": "qml.training.callbacks",
    "prune": "qml.pruning",
    "pulse_grid": "qml.quantization",
    "quantization_loss": "qml.noise_aware.quantization",
    "quantize": "qml.quantization",
    "random_search": "qml.nas.search",
    "solve_maxcut": "qml.algorithms.qaoa",
    "straight_through": "qml.quantization",
    "success_probability": "qml.predictor.pst",
    "t_count": "qml.quantization",
    "train_on_chip": "qml.onchip.training",
    "uccsd": "qml.chemistry.ansatz",
    "uniform_grid": "qml.quantization",
    "vqe": "qml.algorithms.vqe",
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
