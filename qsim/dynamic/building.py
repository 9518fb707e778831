"""Methods of `Circuit` for measurement, reset and control by classical bits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from qsim.dynamic.instructions import (
    RESET,
    Bits,
    Condition,
    Control,
    Measure,
    if_else,
    switch_case,
    while_loop,
)
from qsim.errors import UsageError
from qsim.parameters import whole

if TYPE_CHECKING:
    from qsim.circuit import Circuit

Places = int | Iterable[int]


class DynamicBuilding:
    """What `Circuit` can add beyond gates.

    A condition is (bit, 0 or 1), or ([bits], number), the first bit being the lowest one of the
    number; instead of one number there may be a set of them. Bodies are circuits, copied when they
    are added, which read the same weights, inputs and classical bits.
    """

    def measure(self, qubits: Places | None = None, clbits: Places | None = None) -> Circuit:
        """Measure qubits in the computational basis, each into a classical bit.

        Args:
            qubits: which, all by default; any number of times and anywhere in the circuit.
            clbits: the bit of each; by default the one with the number of the qubit.

        Raises:
            UsageError: if they differ in number, or a bit is repeated or beyond the declared ones.
        """
        circuit = cast("Circuit", self)
        where = _places(range(circuit.num_qubits) if qubits is None else qubits)
        into = where if clbits is None else _places(clbits)
        found = [whole(bit) for bit in into]
        if len(found) != len(where) or any(b is None or b < 0 for b in found):
            raise UsageError(
                f"qubits {list(where)} are measured into one classical bit each, 0 or above, "
                f"not into {list(into)}"
            )
        if len(set(found)) != len(found):
            raise UsageError(f"one measurement goes into different bits, not into {list(into)}")
        for qubit, bit in zip(where, found, strict=True):
            circuit.append(Measure("measure", 1, cast(int, bit)), qubit)
        return circuit

    def reset(self, qubits: Places | None = None) -> Circuit:
        """Put qubits into |0>, all by default, whatever they are and are entangled with."""
        circuit = cast("Circuit", self)
        for qubit in _places(range(circuit.num_qubits) if qubits is None else qubits):
            circuit.append(RESET, qubit)
        return circuit

    def if_test(
        self,
        condition: Condition,
        then: Circuit,
        otherwise: Circuit | None = None,
        qubits: Iterable[int] | None = None,
    ) -> Circuit:
        """Run a circuit if a condition holds, and another one, or none, if it does not.

        Args:
            condition: as said above: ([0, 1], 2) holds if bit 0 is 0 and bit 1 is 1.
            then: runs if it holds.
            otherwise: runs if it does not.
            qubits: where the qubits of these circuits go; by default onto the same numbers.

        Raises:
            UsageError: for a condition that is none, and circuits that do not fit.

        Example:
            >>> from qsim import Circuit
            >>> once = Circuit(1).h(0).measure(0).if_test((0, 1), Circuit(1).x(0))
            >>> print(once.operations[-1])
            if_else(c[0] {1: x 0}) 0
        """
        return self._controlled(if_else(condition, then, otherwise), qubits)

    def switch(
        self,
        bits: Bits,
        cases: Mapping[Any, Circuit],
        default: Circuit | None = None,
        qubits: Iterable[int] | None = None,
    ) -> Circuit:
        """Run the circuit of the case that fits the number in some bits.

        Args:
            bits: a classical bit or several, the lowest one first.
            cases: circuits by number, or by a tuple of numbers.
            default: runs for all other numbers; nothing does by default.
            qubits: as for `if_test`.

        Raises:
            UsageError: for numbers that the bits cannot hold, and circuits that do not fit.
        """
        return self._controlled(switch_case(bits, cases, default), qubits)

    def while_loop(
        self,
        condition: Condition,
        body: Circuit,
        most: int,
        qubits: Iterable[int] | None = None,
    ) -> Circuit:
        """Run a circuit again and again while a condition holds, at most `most` times.

        Where it still holds then, what comes after the loop follows all the same. Other arguments
        and errors as for `if_test`.
        """
        return self._controlled(while_loop(condition, body, most), qubits)

    def for_loop(
        self,
        values: Iterable[Any],
        body: Circuit,
        parameter: str | None = None,
        qubits: Iterable[int] | None = None,
    ) -> Circuit:
        """Append a circuit once for each value, which a named parameter of it takes.

        Args:
            values: numbers, or other angles.
            body: what to append.
            parameter: its name in the body; without one, the values are only counted.
            qubits: as for `if_test`.

        Raises:
            UsageError: if the body has no such parameter, or does not fit.
        """
        circuit = cast("Circuit", self)
        if not isinstance(values, Iterable):
            raise UsageError(f"a for loop takes the values of its rounds, not {values!r}")
        for value in values:
            circuit.compose(body if parameter is None else body.assign({parameter: value}), qubits)
        return circuit

    def _controlled(self, control: Control, qubits: Iterable[int] | None) -> Circuit:
        where = range(control.num_qubits) if qubits is None else qubits
        return cast("Circuit", self).append(control, where)


def _places(given: Places) -> tuple[int, ...]:
    return tuple(given) if isinstance(given, Iterable) else (given,)
