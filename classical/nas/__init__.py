"""Neural architecture search: spaces, a once-for-all supernet, predictors and searches (7, 8, 10).

mobile = MobileSpace((Stage(16), Stage(32)), resolutions=(6, 8))
supernet = Supernet(mobile)
shrink(supernet, data)
found = evolve(mobile.under(macs=2e5, peak_bytes=4000), subnet_accuracy(supernet, data))
net = recalibrated(supernet.extract(found.gene), data.train.x)
"""

from classical.nas.accelerator import ACCELERATORS, Accelerator, HardwareCosts
from classical.nas.calibration import recalibrated, subnet_accuracy
from classical.nas.latency import LatencyTable
from classical.nas.mobile import MobileSpace, Stage
from classical.nas.mobilenet import MobileNet
from classical.nas.paths import (
    ArchitectureStep,
    Choice,
    PathGates,
    SoftChoice,
    chosen,
    with_choices,
)
from classical.nas.plan import BlockPlan, Costs, Layer, Plan, predict_costs
from classical.nas.predictor import AccuracyPredictor
from classical.nas.search import Found, Limited, evolve, random_search
from classical.nas.shrinking import PHASES, SampledSubnets, shrink
from classical.nas.space import Gene, Space
from classical.nas.supernet import Supernet
from classical.nas.zerocost import gradsign, naswot, synflow

__all__ = [
    "ACCELERATORS",
    "PHASES",
    "Accelerator",
    "AccuracyPredictor",
    "ArchitectureStep",
    "BlockPlan",
    "Choice",
    "Costs",
    "Found",
    "Gene",
    "HardwareCosts",
    "LatencyTable",
    "Layer",
    "Limited",
    "MobileNet",
    "MobileSpace",
    "PathGates",
    "Plan",
    "SampledSubnets",
    "SoftChoice",
    "Space",
    "Stage",
    "Supernet",
    "chosen",
    "evolve",
    "gradsign",
    "naswot",
    "predict_costs",
    "random_search",
    "recalibrated",
    "shrink",
    "subnet_accuracy",
    "synflow",
    "with_choices",
]
