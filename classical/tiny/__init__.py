"""Networks for microcontrollers: what MCUNet teaches, as tools, and a C file (lectures 10, 11).

network = to_integer(model, data.train.x[:256])
program = generate(network)
program.save("network.c")
print(program.plan, HostBuild(program).footprint)
"""

from classical.tiny.build import FLAGS, HostBuild
from classical.tiny.footprint import Footprint
from classical.tiny.generator import Program, generate
from classical.tiny.patches import PatchBased, PatchCosts, patch_based
from classical.tiny.planner import Block, MemoryPlan, Step, plan_memory, plan_steps
from classical.tiny.receptive import receptive_fields
from classical.tiny.redistribution import Redistributed, redistribute
from classical.tiny.spaces import SpaceChoice, SpaceSample, choose_space, space_family
from classical.tiny.targets import TARGETS, Target
from classical.tiny.windows import Window

__all__ = [
    "FLAGS",
    "TARGETS",
    "Block",
    "Footprint",
    "HostBuild",
    "MemoryPlan",
    "PatchBased",
    "PatchCosts",
    "Program",
    "Redistributed",
    "SpaceChoice",
    "SpaceSample",
    "Step",
    "Target",
    "Window",
    "choose_space",
    "generate",
    "patch_based",
    "plan_memory",
    "plan_steps",
    "receptive_fields",
    "redistribute",
    "space_family",
]
