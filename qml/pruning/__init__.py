"""Pruning of gates, after QuantumNAS (Wang et al., arXiv:2107.10845).

While the circuit is fine-tuned, the angles that it can best do without are set to zero and held
there, more of them every epoch. Gates whose angles vanish turn into cheaper ones or leave the
circuit, so it compiles to fewer gates. What it can best do without says a criterion: the smallest
angles, as in the paper, those to which the loss is least sensitive, or those that cost the device
most success for the loss that they save.
"""

from qml.pruning.criteria import Fisher, Gradient, LossIncrease, SuccessGain, magnitude
from qml.pruning.loop import GatePruner, prune
from qml.pruning.objective import Objective
from qml.pruning.rounding import GradualRounding
from qml.pruning.schedule import PruneConfig
from qml.pruning.simplification import simplify

__all__ = [
    "Fisher",
    "GatePruner",
    "Gradient",
    "GradualRounding",
    "LossIncrease",
    "Objective",
    "PruneConfig",
    "SuccessGain",
    "magnitude",
    "prune",
    "simplify",
]
