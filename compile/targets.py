"""Parts of a Qiskit Target: without what is broken, or cut to a few qubits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from compile.esp import DEAD, gate_errors

if TYPE_CHECKING:
    from qiskit.transpiler import Target


def working_part(target: Target) -> Target:
    """The target without dead gates, so that no circuit is ever routed over them.

    Dead are gates with an error of 1, and all gates of a qubit that has such a one-qubit gate.
    """
    dead = {gate for gate, error in gate_errors(target).items() if error >= DEAD}
    # The bounds on the angles of fractional gates cannot be read back, so they could not be kept.
    if not dead or target.has_angle_bounds():
        return target
    dead_qubits = {qubits[0] for _, qubits in dead if len(qubits) == 1}
    return cut(
        target,
        range(target.num_qubits),
        lambda name, qubits: (name, qubits) not in dead and dead_qubits.isdisjoint(qubits),
    )


def cut(
    target: Target,
    qubits: Sequence[int],
    keep: Callable[[str, tuple[int, ...]], bool],
) -> Target:
    """The target on some of its qubits, renumbered by their place in `qubits`.

    Args:
        target: its errors, durations and coherence times are kept.
        qubits: physical qubits.
        keep: whether to keep an instruction, by name and physical qubits.
    """
    from qiskit.transpiler import Target

    place = {qubit: i for i, qubit in enumerate(qubits)}
    coherence = target.qubit_properties
    part = Target(
        num_qubits=len(qubits),
        dt=target.dt,
        qubit_properties=coherence and [coherence[qubit] for qubit in qubits],
        granularity=target.granularity,
        min_length=target.min_length,
        pulse_alignment=target.pulse_alignment,
        acquire_alignment=target.acquire_alignment,
    )
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        if isinstance(operation, type):  # control flow: a class, on any qubits
            part.add_instruction(operation, name=name)
            continue
        kept = {
            tuple(place[qubit] for qubit in where): properties
            for where, properties in target[name].items()
            if place.keys() >= set(where) and keep(name, where)
        }
        if kept:
            part.add_instruction(operation, kept, name=name)
    return part
