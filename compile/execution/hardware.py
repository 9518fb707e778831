"""Choosing a quantum computer."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from compile.account import real_backend
from compile.device import Device
from qsim.errors import UsageError

if TYPE_CHECKING:
    from qiskit.providers import BackendV2


def real_device(
    name: str | None = None,
    *,
    instance: str | None = None,
    fractional_gates: bool = False,
    min_qubits: int | None = None,
    max_queue: int | None = None,
    max_two_qubit_error: float | None = None,
) -> Device:
    """A device at IBM Quantum, by name or by what it has to be.

    Args:
        name: such as "ibm_torino"; by default the device with the shortest queue among those that
            the other arguments leave.
        instance: name or CRN of the instance that is charged; by default that of the saved account.
        fractional_gates: whether to have rx and rzz of any angle as gates of the device.
        min_qubits: number of qubits that it has at least.
        max_queue: number of jobs that wait for it at most.
        max_two_qubit_error: what the median error of its two-qubit gates is at most.

    Raises:
        UsageError: without an account, with one that is refused, without a network, or if there is
            no such device: each has its own sentence. Also for a name along with conditions.
    """
    conditions = {
        "min_qubits": min_qubits,
        "max_queue": max_queue,
        "max_two_qubit_error": max_two_qubit_error,
    }
    given = [key for key, value in conditions.items() if value is not None]
    if name is not None and given:
        raise UsageError(f"{name} is what it is: leave out {' and '.join(given)}, or the name")

    def suits(backend: BackendV2) -> bool:
        if max_queue is not None and backend.status().pending_jobs > max_queue:
            return False
        return max_two_qubit_error is None or _median_error(backend) <= max_two_qubit_error

    chosen = real_backend(
        name,
        instance=instance,
        fractional_gates=fractional_gates,
        min_qubits=min_qubits or 1,
        suits=suits if {"max_queue", "max_two_qubit_error"} & set(given) else None,
    )
    return Device(chosen)


def _median_error(backend: BackendV2) -> float:
    device = Device(backend)
    return median([device.two_qubit_error(a, b) for a, b in device.edges] or [1.0])
