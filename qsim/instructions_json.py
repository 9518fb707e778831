"""Channels, measurements and classical control as data for JSON; see `qsim.serialization`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qsim.dynamic.instructions import RESET, Control, Measure, if_else, switch_case, while_loop
from qsim.errors import UsageError
from qsim.instructions import Instruction
from qsim.noise.channels import Channel, make_channel

if TYPE_CHECKING:
    from qsim.circuit import Circuit


def instruction_to_json(
    instruction: Instruction, body_to_json: Callable[[Circuit], Any]
) -> dict[str, list[Any]]:
    """{kind: [arguments]}, with every body as `body_to_json` writes it.

    Raises:
        UsageError: for an instruction that is neither a channel nor of dynamic circuits.
    """
    if isinstance(instruction, Channel):
        return {"channel": list(instruction.recipe)}
    if isinstance(instruction, Measure):
        return {"measure": [instruction.clbit]}
    if instruction == RESET:
        return {"reset": []}
    if isinstance(instruction, Control):
        cases = [
            {"values": None if c.values is None else sorted(c.values), "body": body_to_json(c.body)}
            for c in instruction.cases
        ]
        rounds = [instruction.rounds] if instruction.name == "while_loop" else []
        return {instruction.name: [list(instruction.reads), cases, *rounds]}
    raise UsageError(f"the instruction {instruction} cannot be saved: qsim has none of that name")


def instruction_from_json(
    kind: str, arguments: Sequence[Any], body_from_json: Callable[[Any], Circuit]
) -> Instruction:
    """What `instruction_to_json` wrote; everything in it is checked again."""
    if kind in _CONTROLS:
        reads, cases, *rounds = arguments
        found = [(case["values"], body_from_json(case["body"])) for case in cases]
        return _CONTROLS[kind](reads, found, *rounds)
    return _SIMPLE[kind](*arguments)


_Cases = list[tuple[list[int] | None, "Circuit"]]


def _measure(clbit: Any) -> Measure:
    from qsim.circuit import Circuit

    (operation,) = Circuit(1).measure(0, clbit).operations
    assert isinstance(operation.gate, Measure)
    return operation.gate


def _reset() -> Instruction:
    return RESET


def _if_else(reads: list[int], cases: _Cases) -> Control:
    (values, then), *others = cases
    if [case for case, _ in others] not in ([], [None]):
        raise UsageError("an if_else has a body, and perhaps another one for all other numbers")
    return if_else((reads, values or []), then, others[0][1] if others else None)


def _switch_case(reads: list[int], cases: _Cases) -> Control:
    chosen = {tuple(values): body for values, body in cases if values is not None}
    default = [body for values, body in cases if values is None]
    if len(chosen) + len(default) < len(cases) or len(default) > 1:
        raise UsageError("a switch_case has a body for each number, and one default")
    return switch_case(reads, chosen, default[0] if default else None)


def _while_loop(reads: list[int], cases: _Cases, rounds: int) -> Control:
    ((values, body),) = cases
    return while_loop((reads, values or []), body, rounds)


_SIMPLE: dict[str, Callable[..., Instruction]] = {
    "channel": make_channel,
    "measure": _measure,
    "reset": _reset,
}
_CONTROLS: dict[str, Callable[..., Control]] = {
    "if_else": _if_else,
    "switch_case": _switch_case,
    "while_loop": _while_loop,
}
KINDS = (*_SIMPLE, *_CONTROLS)
