"""What a circuit holds: operations, and registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar, overload

from qsim.gates import Gate
from qsim.instructions import Instruction
from qsim.parameters import Angle

Acting = TypeVar("Acting", bound=Gate | Instruction, covariant=True)


class Operation(NamedTuple, Generic[Acting]):
    """A gate, or what else happens, on qubits with its angles."""

    gate: Acting
    qubits: tuple[int, ...]
    params: tuple[Angle, ...]

    def __str__(self) -> str:
        angles = ", ".join(f"{p:.4g}" if isinstance(p, float) else str(p) for p in self.params)
        name = self.gate.name if isinstance(self.gate, Gate) else str(self.gate)
        return f"{name}{f'({angles})' if angles else ''} {','.join(map(str, self.qubits))}"


@dataclass(frozen=True)
class Register(Sequence[int]):
    """Qubits or classical bits under a name: a sequence of numbers, of which slices are lists."""

    name: str
    members: tuple[int, ...]

    @overload
    def __getitem__(self, position: int) -> int: ...
    @overload
    def __getitem__(self, position: slice) -> list[int]: ...
    def __getitem__(self, position: int | slice) -> int | list[int]:
        found = self.members[position]
        return list(found) if isinstance(found, tuple) else found

    def __len__(self) -> int:
        return len(self.members)
