"""Measurements, resets, channels and classical control to Qiskit's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from qsim.circuit import Circuit, Operation
from qsim.dynamic.instructions import RESET, Case, Control, Measure
from qsim.errors import UsageError, need
from qsim.instructions import Instruction
from qsim.interop.qiskit.angles import MOST_BITS, PURPOSE
from qsim.noise.channels import Channel

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


@dataclass(frozen=True)
class InstructionWriter:
    """Appends instructions to a circuit of Qiskit's.

    Attributes:
        converted: that circuit, with all classical bits.
        fill: (circuit of Qiskit's, circuit): appends the operations of a body.
        bitwise: whether conditions ask one bit after another, and switches become ifs.
    """

    converted: QuantumCircuit
    fill: Callable[[QuantumCircuit, Circuit], None]
    bitwise: bool

    def append(self, operation: Operation[Instruction]) -> None:
        """Append one.

        Raises:
            UsageError: for an instruction that is neither a channel nor of dynamic circuits.
        """
        instruction, qubits, _ = operation
        if isinstance(instruction, Measure):
            self.converted.measure(qubits[0], instruction.clbit)
        elif instruction == RESET:
            self.converted.reset(qubits[0])
        elif isinstance(instruction, Control):
            self._append_control(instruction, [self.converted.qubits[q] for q in qubits])
        elif isinstance(instruction, Channel):
            self.converted.append(_kraus(instruction), list(qubits))
        else:
            raise UsageError(f"a circuit of Qiskit's has nothing like {operation}")

    def _append_control(self, control: Control, qubits: list[Any]) -> None:
        target = self._switch_target(control.reads)
        if self.bitwise and len(control.reads) > MOST_BITS:
            raise UsageError(
                f"a condition or switch is written bit by bit for up to {MOST_BITS} classical "
                f"bits, not {len(control.reads)}"
            )
        if control.name == "switch_case" and target is not None and not self.bitwise:
            cases = [(_label(c), self._body(c.body, qubits)) for c in control.cases]
            self._put(_flow().SwitchCaseOp(target, cases), qubits)
        elif control.name == "while_loop":  # one with a bound is a for loop of an if
            inner = self._block(qubits)
            replace(self, converted=inner)._append_once(control, qubits)
            self._put(_flow().ForLoopOp(range(control.rounds), None, inner), qubits)
        else:
            self._append_once(control, qubits)

    def _append_once(self, control: Control, qubits: list[Any]) -> None:
        if self.bitwise:
            self._append_tree(control.reads, control.table(), qubits)
        else:
            self._append_ifs(control.reads, control.cases, qubits)

    def _append_ifs(self, reads: tuple[int, ...], cases: Sequence[Case], qubits: list[Any]) -> None:
        """One case after another, each in the else of the one before."""
        first, *others = cases
        assert first.values is not None
        otherwise = None
        if others and others[0].values is None:
            otherwise = self._body(others[0].body, qubits)
        elif others:
            otherwise = self._block(qubits)
            replace(self, converted=otherwise)._append_ifs(reads, others, qubits)
        condition = _condition([self.converted.clbits[bit] for bit in reads], first.values)
        then = self._body(first.body, qubits)
        self._put(_flow().IfElseOp(condition, then, otherwise), qubits)

    def _append_tree(
        self, reads: tuple[int, ...], bodies: list[Circuit | None], qubits: list[Any]
    ) -> None:
        """A condition on the highest bit, in whose blocks the lower ones are asked.

        Args:
            reads: the bits.
            bodies: what runs for each number in them.
            qubits: of the bodies.
        """
        *lower, bit = reads
        half = len(bodies) // 2
        halves = [(1, bodies[half:]), (0, bodies[:half])]
        if not any(bodies[half:]):
            halves.reverse()
        (value, then), (_, otherwise) = halves
        blocks = [
            self._tree(tuple(lower), part, qubits) if any(part) else None
            for part in (then, otherwise)
        ]
        condition = (self.converted.clbits[bit], value)
        if any(bodies):
            self._put(_flow().IfElseOp(condition, *blocks), qubits)

    def _tree(
        self, reads: tuple[int, ...], bodies: list[Circuit | None], qubits: list[Any]
    ) -> QuantumCircuit:
        first = bodies[0]
        if first is not None and all(body is first for body in bodies):
            return self._body(first, qubits)
        block = self._block(qubits)
        replace(self, converted=block)._append_tree(reads, bodies, qubits)
        return block

    def _put(self, made: Any, qubits: list[Any]) -> None:
        self.converted.append(made, qubits, self.converted.clbits)

    def _block(self, qubits: list[Any]) -> QuantumCircuit:
        qiskit = need("qiskit", extra="ibm", purpose=PURPOSE)
        return qiskit.QuantumCircuit(qubits, self.converted.clbits, *self.converted.cregs)

    def _body(self, body: Circuit, qubits: list[Any]) -> QuantumCircuit:
        block = self._block(qubits)
        self.fill(block, body)
        return block

    def _switch_target(self, reads: tuple[int, ...]) -> Any:
        """What Qiskit can switch on: one bit, or a register; None for others."""
        if len(reads) == 1:
            return self.converted.clbits[reads[0]]
        bits = [self.converted.clbits[bit] for bit in reads]
        return next((own for own in self.converted.cregs if list(own) == bits), None)


def _kraus(channel: Channel) -> Any:
    """As Qiskit's channels become instructions: the first qubit is the lowest bit, too."""
    parts = need("qiskit.circuit", extra="ibm", purpose=PURPOSE)
    return parts.Instruction("kraus", channel.num_qubits, 0, list(channel.kraus))


def _flow() -> Any:
    return need("qiskit.circuit", extra="ibm", purpose=PURPOSE)


def _label(case: Case) -> Any:
    return _flow().CASE_DEFAULT if case.values is None else tuple(sorted(case.values))


def _condition(bits: Sequence[Any], values: frozenset[int]) -> Any:
    """That the bits hold one of the values, as Qiskit says it."""
    if len(bits) == len(values) == 1:
        return (bits[0], *values)
    expr = need("qiskit.circuit.classical.expr", extra="ibm", purpose=PURPOSE)

    def holds(value: int) -> Any:
        literals = [
            expr.lift(bit) if value >> k & 1 else expr.logic_not(bit) for k, bit in enumerate(bits)
        ]
        return reduce(expr.logic_and, literals)

    return reduce(expr.logic_or, map(holds, sorted(values)))
