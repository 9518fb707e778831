"""Design spaces of QuantumNAS (Wang et al., arXiv:2107.10845, section III), as data.

A space is layers that stand first and blocks of layers that repeat. What a circuit of the space may
leave out is the last blocks and, in every layer, some gates: the last ones ("front"), or any
("any"). TorchQuantum ends the names of its spaces in s0 for the former and in a0 for the latter.

A space of your own is one more record::

    space = DesignSpace("brick", 4, (Layer("ry"), Layer("cz", "pairwise")), keep="any")
    supercircuit = SuperCircuit(space, num_qubits=6)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qml.nn.layers import Layer, named, times
from qsim.errors import UsageError
from qsim.gates import find_gate

KEEPS = ("front", "any")


@dataclass(frozen=True)
class DesignSpace:
    """Blocks of the same layers, of which a circuit keeps the first ones and some of their gates.

    Attributes:
        name: what errors and reports call it.
        blocks: how many blocks the largest circuit has.
        layers: of each block.
        first: layers before the blocks; every circuit has them.
        keep: "front", if a circuit keeps the first gates of a layer, any number of them from one
            on, or "any", if it keeps any of them, one or more.

    Raises:
        UsageError: for no blocks or layers, an unknown gate, or another `keep`.
    """

    name: str
    blocks: int
    layers: tuple[Layer, ...]
    first: tuple[Layer, ...] = ()
    keep: str = "front"

    def __post_init__(self) -> None:
        times(self.blocks, "blocks", 1)
        if not self.layers:
            raise UsageError(f"the design space {self.name!r} has no layers: give one or more")
        if self.keep not in KEEPS:
            raise UsageError(
                f"circuits of a design space keep 'front' gates of a layer or 'any', "
                f"not {self.keep!r}"
            )
        for layer in (*self.first, *self.layers):
            find_gate(layer.gate)

    def to_json(self) -> dict[str, Any]:
        """The fields as a JSON-able dictionary."""
        return {
            "name": self.name,
            "blocks": self.blocks,
            "layers": [layer.to_json() for layer in self.layers],
            "first": [layer.to_json() for layer in self.first],
            "keep": self.keep,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> DesignSpace:
        """The space of `to_json`. Raises UsageError if it is none."""
        try:
            layers, first = (
                tuple(Layer.from_json(layer) for layer in value[key]) for key in ("layers", "first")
            )
            return cls(value["name"], value["blocks"], layers, first, value["keep"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                "a design space in JSON has a name, blocks, layers, first and keep, as "
                f"DesignSpace.to_json() writes them, not {value!r}"
            ) from error


_RX, _RY, _RZ = (Layer(gate) for gate in ("rx", "ry", "rz"))
_CX_RING = Layer("cx", "ring")

U3CU3 = DesignSpace("u3cu3", 8, (Layer("u3"), Layer("cu3", "ring")))

SPACES: dict[str, DesignSpace] = {
    space.name: space
    for space in (
        U3CU3,
        DesignSpace("zz_ry", 8, (Layer("rzz", "ring"), _RY)),
        DesignSpace("rxyz", 8, (_RX, _RY, _RZ, Layer("cz", "pairwise")), first=(Layer("sh"),)),
        DesignSpace("zx_xx", 8, (Layer("rzx", "ring"), Layer("rxx", "ring"))),
        DesignSpace(
            "rxyz_u1_cu3",
            4,
            (
                *(_RX, Layer("s"), _CX_RING, _RY, Layer("t"), Layer("swap", "ring")),
                *(_RZ, Layer("h"), Layer("sswap", "ring"), Layer("u1"), Layer("cu3", "ring")),
            ),
        ),
        DesignSpace("ibmq_basis", 20, (_RZ, Layer("x"), _RZ, Layer("sx"), _RZ, _CX_RING)),
    )
}
"""The six spaces of the paper by name; TorchQuantum calls them u3cu3, seth, barren, farhi, maxwell
and ibmbasis. In its code the eighth layer of maxwell is T, in the paper H, which stands here."""


def find_space(name: str) -> DesignSpace:
    """The space of that name. Raises UsageError with the nearest names, if there is none."""
    return named(SPACES, name, "design space")
