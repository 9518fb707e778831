"""Methods of `Circuit` that give names to its qubits and classical bits."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from qsim.errors import UsageError
from qsim.operations import Register
from qsim.parameters import whole

if TYPE_CHECKING:
    from qsim.circuit import Circuit


class Registers:
    """Registers of a circuit; one name stands for qubits or for classical bits."""

    @property
    def _circuit(self) -> Circuit:
        return cast("Circuit", self)

    @property
    def registers(self) -> Mapping[str, Register]:
        """The registers of qubits by name."""
        return MappingProxyType(self._circuit._registers)

    @property
    def classical_registers(self) -> Mapping[str, Register]:
        """The registers of classical bits by name."""
        return MappingProxyType(self._circuit._classical_registers)

    def register(self, name: str, size: int | Iterable[int]) -> Register:
        """Give qubits a name: the next `size` that are in no register yet, or the ones listed.

        Raises:
            UsageError: if they are not left or not there, or the name is taken.
        """
        circuit = self._circuit
        made = self._made(name, size, self.registers, circuit.num_qubits, "qubits")
        circuit._registers[name] = made
        return made

    def classical_register(self, name: str, size: int | Iterable[int]) -> Register:
        """Give classical bits a name, as `register` gives one to qubits.

        A circuit that was not declared with a number of classical bits gets those that it lacks.

        Example:
            >>> from qsim import Circuit
            >>> circuit = Circuit(2)
            >>> syndrome = circuit.classical_register("syndrome", 2)
            >>> circuit.measure([0, 1], syndrome).num_clbits
            2
        """
        circuit = self._circuit
        most = circuit._declared["clbit"]
        made = self._made(name, size, self.classical_registers, most, "classical bits")
        circuit._classical_registers[name] = made
        circuit._used["clbit"] = max(circuit._used["clbit"], *[bit + 1 for bit in made])
        return made

    def _made(
        self,
        name: str,
        size: int | Iterable[int],
        known: Mapping[str, Register],
        total: int | None,
        noun: str,
    ) -> Register:
        if name in self.registers or name in self.classical_registers:
            raise UsageError(f"there is a register {name!r} already: take another name")
        end = sys.maxsize if total is None else total
        count = whole(size)
        left = range(max((p for own in known.values() for p in own), default=-1) + 1, end)
        if isinstance(size, Iterable):
            given = tuple(size)
            members = [p for p in map(whole, given) if p is not None and 0 <= p < end]
            fits = bool(given) and len(set(members)) == len(given)
        else:
            fits = count is not None and 1 <= count <= len(left)
            members = list(left[:count]) if fits else []
        if not fits:
            if total is None:
                there = "it has one or more, from 0 on, each once"
            elif count is None:
                there = f"it has one or more of 0 to {total - 1}, each once"
            else:
                there = f"{len(left)} of {total} {noun} are left"
            raise UsageError(f"register {name!r} of {size!r} {noun} does not fit: {there}")
        return Register(name, tuple(members))
