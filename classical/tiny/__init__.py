"""Networks on microcontrollers: a plan of memory, and a C file (lectures 10 and 11).

network = to_integer(model, data.train.x[:256])
program = generate(network)
program.save("network.c")
print(program.plan, HostBuild(program).footprint)
"""

from classical.tiny.build import FLAGS, HostBuild
from classical.tiny.footprint import Footprint
from classical.tiny.generator import Program, generate
from classical.tiny.planner import Block, MemoryPlan, Step, plan_memory, plan_steps

__all__ = [
    "FLAGS",
    "Block",
    "Footprint",
    "HostBuild",
    "MemoryPlan",
    "Program",
    "Step",
    "generate",
    "plan_memory",
    "plan_steps",
]
