"""Dynamical decoupling: pulses that turn waiting qubits round, so that slow noise cancels."""

from __future__ import annotations

from dataclasses import replace
from math import pi
from typing import TYPE_CHECKING

from compile.compiled import Compiled
from compile.schedule import Wait
from qsim.errors import UsageError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

SEQUENCES = {"XX": "XX", "XY4": "XYXY"}
"""Pulses of each sequence; XY4 also echoes errors of the pulses (Maudsley 1986)."""


def decoupled(compiled: Compiled, name: str) -> Compiled:
    """The circuit with pulses in every wait that is at least twice as long as they are.

    The pulses are spread evenly, half a space at both ends, and held in place by delays. A sequence
    multiplies out to the identity, up to a phase.

    Args:
        compiled: a circuit; gates keep their order and qubits.
        name: "XX" or "XY4".

    Raises:
        UsageError: an unknown sequence, or a device without a pulse for X.
    """
    if name not in SEQUENCES:
        raise UsageError(f"dd is one of {', '.join(SEQUENCES)} or None, not {name!r}")
    facts = compiled.device.gate_facts
    waits: dict[int, list[Wait]] = {}
    for wait in compiled.schedule.waits:
        pulse = facts.get(("x", (wait.qubit,)))
        if pulse is None:
            raise UsageError(
                f"{compiled.device_name} has no gate x on qubit {wait.qubit}, which {name} needs"
            )
        if wait.seconds >= 2 * len(SEQUENCES[name]) * pulse.seconds:
            waits.setdefault(wait.after, []).append(wait)
    circuit = compiled.circuit.copy_empty_like()
    for number, instruction in enumerate(compiled.circuit.data):
        circuit.append(instruction)
        for wait in waits.get(number, ()):
            _fill(circuit, wait, SEQUENCES[name], facts["x", (wait.qubit,)].seconds)
    return replace(compiled, circuit=circuit)


def _fill(circuit: QuantumCircuit, wait: Wait, pulses: str, seconds: float) -> None:
    space = (wait.seconds - len(pulses) * seconds) / len(pulses)
    circuit.delay(space / 2, wait.qubit, unit="s")
    for number, pulse in enumerate(pulses):
        if number:
            circuit.delay(space, wait.qubit, unit="s")
        if pulse == "Y":
            circuit.rz(pi, wait.qubit)  # Y = X Rz(pi) up to a phase
        circuit.x(wait.qubit)
    circuit.delay(space / 2, wait.qubit, unit="s")
