"""Channels, mid-circuit measurements and conditionals to and from PennyLane."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qsim.circuit import Circuit, Operation
from qsim.dynamic.instructions import RESET, Control, Measure
from qsim.errors import UsageError
from qsim.gates import Gate
from qsim.instructions import Instruction
from qsim.noise import channels
from qsim.noise.channels import Channel

_CHANNELS: dict[str, Callable[..., Channel]] = {
    "AmplitudeDamping": channels.amplitude_damping,
    "BitFlip": channels.bit_flip,
    "DepolarizingChannel": lambda p: channels.depolarizing(4 * p / 3),  # p of X, Y and Z together
    "PhaseDamping": channels.phase_damping,
    "PhaseFlip": channels.phase_flip,
    "ResetError": channels.reset_error,
    "ThermalRelaxationError": lambda pe, t1, t2, tg: channels.thermal_relaxation(t1, t2, tg, pe),
}
_WRITTEN = {  # those that take the same numbers
    "amplitude_damping": "AmplitudeDamping",
    "bit_flip": "BitFlip",
    "phase_damping": "PhaseDamping",
    "phase_flip": "PhaseFlip",
    "reset_error": "ResetError",
}


@dataclass(frozen=True)
class InstructionReader:
    """Reads operations of PennyLane's that are no gates.

    Attributes:
        alone: an operation as a circuit of its own.
        bits: the classical bit that each measurement so far went into, in their order.
    """

    alone: Callable[[Any], Circuit]
    bits: dict[Any, int] = field(default_factory=dict)

    def append(self, circuit: Circuit, operation: Any, places: Mapping[Any, int]) -> bool:
        """Append one; whether it is known here.

        Raises:
            UsageError: for postselection, conditions on other things than mid-circuit
                measurements, and channels whose numbers are trained or differ by sample.
        """
        kinds = {kind.__name__ for kind in type(operation).__mro__}
        qubits = [places[wire] for wire in operation.wires]
        if kinds & {"MidMeasure", "MidMeasureMP"}:
            self._measure(circuit, operation, qubits)
        elif "Conditional" in kinds:
            self._condition(circuit, operation, [places[w] for w in operation.base.wires])
        elif "Channel" in kinds:
            circuit.append(*_read_channel(operation, qubits))
        else:
            return False
        return True

    def _measure(self, circuit: Circuit, operation: Any, qubits: list[int]) -> None:
        if operation.postselect is not None:
            raise UsageError(
                f"qsim keeps every outcome, but PennyLane's measurement of wires "
                f"{operation.wires.tolist()} is postselected: leave out postselect"
            )
        self.bits[operation] = len(self.bits)
        circuit.measure(qubits, self.bits[operation])
        if operation.reset:
            circuit.reset(qubits)

    def _condition(self, circuit: Circuit, operation: Any, qubits: list[int]) -> None:
        value = operation.meas_val
        if any(measured not in self.bits for measured in value.measurements):
            raise UsageError(
                f"{operation.name} of PennyLane's depends on something else than the mid-circuit "
                "measurements before it, which qsim's conditions read"
            )
        numbers = [
            sum(int(bit) << k for k, bit in enumerate(branch))
            for branch, holds in value.items()
            if holds
        ]
        if numbers:
            reads = [self.bits[measured] for measured in value.measurements]
            circuit.if_test((reads, numbers), self.alone(operation.base), qubits=qubits)


def _read_channel(operation: Any, qubits: list[int]) -> tuple[Channel, list[int]]:
    """A channel, and its qubits, the lowest bit of its matrices first."""
    for value in operation.parameters:
        if getattr(value, "requires_grad", False) or operation.batch_size:
            raise UsageError(
                f"PennyLane's {operation.name} on wires {operation.wires.tolist()} has numbers "
                "that are trained or differ by sample, but qsim's channels have constant ones"
            )
    made = _CHANNELS.get(operation.name)
    if made is not None:
        return made(*[float(value) for value in operation.parameters]), qubits
    return channels.kraus([np.asarray(k) for k in operation.kraus_matrices()]), qubits[::-1]


@dataclass(frozen=True)
class InstructionWriter:
    """Writes instructions as operations of PennyLane.

    Attributes:
        pennylane: the package.
        gate: a gate as operations.
        last: the measurement that each classical bit holds.
    """

    pennylane: Any
    gate: Callable[[Operation[Gate]], Iterable[Any]]
    last: dict[int, Any] = field(default_factory=dict)

    def written(self, operation: Operation[Instruction]) -> Iterator[Any]:
        """The operations, in their order.

        Raises:
            UsageError: for while loops, and bodies with more than gates in them.
        """
        instruction, qubits, _ = operation
        if isinstance(instruction, Channel):
            yield self._channel(instruction, qubits)
        elif isinstance(instruction, Measure) or instruction == RESET:
            value = self.pennylane.measure(qubits[0], reset=instruction == RESET)
            if isinstance(instruction, Measure):
                self.last[instruction.clbit] = value.measurements[0]
            yield value.measurements[0]
        elif isinstance(instruction, Control) and instruction.name != "while_loop":
            yield from self._control(instruction, qubits)
        else:
            raise UsageError(f"a tape of PennyLane's has nothing like {operation}")

    def _channel(self, channel: Channel, qubits: Sequence[int]) -> Any:
        if channel.name in _WRITTEN:
            made = getattr(self.pennylane, _WRITTEN[channel.name])
            return made(*channel.arguments, wires=qubits)
        return self.pennylane.QubitChannel(list(channel.kraus), wires=qubits[::-1])

    def _control(self, control: Control, qubits: Sequence[int]) -> Iterator[Any]:
        table = control.table()
        measured = [self.last[bit] for bit in control.reads]
        for body in control.bodies:
            if not body.is_unitary:
                raise UsageError(
                    f"PennyLane puts gates alone under a condition, but there is {control}"
                )
            values = {value for value, own in enumerate(table) if own is body}
            condition = self.pennylane.measurements.MeasurementValue(
                measured, lambda *bits, values=values: _packed(bits) in values
            )
            for gate, where, params in body.gates:
                placed = Operation(gate, tuple([qubits[q] for q in where]), params)
                for made in self.gate(placed):
                    yield self.pennylane.ops.Conditional(condition, made)


def _packed(bits: Iterable[Any]) -> int:
    return sum(int(bit) << k for k, bit in enumerate(bits))
