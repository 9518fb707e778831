"""What stands in a circuit and is no gate: the base of channels and of dynamic circuits."""

from __future__ import annotations

from dataclasses import dataclass


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
