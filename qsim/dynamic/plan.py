"""Dynamic circuits as segments of gates, which engines run, and what happens between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch
from torch import Tensor

from qsim.circuit import Circuit, Operation
from qsim.dynamic.instructions import RESET, Control, Measure
from qsim.errors import UsageError
from qsim.gates import Gate
from qsim.instructions import Instruction
from qsim.noise.channels import Channel

if TYPE_CHECKING:
    from qsim.noise.model import NoiseModel

_MOST_BITS = 63  # of an int64 without its sign


class Reading(NamedTuple):
    """An outcome of a measurement, what is read for it, and how probable it is to read that."""

    outcome: int
    read: int
    probability: float


class Event(NamedTuple):
    """An instruction on qubits; its bodies are planned, too.

    Attributes:
        instruction: what happens.
        qubits: where.
        bodies: of a Control.
        readings: of a measurement or reset.
    """

    instruction: Instruction
    qubits: tuple[int, ...]
    bodies: tuple[Steps, ...]
    readings: tuple[Reading, ...]


Steps: TypeAlias = "tuple[Circuit | Event, ...]"


@dataclass(frozen=True)
class Deferred:
    """Measurements that nothing follows: the final states tell their outcomes.

    Attributes:
        clbits: the classical bit that each measured qubit goes into.
    """

    clbits: dict[int, int]

    @property
    def qubits(self) -> tuple[int, ...]:
        """The measured qubits; bit k of an outcome is that of `qubits[k]`."""
        return tuple(self.clbits)

    def recorded(self, bits: Tensor, outcomes: Tensor) -> Tensor:
        """Classical bits, packed int64, with outcomes put into them; broadcasts."""
        bits, outcomes = torch.broadcast_tensors(bits, outcomes)
        for k, place in enumerate(self.clbits.values()):
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
    return not circuit.is_unitary and any(_runs_here(op.gate) for op in circuit.operations)


def plan_of(
    circuit: Circuit, defer: bool, noise: NoiseModel | None = None, densities: bool = False
) -> Plan:
    """The circuit's plan, kept with it.

    Args:
        circuit: what is run; its angles are numbers and symbols.
        defer: whether measurements at the end are set apart.
        noise: what happens besides.
        densities: whether density matrices are run: then channels are steps like gates.

    Raises:
        UsageError: for a classical bit that is read before anything was measured into it, more bits
            than results hold, instructions of other kinds, and noise that does not fit.
    """
    key = ("dynamic", defer, noise, densities)
    return circuit.kept(key, lambda: _Planner(circuit, noise, densities).plan(defer))


def has_channels(circuit: Circuit) -> bool:
    """Whether there is a channel, also in a body."""
    return any(
        isinstance(op.gate, Channel)
        or (isinstance(op.gate, Control) and any(map(has_channels, op.gate.bodies)))
        for op in circuit.operations
    )


def doublings(steps: Steps) -> int:
    """How often the number of histories may double at most."""
    found = 0
    for step in steps:
        if isinstance(step, Circuit):
            continue
        if isinstance(step.instruction, Control):
            found += step.instruction.rounds * max(map(doublings, step.bodies))
        elif isinstance(step.instruction, Channel):
            found += (len(step.instruction.kraus) - 1).bit_length()
        else:
            found += (len(step.readings) - 1).bit_length()
    return found


def check_dynamic(circuit: Circuit, noise: NoiseModel | None) -> None:
    """Raises UsageError for bits that are read before they are written, or noise of other gates."""
    if noise is not None:
        if noise.relaxation:
            raise UsageError(
                "a circuit with measurements has no schedule, so that its qubits cannot relax "
                "while they wait: leave out the relaxation of the noise model"
            )
        noise.check(_flat(circuit))
    check_written(circuit)


class _Planner:
    def __init__(self, circuit: Circuit, noise: NoiseModel | None, densities: bool) -> None:
        self.circuit, self.noise, self.densities = circuit, noise, densities
        check_dynamic(circuit, noise)
        if circuit.num_clbits > _MOST_BITS:
            raise UsageError(
                f"results hold {_MOST_BITS} classical bits, not {circuit.num_clbits}: measure "
                "into bits again that are not needed any more"
            )

    def plan(self, defer: bool) -> Plan:
        operations = list(self._noisy(self.circuit).operations)
        last = _last(operations) if defer else {}
        steps = self._steps([op for k, op in enumerate(operations) if k not in last])
        deferred = Deferred({operations[k].qubits[0]: clbit for k, clbit in last.items()})
        if steps and isinstance(steps[0], Circuit):
            return Plan(steps[0], steps[1:], deferred)
        return Plan(_segment(self.circuit), steps, deferred)

    def _noisy(self, circuit: Circuit) -> Circuit:
        return circuit if self.noise is None else self.noise.applied(circuit)

    def _steps(self, operations: list[Operation[Gate | Instruction]]) -> Steps:
        steps: list[Circuit | Event] = []
        for gate, qubits, params in operations:
            if isinstance(gate, Gate) or (self.densities and isinstance(gate, Channel)):
                if not steps or isinstance(steps[-1], Event):
                    steps.append(_segment(self.circuit))
                steps[-1].append(gate, qubits, params)  # type: ignore[union-attr]
            else:
                steps.append(self._event(gate, qubits))
        return tuple(steps)

    def _event(self, instruction: Instruction, qubits: tuple[int, ...]) -> Event:
        if not _runs_here(instruction) and not isinstance(instruction, Channel):
            raise UsageError(f"a circuit with measurements cannot run with {instruction} in it")
        placed = [
            self._noisy(_segment(self.circuit).compose(body, qubits)) for body in instruction.bodies
        ]
        bodies = tuple([self._steps(list(body.operations)) for body in placed])
        readings = self._readings(qubits[0]) if isinstance(instruction, Measure) else _EXACT
        return Event(instruction, qubits, bodies, readings)

    def _readings(self, qubit: int) -> tuple[Reading, ...]:
        errors = self.noise.readout_errors if self.noise else {}
        p01, p10 = errors.get(qubit, (0.0, 0.0))
        every = (Reading(0, 0, 1 - p01), Reading(0, 1, p01), Reading(1, 0, p10))
        return tuple([r for r in (*every, Reading(1, 1, 1 - p10)) if r.probability])


_EXACT = (Reading(0, 0, 1.0), Reading(1, 1, 1.0))


def _flat(circuit: Circuit) -> Circuit:
    """Its gates with those of all bodies, for what asks which gates there are."""
    flat = _segment(circuit)
    for gate, qubits, params in circuit.operations:
        if isinstance(gate, Gate):
            flat.append(gate, qubits, params)
        elif isinstance(gate, Control):
            for body in gate.bodies:
                flat.compose(_flat(body), qubits)
    return flat


def _segment(circuit: Circuit) -> Circuit:
    return Circuit(circuit.num_qubits, circuit.num_weights, circuit.num_inputs)


def _runs_here(gate: Gate | Instruction) -> bool:
    return isinstance(gate, Measure | Control) or gate == RESET


def _last(operations: list[Operation[Gate | Instruction]]) -> dict[int, int]:
    """Measurements whose qubit and bit nothing touches afterwards: position and classical bit."""
    found: dict[int, int] = {}
    qubits: set[int] = set()
    clbits: set[int] = set()
    for k, (gate, where, _) in reversed(list(enumerate(operations))):
        if gate.name == "barrier":
            continue
        if isinstance(gate, Measure) and where[0] not in qubits and gate.clbit not in clbits:
            found[k] = gate.clbit
        qubits.update(where)
        if isinstance(gate, Instruction):
            clbits.update(gate.clbits)
    return found


def check_written(circuit: Circuit, before: frozenset[int] = frozenset()) -> frozenset[int]:
    """The bits that may be written after the circuit, from those before it.

    Raises:
        UsageError: for a bit that is read before.
    """
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
            written = written.union(*[check_written(body, written) for body in gate.bodies])
    return written
