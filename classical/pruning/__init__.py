"""Pruning: making networks smaller by what they can do without (lectures 3 and 4, lab 1).

Masks (`make_masks`, `nm_masks`) set weights to zero, which saves memory in a sparse format and time
on special hardware only; `ChannelPruner` makes the tensors themselves smaller, and `DepGraphPruner`
those of models that it cannot follow. How much to prune where is chosen by hand, after a
`sensitivity_scan`, or by `uniform`, `netadapt` and `amc`.
`pruning_report` says what became smaller and faster, and what did not.
"""

from classical.pruning.amc import AMCConfig, Policy, amc
from classical.pruning.channel_criteria import (
    ChannelCriterion,
    NonZeros,
    Regression,
    batch_norm_scale,
    by_weights,
    scale_penalty,
)
from classical.pruning.channel_pruner import ChannelPruner
from classical.pruning.channels import (
    ChannelGroup,
    ChannelGroups,
    Member,
    channel_groups,
    remove_channels,
)
from classical.pruning.criteria import Criterion, Fisher, l1, l2
from classical.pruning.depgraph import DepGraphPruner
from classical.pruning.granularity import Granularity
from classical.pruning.l0 import GatedModel, HardConcrete
from classical.pruning.lottery import Ticket, lottery_ticket
from classical.pruning.masks import Masks, WeightPruner, make_masks, prunable
from classical.pruning.nm import PackedNM, nm_masks, pack_nm, semi_structured
from classical.pruning.pruner import Cost, Evaluate, Pruner
from classical.pruning.ratios import Adaptation, netadapt, uniform
from classical.pruning.report import Costs, PruningReport, pruning_report
from classical.pruning.schedule import GradualPruner, ladder, prune_iteratively
from classical.pruning.sensitivity import Sensitivity, sensitivity_scan

__all__ = [
    "AMCConfig",
    "Adaptation",
    "ChannelCriterion",
    "ChannelGroup",
    "ChannelGroups",
    "ChannelPruner",
    "Cost",
    "Costs",
    "Criterion",
    "DepGraphPruner",
    "Evaluate",
    "Fisher",
    "GatedModel",
    "GradualPruner",
    "Granularity",
    "HardConcrete",
    "Masks",
    "Member",
    "NonZeros",
    "PackedNM",
    "Policy",
    "Pruner",
    "PruningReport",
    "Regression",
    "Sensitivity",
    "Ticket",
    "WeightPruner",
    "amc",
    "batch_norm_scale",
    "by_weights",
    "channel_groups",
    "l1",
    "l2",
    "ladder",
    "lottery_ticket",
    "make_masks",
    "netadapt",
    "nm_masks",
    "pack_nm",
    "prunable",
    "prune_iteratively",
    "pruning_report",
    "remove_channels",
    "scale_penalty",
    "semi_structured",
    "sensitivity_scan",
    "uniform",
]
