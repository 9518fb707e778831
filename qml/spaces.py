"""Design spaces of QuantumNAS (Wang et al., arXiv:2107.10845), as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qsim.errors import UsageError
from qsim.gates import find_gate


@dataclass(frozen=True)
class Layer:
    """One gate repeated over the qubits.

    Attributes:
        gate: name in the gate table.
        pattern: "each" puts a one-qubit gate on every qubit in order; "ring" puts a two-qubit gate
            on (0, 1), (1, 2), ..., (n-1, 0).
    """

    gate: str
    pattern: Literal["each", "ring"]

    def sites(self, num_qubits: int) -> tuple[tuple[int, ...], ...]:
        """Qubits of every gate of the full layer, in the order in which front sampling keeps them.

        Raises:
            UsageError: if gate and pattern, or pattern and number of qubits, do not fit together.
        """
        needed = {"each": 1, "ring": 2}[self.pattern]
        given = find_gate(self.gate).num_qubits
        if given != needed:
            raise UsageError(
                f"pattern {self.pattern!r} takes gates on {needed} qubits, "
                f"but {self.gate} acts on {given}"
            )
        if num_qubits < needed:
            raise UsageError(
                f"pattern {self.pattern!r} needs at least {needed} qubits, got {num_qubits}"
            )
        if self.pattern == "each":
            return tuple((q,) for q in range(num_qubits))
        return tuple((q, (q + 1) % num_qubits) for q in range(num_qubits))


@dataclass(frozen=True)
class DesignSpace:
    """Blocks of the same layers, of which a SuperCircuit keeps any leading part."""

    name: str
    blocks: int
    layers: tuple[Layer, ...]


U3CU3 = DesignSpace("u3cu3", 8, (Layer("u3", "each"), Layer("cu3", "ring")))
