"""Estimated success probability of a compiled circuit, from calibrated error rates.

ESP = prod over gates (1 - gate error) * prod over measured qubits (1 - readout error), by which
QuantumNAS (arXiv:2107.10845) ranks circuits. Errors count as independent, and idling is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING

from qsim.errors import UsageError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.transpiler import Target

    from compile.device import Device

DEAD = 1.0  # the error that a calibration gives to a gate that does not work
_FREE = {"barrier", "delay", "measure"}  # measurements count in readout_esp


def gate_errors(target: Target) -> dict[tuple[str, tuple[int, ...]], float]:
    """Error of every gate by name and physical qubits, for quick look-up.

    A gate whose error is not given is free, but on two qubits, where the same gate has an error on
    others, it counts as dead: its calibration failed.
    """
    errors = {}
    for name in target.operation_names:
        if name in _FREE:
            continue
        known = {q: p.error if p else None for q, p in target[name].items() if q}
        calibrated = any(error is not None for error in known.values())
        for qubits, error in known.items():
            missing = DEAD if calibrated and len(qubits) == 2 else 0.0
            errors[name, qubits] = missing if error is None else min(float(error), DEAD)
    return errors


def gate_esp(circuit: QuantumCircuit, device: Device) -> float:
    """Probability that no gate of a compiled circuit fails; 0 where it uses a dead gate.

    Raises:
        UsageError: if the device has no such gate on those qubits.
    """
    errors = device.gate_errors
    index = {qubit: i for i, qubit in enumerate(circuit.qubits)}
    success = 1.0
    for instruction in circuit.data:
        name, qubits = instruction.name, tuple([index[q] for q in instruction.qubits])
        error = errors.get((name, qubits))
        if error is not None:
            success *= 1.0 - error
        elif name not in _FREE:
            raise UsageError(
                f"{device.name} has no gate {name} on physical qubits {qubits}: "
                "compile the circuit for this device before estimating its success"
            )
    return success


def readout_esp(qubits: Iterable[int], device: Device) -> float:
    """Probability that every one of these physical qubits is read out right."""
    return prod(1.0 - device.readout_error(qubit) for qubit in qubits)
