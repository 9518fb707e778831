"""Estimated success probability of a compiled circuit, from the device's calibration.

ESP = prod over gates (1 - gate error)
    * prod over measured qubits (1 - readout error)
    * prod over waits of t seconds (1/2 + exp(-t/T1)/6 + exp(-t/T2)/3).

The first two factors are those by which QuantumNAS (arXiv:2107.10845) ranks circuits; the third is
the average fidelity of a qubit that relaxes for as long as it waits in the scheduled circuit. All
errors count as independent, and there is no crosstalk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, prod
from typing import TYPE_CHECKING

from compile.schedule import schedule

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from compile.device import Device


@dataclass(frozen=True)
class Esp:
    """Where a circuit may fail.

    Attributes:
        gates: probability that none of the gates on a qubit (q,) or an edge (a, b), a < b, fails.
        readouts: probability that a measured qubit is read out right.
        idles: probability that a qubit survives its waits.
    """

    gates: dict[tuple[int, ...], float]
    readouts: dict[int, float]
    idles: dict[int, float]

    @cached_property
    def gate(self) -> float:
        """Probability that no gate fails; 0 where the circuit uses a dead one."""
        return prod(self.gates.values())

    @cached_property
    def readout(self) -> float:
        """Probability that every measured qubit is read out right."""
        return prod(self.readouts.values())

    @cached_property
    def idle(self) -> float:
        """Probability that all qubits survive their waits."""
        return prod(self.idles.values())

    @property
    def total(self) -> float:
        """Estimated success probability."""
        return self.gate * self.readout * self.idle

    def of_qubit(self, qubit: int) -> float:
        """Probability that nothing fails on one qubit alone: its pulses, waits and reading."""
        gates = self.gates.get((qubit,), 1.0)
        return gates * self.readouts.get(qubit, 1.0) * self.idles.get(qubit, 1.0)


def estimate_esp(circuit: QuantumCircuit, device: Device, measured: Sequence[int]) -> Esp:
    """Estimate the success of a compiled circuit.

    Args:
        circuit: gates of the device on physical qubits.
        device: its errors, durations and coherence times count.
        measured: physical qubits that are measured at the end.

    Raises:
        UsageError: the device has no such gate on those qubits.
    """
    planned = schedule(circuit, device, measured)
    gates: dict[tuple[int, ...], float] = {}
    for _, qubits, error, _ in planned.steps:
        if error:
            place = tuple(sorted(qubits))
            gates[place] = gates.get(place, 1.0) * (1.0 - error)
    idles: dict[int, float] = {}
    for _, qubit, seconds in planned.waits:
        idles[qubit] = idles.get(qubit, 1.0) * waiting_fidelity(seconds, *device.decay[qubit])
    readouts = {qubit: 1.0 - device.readout_error(qubit) for qubit in measured}
    return Esp(gates, readouts, idles)


def waiting_fidelity(seconds: float, rate1: float, rate2: float) -> float:
    """Average fidelity of a qubit that relaxes with rates 1/T1 and 1/T2, in 1/s."""
    return 0.5 + exp(-seconds * rate1) / 6 + exp(-seconds * rate2) / 3
