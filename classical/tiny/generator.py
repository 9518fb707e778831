"""One self-contained C file for a network of integers, after TinyEngine (arXiv:2007.10319).

Kernels come from c/, and the file calls one for each layer with constants for everything that is
known: sizes, places in the arena, factors. A compiler inlines them, unrolls what is small, and
drops what is not used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from classical.errors import UsageError
from classical.files import write_atomically
from classical.quantization.integer import IntegerModel
from classical.tiny.calls import layer_function
from classical.tiny.footprint import Footprint
from classical.tiny.kernels import PIXELS, naive, specialized
from classical.tiny.planner import MemoryPlan, plan_steps, steps_of

Style: TypeAlias = Literal["specialized", "naive"]

_KERNELS = {"specialized": specialized, "naive": naive}
_SOURCES = Path(__file__).parent / "c"
_HEAD = """\
// {name}: int8 {source.shape} to int8 {target.shape}, in memory [height][width][channels].
//
//     int8_t *{name}_input(void);          // put the input there: every run may overwrite it
//     void {name}_run(void);
//     const int8_t *{name}_output(void);
//
// A number q of the input stands for {source.scale!r} * (q - {source.zero_point}),
// one of the output for {target.scale!r} * (q - {target.zero_point}).

#include <stdint.h>

#define PIXELS {pixels}
"""


@dataclass(frozen=True)
class Program:
    """A network as C99.

    Attributes:
        name: what its functions begin with.
        network: what it computes.
        plan: of its memory.
        source: the file.
    """

    name: str
    network: IntegerModel
    plan: MemoryPlan
    source: str

    @property
    def footprint(self) -> Footprint:
        """Of weights and of the arena; code and stack, which a compiler knows, come on top."""
        heaviest = max(self.network.layers, key=lambda layer: layer.weight_bytes)
        return Footprint(
            self.network.weight_bytes, self.plan.peak_bytes, heaviest.name, self.plan.peak_layer
        )

    def save(self, path: str | Path) -> None:
        """Write the file in one step. Raises UsageError if that cannot be done."""
        try:
            write_atomically(Path(path), self.source.encode())
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from None


def generate(network: IntegerModel, name: str = "network", style: Style = "specialized") -> Program:
    """A network of integers as one C99 file that needs <stdint.h>, and no memory but its own.

    Its results are those of `run_integer`, bit for bit. Integers are shifted right as by all known
    compilers, with their sign.

    Args:
        network: as `to_integer` makes it.
        name: what the public functions begin with.
        style: "naive" is the plain loops that the specialized ones are compared with: one function
            for all sizes of convolutions, and nothing in place.

    Raises:
        UsageError: for a name that C does not take, an unknown style, or a network without layers.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise UsageError(f"{name!r} is no name for a function in C: take letters, digits and _")
    if style not in _KERNELS:
        raise UsageError(f"there is no style {style!r}: choose one of {', '.join(_KERNELS)}")
    if not network.layers:
        raise UsageError("a network without layers has nothing to generate")
    kernel = _KERNELS[style]
    plan = plan_steps(
        network.input.bytes, steps_of(network, kernel), in_place=style == "specialized"
    )
    functions = [
        layer_function(network, plan, number, kernel(network, layer).name)
        for number, layer in enumerate(network.layers)
    ]
    source = "\n".join(
        [
            _head(network, name),
            *((_SOURCES / f"{part}.c").read_text() for part in ("common", style, "layers")),
            f"static int16_t memory[{plan.peak_bytes // 2}];\n#define arena ((int8_t *)memory)\n",
            *functions,
            _interface(name, plan),
        ]
    )
    return Program(name, network, plan, source)


def _head(network: IntegerModel, name: str) -> str:
    return _HEAD.format(
        name=name,
        source=network.input,
        target=network.output,
        pixels=PIXELS,
    )


def _interface(name: str, plan: MemoryPlan) -> str:
    calls = "".join(f"    layer_{number}();\n" for number in range(len(plan.steps)))
    return (
        f"int8_t *{name}_input(void) {{ return arena + {plan.values[0].offset}; }}\n\n"
        f"const int8_t *{name}_output(void) {{ return arena + {plan.values[-1].offset}; }}\n\n"
        f"void {name}_run(void) {{\n{calls}}}\n"
    )
