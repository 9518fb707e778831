"""Gates with open weights, written so that their global phases stay numbers.

Qiskit's translation adds up global phases. Where angles are symbols, the sum grows with every gate
and is expanded again each time, which takes minutes for a hundred weights (qiskit#16520). Gates
that are the same up to a phase bring none.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

from qsim import Circuit
from qsim.parameters import Expression, Symbol


def without_phases(circuit: Circuit) -> Circuit:
    """The same circuit up to a global phase, of gates that bring no phase of open angles."""
    found = Circuit(circuit.num_qubits, circuit.num_weights, circuit.num_inputs)
    for operation in circuit.gates:
        write = _WRITERS.get(operation.gate.name)
        if write is None or not any(isinstance(p, (Symbol, Expression)) for p in operation.params):
            found.append(operation.gate, operation.qubits, operation.params)
        else:
            write(found, *operation.params, *operation.qubits)
    return found


def _u3(circuit: Circuit, theta: Any, phi: Any, lam: Any, qubit: int) -> None:
    circuit.rz(lam, qubit).ry(theta, qubit).rz(phi, qubit)


def _cp(circuit: Circuit, lam: Any, control: int, target: int) -> None:
    circuit.rz(0.5 * lam, control).rz(0.5 * lam, target)
    circuit.cx(control, target).rz(-0.5 * lam, target).cx(control, target)


def _cu3(circuit: Circuit, theta: Any, phi: Any, lam: Any, control: int, target: int) -> None:
    half = 0.5 * lam + 0.5 * phi
    circuit.rz(half, control).rz(0.5 * lam - 0.5 * phi, target).cx(control, target)
    circuit.rz(-half, target).ry(-0.5 * theta, target).cx(control, target)
    circuit.ry(0.5 * theta, target).rz(phi, target)


def _cu(
    circuit: Circuit, theta: Any, phi: Any, lam: Any, gamma: Any, control: int, target: int
) -> None:
    circuit.rz(gamma, control)
    _cu3(circuit, theta, phi, lam, control, target)


_WRITERS: dict[str, Callable[..., None]] = {
    "p": lambda circuit, lam, qubit: circuit.rz(lam, qubit),
    "u2": lambda circuit, phi, lam, qubit: _u3(circuit, pi / 2, phi, lam, qubit),
    "u3": _u3,
    "cp": _cp,
    "cu3": _cu3,
    "cu": _cu,
}
