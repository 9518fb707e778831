"""Networks for microcontrollers: what MCUNet teaches, as tools (lecture 10)."""

from classical.tiny.patches import PatchBased, PatchCosts, patch_based
from classical.tiny.receptive import receptive_fields
from classical.tiny.redistribution import Redistributed, redistribute
from classical.tiny.spaces import SpaceChoice, SpaceSample, choose_space, space_family
from classical.tiny.targets import TARGETS, Target
from classical.tiny.windows import Window

__all__ = [
    "TARGETS",
    "PatchBased",
    "PatchCosts",
    "Redistributed",
    "SpaceChoice",
    "SpaceSample",
    "Target",
    "Window",
    "choose_space",
    "patch_based",
    "receptive_fields",
    "redistribute",
    "space_family",
]
