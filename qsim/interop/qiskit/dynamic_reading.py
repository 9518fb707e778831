"""Measurements, resets, channels and control flow from Qiskit."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from qsim.circuit import Circuit
from qsim.dynamic.instructions import Control, plain
from qsim.errors import UsageError, need
from qsim.interop.qiskit.angles import MOST_BITS, PURPOSE
from qsim.noise.channels import kraus

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_BINARY: dict[str, Callable[[int, int], int]] = {
    "ADD": operator.add,
    "BIT_AND": operator.and_,
    "BIT_OR": operator.or_,
    "BIT_XOR": operator.xor,
    "EQUAL": operator.eq,
    "GREATER": operator.gt,
    "GREATER_EQUAL": operator.ge,
    "LESS": operator.lt,
    "LESS_EQUAL": operator.le,
    "LOGIC_AND": lambda a, b: bool(a) and bool(b),
    "LOGIC_OR": lambda a, b: bool(a) or bool(b),
    "MUL": operator.mul,
    "NOT_EQUAL": operator.ne,
    "SHIFT_LEFT": operator.lshift,
    "SHIFT_RIGHT": operator.rshift,
    "SUB": operator.sub,
}


@dataclass(frozen=True)
class InstructionReader:
    """Reads what is neither gate nor barrier.

    Attributes:
        part: a circuit of Qiskit's as one of ours.
        most_rounds: how often a while loop runs at most.
    """

    part: Callable[[QuantumCircuit], Circuit]
    most_rounds: int | None

    def append(
        self, circuit: Circuit, found: Any, qubits: list[int], bits: Mapping[Any, int]
    ) -> bool:
        """Append one of Qiskit's instructions; whether it is known here.

        Args:
            circuit: what it is appended to.
            found: the instruction.
            qubits: numbers of its qubits in the circuit.
            bits: number in the circuit of every classical bit.

        Raises:
            UsageError: for loops that are left by break or continue, while loops without
                `most_rounds`, and conditions on other things than classical bits.
        """
        clbits = [bits[bit] for bit in found.clbits]
        if found.name == "measure":
            circuit.measure(qubits, clbits)
        elif found.name == "reset":
            circuit.reset(qubits)
        elif found.name == "kraus":
            circuit.append(kraus(found.params), qubits)
        elif found.name in _FLOW:
            bodies = [plain(self.part(block), clbits) for block in found.operation.blocks]
            _FLOW[found.name](self, circuit, found.operation, bodies, _Place(qubits, bits))
        elif found.name in ("break_loop", "continue_loop"):
            raise UsageError(
                f"qsim's loops are not left by {found.name.removesuffix('_loop')}: put the rest of "
                "the body under a condition"
            )
        else:
            return False
        return True

    def _box(self, circuit: Circuit, made: Any, bodies: list[Circuit], at: _Place) -> None:
        circuit.compose(bodies[0], at.qubits)

    def _if_else(self, circuit: Circuit, made: Any, bodies: list[Circuit], at: _Place) -> None:
        read, values = _condition(made.condition, at.bits)
        then, *otherwise = bodies
        if read and values:
            circuit.if_test((read, values), then, otherwise[0] if otherwise else None, at.qubits)
        else:  # it reads nothing, or never holds
            for body in [then] if values else otherwise:
                circuit.compose(body, at.qubits)

    def _switch(self, circuit: Circuit, made: Any, bodies: list[Circuit], at: _Place) -> None:
        read, value_of = _target(made.target, at.bits)
        cases: dict[tuple[int, ...], Circuit] = {}
        default = None
        for (labels, _), body in zip(made.cases_specifier(), bodies, strict=True):
            if all(isinstance(label, int) for label in labels):
                cases[tuple(v for v in range(1 << len(read)) if value_of(v) in labels)] = body
            else:
                default = body
        circuit.switch(read, {k: b for k, b in cases.items() if k}, default, at.qubits)

    def _while(self, circuit: Circuit, made: Any, bodies: list[Circuit], at: _Place) -> None:
        if self.most_rounds is None:
            raise UsageError(
                "a while loop of Qiskit's has no bound: pass most_rounds=..., how often it runs at "
                "most"
            )
        condition = _condition(made.condition, at.bits)
        circuit.while_loop(condition, bodies[0], self.most_rounds, at.qubits)

    def _for(self, circuit: Circuit, made: Any, bodies: list[Circuit], at: _Place) -> None:
        (body,) = bodies
        indices, parameter, _ = made.params
        name = getattr(parameter, "name", None)
        looped = _as_while(body, len(indices))
        if looped:
            circuit.compose(looped, at.qubits)
        else:
            circuit.for_loop(indices, body, name if name in body.parameters else None, at.qubits)


class _Place(NamedTuple):
    """Where an instruction stands: its qubits, and the number of every classical bit."""

    qubits: list[int]
    bits: Mapping[Any, int]


_FLOW = {
    "box": InstructionReader._box,
    "for_loop": InstructionReader._for,
    "if_else": InstructionReader._if_else,
    "switch_case": InstructionReader._switch,
    "while_loop": InstructionReader._while,
}


def _as_while(body: Circuit, rounds: int) -> Circuit | None:
    """The loop over an if without an else, as `to_qiskit` writes a while loop."""
    if len(body) != 1 or not rounds:
        return None
    gate, qubits, _ = body.operations[0]
    if not isinstance(gate, Control) or gate.name != "if_else" or len(gate.cases) > 1:
        return None
    loop = replace(gate, name="while_loop", rounds=rounds)
    return Circuit(body.num_qubits).append(loop, qubits)


# --- Conditions and expressions -------------------------------------------------------------------


def _condition(condition: Any, bits: Mapping[Any, int]) -> tuple[list[int], frozenset[int]]:
    """Classical bits, and the numbers in them for which the condition holds."""
    if isinstance(condition, tuple):
        return _target(condition[0], bits)[0], frozenset([int(condition[1])])
    read, value_of = _target(condition, bits)
    return read, frozenset(v for v in range(1 << len(read)) if value_of(v))


def _target(target: Any, bits: Mapping[Any, int]) -> tuple[list[int], Callable[[int], int]]:
    """Classical bits, and the value of the target as a function of the number in them."""
    expr = need("qiskit.circuit.classical.expr", extra="ibm", purpose=PURPOSE)
    if not isinstance(target, expr.Expr):
        target = expr.lift(target)
    read = list(dict.fromkeys(bit for var in expr.iter_vars(target) for bit in _bits_of(var)))
    if len(read) > MOST_BITS:
        raise UsageError(
            f"a condition or switch reads up to {MOST_BITS} classical bits, not {len(read)}"
        )
    places = {bit: k for k, bit in enumerate(read)}
    return [bits[bit] for bit in read], lambda held: _value(
        target, lambda bit: held >> places[bit] & 1
    )


def _bits_of(var: Any) -> list[Any]:
    """Classical bits of a variable, the lowest one first."""
    if type(var.var).__name__ == "Clbit":
        return [var.var]
    if type(var.var).__name__ == "ClassicalRegister":
        return list(var.var)
    raise UsageError(f"qsim has no variables besides classical bits: {var.name!r} is one")


def _value(node: Any, held: Callable[[Any], int]) -> int:
    """The number that an expression of Qiskit's has, from what its bits hold."""
    kind = type(node).__name__
    width = getattr(node.type, "width", 1)
    if kind == "Var":
        return sum(held(bit) << k for k, bit in enumerate(_bits_of(node)))
    if kind == "Value" and isinstance(node.value, int):
        return int(node.value)
    if kind == "Cast":
        inner = _value(node.operand, held)
        return inner & ((1 << width) - 1) if hasattr(node.type, "width") else bool(inner)
    if kind == "Index":
        return _value(node.target, held) >> _value(node.index, held) & 1
    if kind == "Unary":
        inner = _value(node.operand, held)
        return not inner if node.op.name == "LOGIC_NOT" else ~inner & ((1 << width) - 1)
    if kind == "Binary" and node.op.name in _BINARY:
        found = _BINARY[node.op.name](_value(node.left, held), _value(node.right, held))
        return found & ((1 << width) - 1)
    raise UsageError(f"a condition with {node} has no counterpart: write it with bits and integers")
