"""What stands in a circuit and is no gate: the base of channels and of dynamic circuits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qsim.circuit import Circuit


@dataclass(frozen=True)
class Instruction:
    """One thing that happens to qubits without being a unitary gate.

    Engines run circuits of gates; whoever brings an instruction also brings what runs it.
    Instructions are values: equal and hashable by what they hold.

    Attributes:
        name: how drawings and messages call it.
        num_qubits: qubits it acts on.
    """

    name: str
    num_qubits: int

    @property
    def params(self) -> tuple[str, ...]:
        """Names of its angles: none, what it holds are numbers."""
        return ()

    @property
    def clbits(self) -> frozenset[int]:
        """Classical bits that it reads or writes, itself or in a body."""
        return frozenset()

    @property
    def bodies(self) -> tuple[Circuit, ...]:
        """Circuits that it may run; their qubit k is the k-th qubit that it acts on."""
        return ()

    def with_bodies(self, change: Callable[[Circuit], Circuit]) -> Instruction:
        """The same with every body changed."""
        return self

    def with_clbits(self, places: Sequence[int]) -> Instruction:
        """The same with classical bit `places[k]` for bit k."""
        return self

    def __str__(self) -> str:
        return self.name
