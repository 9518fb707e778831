"""Dynamic circuits as segments of gates, which engines run, and what happens between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from qsim.circuit import Circuit, Operation
from qsim.dynamic.instructions import RESET, Control, Measure
from qsim.errors import UsageError
from qsim.gates import Gate
from qsim.instructions import Instruction

_MOST_BITS = 63  # of an int64 without its sign


class Event(NamedTuple):
    """An instruction on qubits; its bodies are planned, too."""

    instruction: Instruction
    qubits: tuple[int, ...]
    bodies: tuple[Steps, ...]


Steps: TypeAlias = "tuple[Circuit | Event, ...]"


@dataclass(frozen=True)
class Deferred:
    """Measurements that nothing follows: the final states tell their outcomes.

    Attributes:
        clbits: classical bits that each measured qubit goes into.
    """

    clbits: dict[int, list[int]]

    @property
    def qubits(self) -> tuple[int, ...]:
        """The measured qubits; bit k of an outcome is that of `qubits[k]`."""
        return tuple(self.clbits)

    def recorded(self, bits: Tensor, outcomes: Tensor) -> Tensor:
        """Classical bits, packed int64, with outcomes put into them; broadcasts."""
        bits, outcomes = torch.broadcast_tensors(bits, outcomes)
        for k, places in enumerate(self.clbits.values()):
            for place in places:
                bits = bits & ~(1 << place) | (outcomes >> k & 1) << place
        return bits


@dataclass(frozen=True)
class Plan:
    """A circuit as it is run.

    Attributes:
        head: the gates before everything else, if any.
        steps: what follows: segments of gates, and events.
        deferred: measurements at the end, which are not among the steps.
    """

    head: Circuit
    steps: Steps
    deferred: Deferred


def is_dynamic(circuit: Circuit) -> bool:
    """Whether anything is measured, reset or controlled by classical bits."""
    return any(_runs_here(op.gate) for op in circuit.operations)


def plan_of(circuit: Circuit, defer: bool) -> Plan:
    """The circuit's plan, kept with it; with `defer`, measurements at the end are set apart.

    Raises:
        UsageError: for a classical bit that is read before anything was measured into it, more bits
            than results hold, and instructions of other kinds.
    """
    return circuit.kept(("dynamic", defer), lambda: _plan(circuit, defer))


def doublings(steps: Steps) -> int:
    """How often the number of histories may double at most."""
    found = 0
    for step in steps:
        if isinstance(step, Event):
            inside = max(map(doublings, step.bodies), default=0)
            rounds = getattr(step.instruction, "rounds", 1)
            found += rounds * inside if step.bodies else 1
    return found


def _plan(circuit: Circuit, defer: bool) -> Plan:
    if circuit.num_clbits > _MOST_BITS:
        raise UsageError(
            f"results hold {_MOST_BITS} classical bits, not {circuit.num_clbits}: measure into "
            "bits again that are not needed any more"
        )
    _check_written(circuit, frozenset())
    operations = list(circuit.operations)
    last = _last(operations) if defer else []
    deferred: dict[int, list[int]] = {}
    for k in last:
        gate, (qubit, *_), _ = operations[k]
        deferred.setdefault(qubit, []).extend(gate.clbits)  # type: ignore[union-attr]
    steps = _steps(circuit, [op for k, op in enumerate(operations) if k not in set(last)])
    if steps and isinstance(steps[0], Circuit):
        return Plan(steps[0], steps[1:], Deferred(deferred))
    return Plan(_segment(circuit), steps, Deferred(deferred))


def _steps(circuit: Circuit, operations: list[Operation[Gate | Instruction]]) -> Steps:
    steps: list[Circuit | Event] = []
    for gate, qubits, params in operations:
        if not isinstance(gate, Instruction):
            if not steps or isinstance(steps[-1], Event):
                steps.append(_segment(circuit))
            steps[-1].append(gate, qubits, params)  # type: ignore[union-attr]
            continue
        if not _runs_here(gate):
            raise UsageError(f"a circuit with measurements in its middle cannot have {gate} yet")
        placed = [_segment(circuit).compose(body, qubits) for body in gate.bodies]
        bodies = tuple([_steps(circuit, list(body.operations)) for body in placed])
        steps.append(Event(gate, qubits, bodies))
    return tuple(steps)


def _segment(circuit: Circuit) -> Circuit:
    return Circuit(circuit.num_qubits, circuit.num_weights, circuit.num_inputs)


def _runs_here(gate: Gate | Instruction) -> bool:
    return isinstance(gate, Measure | Control) or gate == RESET


def _last(operations: list[Operation[Gate | Instruction]]) -> list[int]:
    """Positions of measurements whose qubit and bit nothing touches afterwards."""
    found: list[int] = []
    qubits: set[int] = set()
    clbits: set[int] = set()
    for k, (gate, where, _) in reversed(list(enumerate(operations))):
        if gate.name == "barrier":
            continue
        if isinstance(gate, Measure) and where[0] not in qubits and gate.clbit not in clbits:
            found.append(k)
        else:
            qubits.update(where)
        if isinstance(gate, Instruction):
            clbits.update(gate.clbits)
    return found


def _check_written(circuit: Circuit, before: frozenset[int]) -> frozenset[int]:
    """The bits that may be written after the circuit, from those before it."""
    written = before
    for gate, _, _ in circuit.operations:
        if isinstance(gate, Measure):
            written |= {gate.clbit}
        if isinstance(gate, Control):
            for bit in gate.reads:
                if bit not in written:
                    raise UsageError(
                        f"{gate.name} reads classical bit {bit} before it is written: measure a "
                        "qubit into it first"
                    )
            written = written.union(*[_check_written(body, written) for body in gate.bodies])
    return written
