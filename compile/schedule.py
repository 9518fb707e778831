"""When the gates of a compiled circuit run, and how long its qubits wait.

Every gate starts as late as it can, so that qubits stay in |0> for as long as possible, and all
measured qubits are read at the same time: the schedule of IBM's devices, and that of
`qsim.NoiseModel`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from qsim.errors import UsageError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from compile.device import Device

_EQUAL = 1e-15  # seconds: sums of durations differ by rounding alone
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}


class Step(NamedTuple):
    """An instruction on physical qubits: its error (a probability) and duration in seconds."""

    name: str
    qubits: tuple[int, ...]
    error: float
    seconds: float


class Wait(NamedTuple):
    """A pause of a qubit, in seconds, between step number `after` and its next one."""

    after: int
    qubit: int
    seconds: float


@dataclass(frozen=True)
class Schedule:
    """Steps of a circuit, and when they run.

    Attributes:
        steps: in the order of the circuit.
        ends: seconds from the end of each step to the end of the circuit.
        waits: pauses between two steps of a qubit, or before it is measured.
    """

    steps: list[Step]
    ends: list[float]
    waits: list[Wait]

    @property
    def seconds(self) -> float:
        """Duration of the circuit without its measurements."""
        return max(
            (end + step.seconds for end, step in zip(self.ends, self.steps, strict=True)),
            default=0.0,
        )


def steps_of(circuit: QuantumCircuit, device: Device) -> list[Step]:
    """Gates, delays and barriers of a compiled circuit; measurements at its end are left out.

    Raises:
        UsageError: the device has no such gate on those qubits.
    """
    facts = device.gate_facts
    index = {qubit: i for i, qubit in enumerate(circuit.qubits)}
    steps = []
    for instruction in circuit.data:
        name, qubits = instruction.name, tuple([index[q] for q in instruction.qubits])
        known = facts.get((name, qubits))
        if known is not None:
            steps.append(Step(name, qubits, known.error, known.seconds))
        elif name == "delay":
            steps.append(Step(name, qubits, 0.0, delay_seconds(instruction.operation, device)))
        elif name == "barrier":
            steps.append(Step(name, qubits, 0.0, 0.0))
        elif name != "measure":
            raise UsageError(
                f"{device.name} has no gate {name} on physical qubits {qubits}: "
                "compile the circuit for this device first"
            )
    return steps


def schedule(circuit: QuantumCircuit, device: Device, measured: Iterable[int]) -> Schedule:
    """Schedule a compiled circuit.

    Args:
        circuit: gates of the device on physical qubits.
        device: its durations count.
        measured: physical qubits that wait until the end to be read; others are free when their
            last gate is done.

    Raises:
        UsageError: as `steps_of`.
    """
    steps = steps_of(circuit, device)
    ends = [0.0] * len(steps)
    waits = []
    busy: dict[int, float] = dict.fromkeys(measured, 0.0)  # from when on, before the end
    for number in range(len(steps) - 1, -1, -1):
        _, qubits, _, seconds = steps[number]
        end = max([busy.get(q, 0.0) for q in qubits])
        ends[number] = end
        for qubit in qubits:
            wait = end - busy.get(qubit, end)
            if wait > _EQUAL:
                waits.append(Wait(number, qubit, wait))
            busy[qubit] = end + seconds
    return Schedule(steps, ends, waits)


def with_delays(circuit: QuantumCircuit, device: Device, measured: Iterable[int]) -> QuantumCircuit:
    """The circuit with a delay wherever a qubit waits; arguments as those of `schedule`."""
    waits: dict[int, list[Wait]] = {}
    for wait in schedule(circuit, device, measured).waits:
        waits.setdefault(wait.after, []).append(wait)
    padded = circuit.copy_empty_like()
    for number, instruction in enumerate(circuit.data):
        padded.append(instruction)
        for wait in waits.get(number, ()):
            padded.delay(wait.seconds, wait.qubit, unit="s")
    return padded


def delay_seconds(delay: object, device: Device) -> float:
    """How long one of Qiskit's delays takes."""
    duration, unit = delay.duration, delay.unit  # type: ignore[attr-defined]
    if unit == "dt":
        return float(duration) * (device.backend.target.dt or 0.0)
    return float(duration) * _UNITS[unit]
