"""What a Qiskit Target says of its gates, and parts of one: without what is broken, or cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import pi
from typing import TYPE_CHECKING, NamedTuple

from qsim.errors import UsageError

if TYPE_CHECKING:
    from qiskit.transpiler import Target

DEAD = 1.0  # the error that a calibration gives to a gate that does not work
FREE = frozenset({"barrier", "delay", "measure"})  # measurements count as readout
Place = tuple[int, ...]


class GateFacts(NamedTuple):
    """Error (a probability) and duration (seconds) of a gate on some qubits."""

    error: float
    seconds: float


def gate_facts(target: Target) -> dict[tuple[str, Place], GateFacts]:
    """Facts of every gate by name and physical qubits, for quick look-up.

    A gate whose error is not given is free, but on two qubits, where the same gate has an error on
    others, it counts as dead: its calibration failed. A gate without a duration takes no time.
    """
    facts = {}
    for name in target.operation_names:
        if name in FREE:
            continue
        known = {q: p for q, p in target[name].items() if q}
        calibrated = any(p is not None and p.error is not None for p in known.values())
        for qubits, properties in known.items():
            error = getattr(properties, "error", None)
            missing = DEAD if calibrated and len(qubits) == 2 else 0.0
            facts[name, qubits] = GateFacts(
                missing if error is None else min(float(error), DEAD),
                float(getattr(properties, "duration", None) or 0.0),
            )
    return facts


def working_part(target: Target) -> Target:
    """The target without dead gates, so that no circuit is ever routed over them.

    Dead are gates with an error of 1, and all gates of a qubit that has such a one-qubit gate.
    """
    dead = {gate for gate, facts in gate_facts(target).items() if facts.error >= DEAD}
    if not dead:
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
    keep: Callable[[str, Place], bool] = lambda name, qubits: True,
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
    bounds = angle_bounds(target)
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
            limits = {"angle_bounds": [bounds[name]]} if name in bounds else {}
            part.add_instruction(operation, kept, name=name, **limits)
    return part


def angle_bounds(target: Target) -> dict[str, tuple[float, float]]:
    """Lowest and highest angle of the fractional gates that have bounds.

    Qiskit tells only whether an angle fits; all devices so far have bounds of 0 and pi / 2.

    Raises:
        UsageError: a gate has other bounds.
    """
    names = [n for n in target.operation_names if target.gate_has_angle_bounds(n)]
    for name in names:
        fits = [
            target.supported_angle_bound(name, [a]) for a in (-0.01, 0.0, pi / 2, pi / 2 + 0.01)
        ]
        if fits != [False, True, True, False]:
            raise UsageError(
                f"angles of {name} on this device do not go from 0 to pi/2, which is all that "
                "compile knows: leave the gate out of the target"
            )
    return dict.fromkeys(names, (0.0, pi / 2))
