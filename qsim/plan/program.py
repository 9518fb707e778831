"""Programs of circuits, planned once and kept with the circuit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import qsim._native as _native
from qsim.circuit import Circuit, Operation, Symbol
from qsim.gates import GATES
from qsim.observables import PauliString
from qsim.plan.lowering import elementary_gates, elementary_row, gate_row

_SOURCES = {"weight": 0, "input": 1}


class Program:
    """Planned operations and the observables that were measured on them.

    Args:
        num_qubits: number of qubits.
        operations: gates, and whatever else `row` knows.
        row: what the planner is told of each.
    """

    def __init__(
        self,
        num_qubits: int,
        operations: Sequence[Operation[Any]],
        row: Callable[[Any], Any] = gate_row,
    ) -> None:
        size, own = len(GATES), dict[Any, int]()
        table = _gate_numbers() if row is gate_row else {}
        numbers = []
        for gate, _, _ in operations:
            number = table.get(id(gate), -1)
            numbers.append(own.setdefault(gate, size + len(own)) if number < 0 else number)
        angles = [angle for operation in operations for angle in operation.params]
        rows = [
            (_SOURCES[a.source], a.index, a.scale, a.offset)
            if a.__class__ is Symbol
            else (-1, 0, 0.0, a)
            for a in angles
        ]
        self.native = _native.Program(
            _gate_table(),
            [row(gate) for gate in own],
            num_qubits,
            numbers,
            [qubit for operation in operations for qubit in operation.qubits],
            rows,
        )
        self._measurements: dict[tuple[PauliString, ...], Any] = {}

    def measurement(self, observables: tuple[PauliString, ...]) -> Any:
        """The observables where the program's final state has them."""
        if observables not in self._measurements:
            self._measurements[observables] = _native.Measurement(
                self.native,
                [p.x_mask for p in observables],
                [p.z_mask for p in observables],
                [p.num_y for p in observables],
            )
        return self._measurements[observables]


def program_of(circuit: Circuit) -> Program:
    """The circuit's program; planned at the first call and again only after gates were added."""
    if circuit._program is None:
        circuit._program = Program(circuit.num_qubits, circuit.gates)
    program: Program = circuit._program
    return program


@cache
def _gate_numbers() -> dict[int, int]:
    """The number of each gate of the table, by its id: such gates are single objects."""
    return {id(gate): number for number, gate in enumerate(GATES.values())}


@cache
def _gate_table() -> Any:
    return _native.GateTable(
        [elementary_row(gate) for gate in elementary_gates()],
        [gate_row(gate) for gate in GATES.values()],
    )
