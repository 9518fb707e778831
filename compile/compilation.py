"""Compiling: a circuit, checked, in the best way that the effort allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from compile.checks import check_whole
from compile.choice.search import EFFORTS, OBJECTIVES, Search
from compile.compiled import Compiled
from compile.decoupling import SEQUENCES, decoupled
from compile.device import Device
from compile.phases import without_phases
from compile.transpilation import transpile
from qsim import Circuit
from qsim.errors import UsageError, need
from qsim.interop.qiskit import to_qiskit

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_LEVELS = (0, 1, 2, 3)


def compile(
    circuit: Circuit | QuantumCircuit,
    device: Device,
    *,
    effort: str = "fast",
    objective: str = "esp",
    layout: Sequence[int] | None = None,
    level: int = 3,
    seed: int = 0,
    budget_s: float = 5.0,
    dd: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Compiled:
    """Compile a circuit for a device.

    Effort "fast" is one run of Qiskit, of milliseconds. "balanced" and "best" weigh candidates:
    Qiskit's levels over seeds, the circuit resynthesized by Qiskit and (if it is installed) pytket,
    gates that commute in other orders,
    all initial layouts on up to 7 physical qubits, all orders on connected shapes of larger
    devices, and other places for the best of them; with and without gates of any angle, where the
    device has them. The best by the objective is taken; among those within 5% of it that are no
    worse than any run of level 3, the least deep, then the one with the fewest two-qubit gates.

    The result depends on circuit, device, effort and seed alone, unless the budget ends the search:
    `Compiled.complete` tells.

    Args:
        circuit: inputs may stay open, and weights if it is to be trained under noise
            (`compile.noisy`); to run, weights have to be bound. Parameters of a Qiskit circuit, and
            named ones, become inputs in the order of their names. Measurements at the end of a
            Qiskit circuit are dropped: `Compiled.measured` adds those of every logical qubit.
        device: what to compile for.
        effort: "fast", "balanced" or "best".
        objective: "esp", the estimated success probability; "depth" or "two_qubit_gates".
        layout: physical qubit of every logical qubit at the start; chosen by default.
        level: Qiskit's optimization level of effort "fast", 0 to 3.
        seed: of the transpiler; the same seed gives the same circuit.
        budget_s: seconds after which no further candidate is weighed.
        dd: dynamical decoupling of waiting qubits, "XX" or "XY4"; it is never chosen by itself, as
            calibrations do not tell what it gains.
        workers: processes that weigh candidates; as many as there are processors by default.
        progress: called with the number of weighed candidates and of those known so far.

    Raises:
        UsageError: more qubits than the device has, a layout or options that do not fit, or qubits
            that no working couplings connect.
    """
    need("qiskit", extra="ibm", purpose="compiling for a device")
    source, num_inputs, num_weights = _source(circuit)
    _check_options(effort, objective, level, seed, budget_s, dd)
    if workers is not None:
        check_whole("the number of workers", workers, 1)
    _check_size(source.num_qubits, device)
    chosen = None if layout is None else _checked_layout(layout, source.num_qubits, device)
    facts: dict[str, Any] = {
        "num_inputs": num_inputs,
        "num_weights": num_weights,
        "features": _features(source, num_weights),
    }
    try:
        if effort == "fast":
            made = transpile(source, device.target, chosen, level, seed)
        else:
            search = Search(source, device, chosen, seed, objective, budget_s, workers, progress)
            made, found = search.run(effort)
            facts |= found
    except _transpiler_error() as error:
        raise UsageError(_reason(str(error).strip("'\""), device, chosen)) from error
    compiled = Compiled(made.circuit, device, source, *made[1:], **facts)
    return compiled if dd is None else decoupled(compiled, dd)


def _source(circuit: Circuit | QuantumCircuit) -> tuple[QuantumCircuit, int, int]:
    """A Qiskit circuit of gates alone, and its numbers of inputs and of open weights."""
    ours = isinstance(circuit, Circuit) and not circuit.parameters
    if isinstance(circuit, Circuit):
        if not ours and (circuit.num_weights or circuit.num_inputs):
            raise UsageError(
                f"the circuit has the named parameter {min(circuit.parameters)!r} beside weights "
                "or inputs: give it a number by circuit.assign before compiling"
            )
        if ours and circuit.is_unitary:
            open_weights = without_phases(circuit) if circuit.num_weights else circuit
            return to_qiskit(open_weights), circuit.num_inputs, circuit.num_weights
    given = to_qiskit(circuit) if isinstance(circuit, Circuit) else circuit
    source = given.remove_final_measurements(inplace=False)
    for instruction in source.data:
        if instruction.clbits or instruction.name == "reset":
            raise UsageError(
                f"the circuit has a {instruction.name} before its end, "
                "but compile() takes circuits of gates, measured at the end at most"
            )
    if ours:
        return source, circuit.num_inputs, circuit.num_weights
    return source, max(_features(source, 0).values(), default=-1) + 1, 0


def _features(source: QuantumCircuit, num_weights: int) -> dict[str, int]:
    """Column of the inputs by parameter name: the index within one vector, or the sorted place."""
    from qiskit.circuit import ParameterVectorElement

    parameters = list(source.parameters)
    if num_weights:  # written by `to_qiskit`, which calls inputs x
        parameters = [p for p in parameters if p.vector.name == "x"]
    vectors = {p.vector.name if isinstance(p, ParameterVectorElement) else "" for p in parameters}
    if len(vectors) == 1 and "" not in vectors:
        return {p.name: p.index for p in parameters}
    return {p.name: column for column, p in enumerate(parameters)}


def _check_options(
    effort: str, objective: str, level: int, seed: int, budget_s: float, dd: str | None
) -> None:
    known = ("fast", *EFFORTS)
    if effort not in known:
        raise UsageError(f"the effort is one of {', '.join(known)}, not {effort!r}")
    if objective not in OBJECTIVES:
        raise UsageError(f"the objective is one of {', '.join(OBJECTIVES)}, not {objective!r}")
    if level not in _LEVELS:
        raise UsageError(f"the optimization level is 0, 1, 2 or 3, not {level!r}")
    if level != 3 and effort != "fast":
        raise UsageError(
            f"effort {effort!r} weighs all optimization levels: give level={level} with effort="
            "'fast' alone"
        )
    if objective != "esp" and effort == "fast":
        raise UsageError(
            f"effort 'fast' is one run of Qiskit, which knows no objective {objective!r}: take "
            "effort 'balanced' or 'best'"
        )
    check_whole("the seed", seed, 0)
    if not budget_s > 0:
        raise UsageError(f"the budget is a number of seconds above 0, not {budget_s!r}")
    if dd is not None and dd not in SEQUENCES:
        raise UsageError(f"dd is one of {', '.join(SEQUENCES)} or None, not {dd!r}")


def _check_size(num_qubits: int, device: Device) -> None:
    if num_qubits > device.num_qubits:
        raise UsageError(
            f"the circuit has {num_qubits} qubits, but {device.name} has {device.num_qubits}: "
            "choose a larger device"
        )


def _checked_layout(layout: Sequence[int], num_qubits: int, device: Device) -> tuple[int, ...]:
    chosen = tuple(int(qubit) for qubit in layout)
    if len(chosen) != num_qubits:
        raise UsageError(
            f"the layout places {len(chosen)} qubits, but the circuit has {num_qubits}: "
            "name one physical qubit for every logical one"
        )
    if unknown := [qubit for qubit in chosen if not 0 <= qubit < device.num_qubits]:
        raise UsageError(
            f"the layout names physical qubit {unknown[0]}, but {device.name} has "
            f"qubits 0 to {device.num_qubits - 1}"
        )
    if repeated := [qubit for qubit in chosen if chosen.count(qubit) > 1]:
        raise UsageError(
            f"the layout {list(chosen)} uses physical qubit {repeated[0]} twice: "
            "every logical qubit needs one of its own"
        )
    return chosen


def _transpiler_error() -> type[Exception]:
    from qiskit.transpiler.exceptions import TranspilerError

    return TranspilerError


def _reason(message: str, device: Device, layout: tuple[int, ...] | None) -> str:
    if not device.edges:
        return f"{device.name} has no working two-qubit gates at present: choose another device"
    start = "" if layout is None else f" from the layout {list(layout)}"
    return (
        f"Qiskit could not compile the circuit for {device.name}{start}, because "
        f"{message.partition('. ')[0]!r}: choose qubits joined by device.edges, or another device"
    )
