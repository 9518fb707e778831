"""Measurement, reset and control by classical bits, as records that stand in circuits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from qsim.errors import UsageError
from qsim.instructions import Instruction
from qsim.parameters import whole

if TYPE_CHECKING:
    from qsim.circuit import Circuit


@dataclass(frozen=True)
class Measure(Instruction):
    """A measurement of one qubit in the computational basis, into a classical bit."""

    clbit: int

    @property
    def clbits(self) -> frozenset[int]:
        return frozenset([self.clbit])

    def with_clbits(self, places: Sequence[int]) -> Measure:
        return replace(self, clbit=places[self.clbit])

    def __str__(self) -> str:
        return f"measure(c[{self.clbit}])"


RESET = Instruction("reset", 1)  # a qubit is measured, the outcome forgotten, and a 1 flipped


@dataclass(frozen=True)
class Case:
    """A body, and the numbers in the bits with which it runs; None for all that have no case."""

    values: frozenset[int] | None
    body: Circuit

    def __hash__(self) -> int:  # without the body: circuits have none
        return hash(self.values)


@dataclass(frozen=True)
class Control(Instruction):
    """Runs the body of the case that fits what classical bits hold; none if no case fits.

    Attributes:
        name: "if_else", "switch_case" or "while_loop".
        reads: the bits, the lowest one first.
        cases: the bodies and their values, which no two share.
        rounds: how often it does this at most; it ends when no case fits.
    """

    reads: tuple[int, ...]
    cases: tuple[Case, ...]
    rounds: int = 1

    @property
    def clbits(self) -> frozenset[int]:
        inside = [op.gate for body in self.bodies for op in body.operations]
        written = [gate.clbits for gate in inside if isinstance(gate, Instruction)]
        return frozenset(self.reads).union(*written)

    @property
    def bodies(self) -> tuple[Circuit, ...]:
        return tuple([case.body for case in self.cases])

    def with_bodies(self, change: Callable[[Circuit], Circuit]) -> Control:
        return replace(self, cases=tuple([Case(c.values, change(c.body)) for c in self.cases]))

    def with_clbits(self, places: Sequence[int]) -> Control:
        moved = self.with_bodies(lambda body: plain(body, places[: body.num_clbits]))
        return replace(moved, reads=tuple([places[bit] for bit in self.reads]))

    def table(self) -> list[Circuit | None]:
        """The body for each number in the bits, None where nothing runs."""
        default = next((case.body for case in self.cases if case.values is None), None)
        bodies = {value: case.body for case in self.cases for value in case.values or ()}
        return [bodies.get(value, default) for value in range(1 << len(self.reads))]

    def chosen(self, bits: Tensor) -> Tensor:
        """From all classical bits, packed int64 [rows], the number of the body, -1 for none."""
        values = packed(bits, self.reads)
        found = torch.full_like(bits, -1)
        for number, case in reversed(list(enumerate(self.cases))):
            if case.values is None:
                found = torch.where(found < 0, number, found)
            else:
                found[torch.isin(values, values.new_tensor(sorted(case.values)))] = number
        return found

    def __str__(self) -> str:
        bits = ", ".join(f"c[{bit}]" for bit in self.reads)
        cases = [
            f"{'else' if c.values is None else '|'.join(map(str, sorted(c.values)))}: "
            + "; ".join(map(str, c.body.operations))
            for c in self.cases
        ]
        most = f" at most {self.rounds} times" if self.name == "while_loop" else ""
        return f"{self.name}({bits}{most} {{{' / '.join(cases)}}})"


def packed(bits: Tensor, places: Sequence[int]) -> Tensor:
    """Numbers whose bit k is bit `places[k]` of those in an int64 tensor."""
    found = torch.zeros_like(bits)
    for k, place in enumerate(places):
        found |= (bits >> place & 1) << k
    return found


def plain(body: Circuit, clbits: Sequence[int] | None = None) -> Circuit:
    """A copy that declares nothing, as bodies are kept, with its classical bits elsewhere."""
    from qsim.circuit import Circuit

    return Circuit(body.num_qubits).compose(body, clbits=clbits)


# --- Checked making -------------------------------------------------------------------------------

Bits = int | Iterable[int]
Condition = tuple[Bits, int | Collection[int]]


def if_else(condition: Condition, then: Circuit, otherwise: Circuit | None) -> Control:
    """The record of `Circuit.if_test`."""
    reads, values = _checked(condition)
    cases = [(values, then)] + ([(None, otherwise)] if otherwise is not None else [])
    return _control("if_else", reads, cases)


def switch_case(bits: Bits, cases: Mapping[Any, Circuit], default: Circuit | None) -> Control:
    """The record of `Circuit.switch`."""
    reads = _bits(bits)
    if not isinstance(cases, Mapping) or not cases:
        raise UsageError(f"the cases of a switch are {{value: circuit, ...}}, not {cases!r}")
    found = [(_values(value, len(reads)), body) for value, body in cases.items()]
    if len(frozenset().union(*[values for values, _ in found])) < sum(len(v) for v, _ in found):
        raise UsageError(f"the cases of a switch share a value: {list(cases)}")
    return _control(
        "switch_case", reads, found + ([(None, default)] if default is not None else [])
    )


def while_loop(condition: Condition, body: Circuit, most: int) -> Control:
    """The record of `Circuit.while_loop`."""
    rounds = whole(most)
    if rounds is None or rounds < 1:
        raise UsageError(f"a while loop runs at most 1, 2, ... times, not {most!r}")
    reads, values = _checked(condition)
    return _control("while_loop", reads, [(values, body)], rounds)


def _control(
    name: str,
    reads: tuple[int, ...],
    cases: Sequence[tuple[frozenset[int] | None, Circuit]],
    rounds: int = 1,
) -> Control:
    from qsim.circuit import Circuit

    for _, body in cases:
        if not isinstance(body, Circuit):
            raise UsageError(f"the body of {name} is a circuit, not {body!r}")
    sizes = {body.num_qubits for _, body in cases}
    if len(sizes) > 1:
        raise UsageError(f"bodies of one {name} have as many qubits each, not {sorted(sizes)}")
    kept = tuple([Case(values, plain(body)) for values, body in cases])
    return Control(name, sizes.pop(), reads, kept, rounds)


def _checked(condition: Any) -> tuple[tuple[int, ...], frozenset[int]]:
    if not isinstance(condition, tuple) or len(condition) != 2:
        raise UsageError(
            f"a condition is (bit, 0 or 1) or ([bits], number that they hold), not {condition!r}"
        )
    reads = _bits(condition[0])
    return reads, _values(condition[1], len(reads))


def _bits(bits: Any) -> tuple[int, ...]:
    given = tuple(bits) if isinstance(bits, Iterable) else (bits,)
    found = [bit for bit in map(whole, given) if bit is not None and bit >= 0]
    if not given or len(set(found)) != len(given):
        raise UsageError(f"a condition reads a classical bit or different ones, not {bits!r}")
    return tuple(found)


def _values(values: Any, count: int) -> frozenset[int]:
    given = list(values) if isinstance(values, Collection) else [values]
    numbers = [int(v) if isinstance(v, bool) else whole(v) for v in given]
    found = [v for v in numbers if v is not None and 0 <= v < 1 << count]
    if not given or len(found) != len(given):
        raise UsageError(
            f"{count} classical bit{'s hold' if count > 1 else ' holds'} a number from 0 to "
            f"{(1 << count) - 1}, never {values!r}"
        )
    return frozenset(found)
