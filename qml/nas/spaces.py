"""Design spaces of QuantumNAS (Wang et al., arXiv:2107.10845), as data."""

from __future__ import annotations

from dataclasses import dataclass

from qml.nn.layers import Layer


@dataclass(frozen=True)
class DesignSpace:
    """Blocks of the same layers, of which a SuperCircuit keeps any leading part."""

    name: str
    blocks: int
    layers: tuple[Layer, ...]


U3CU3 = DesignSpace("u3cu3", 8, (Layer("u3"), Layer("cu3", "ring")))
