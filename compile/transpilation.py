"""From a circuit to the gates and couplings of a device, by Qiskit's transpiler."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from compile.checks import check_whole
from compile.compiled import Compiled
from compile.device import Device
from compile.esp import gate_esp, readout_esp
from qsim import Circuit
from qsim.errors import UsageError, need
from qsim.interop.qiskit import to_qiskit

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.transpiler import StagedPassManager

_LEVELS = (0, 1, 2, 3)
_lock = Lock()  # pass managers are shared and hold the layout of the call that uses them


def compile(
    circuit: Circuit | QuantumCircuit,
    device: Device,
    *,
    layout: Sequence[int] | None = None,
    level: int = 3,
    seed: int = 0,
) -> Compiled:
    """Compile a circuit for a device.

    Args:
        circuit: inputs may stay open, and weights if it is to be trained under noise
            (`compile.noisy`); to run, weights have to be bound. Measurements at the end of a Qiskit
            circuit are dropped: `Compiled.measured` adds those of every logical qubit.
        device: what to compile for.
        layout: physical qubit of every logical qubit at the start; by default Qiskit chooses, by
            gate and readout errors.
        level: Qiskit's optimization level, 0 to 3.
        seed: of the transpiler; the same seed gives the same circuit.

    Raises:
        UsageError: more qubits than the device has, a layout that does not fit, or qubits that no
            working couplings connect.
    """
    need("qiskit", extra="ibm", purpose="compiling for a device")
    source, num_inputs, num_weights = _source(circuit)
    _check_options(level, seed)
    _check_size(source.num_qubits, device)
    if layout is not None:
        layout = _checked_layout(layout, source.num_qubits, device)
    compiled = _transpile(source, device, layout, level, seed)
    # Zeroed because a phase that depends on all parameters makes binding them explode in time.
    compiled.global_phase = 0
    final_layout = tuple(compiled.layout.final_index_layout(filter_ancillas=True))
    return Compiled(
        circuit=compiled,
        device_name=device.name,
        initial_layout=tuple(compiled.layout.initial_index_layout(filter_ancillas=True)),
        final_layout=final_layout,
        gate_esp=gate_esp(compiled, device),
        readout_esp=readout_esp(final_layout, device),
        num_inputs=num_inputs,
        num_weights=num_weights,
        features=_features(source, num_weights),
    )


def _source(circuit: Circuit | QuantumCircuit) -> tuple[QuantumCircuit, int, int]:
    """A Qiskit circuit of gates alone, and its numbers of inputs and of open weights."""
    if isinstance(circuit, Circuit):
        return to_qiskit(circuit), circuit.num_inputs, circuit.num_weights
    source = circuit.remove_final_measurements(inplace=False)
    for instruction in source.data:
        if instruction.clbits or instruction.name == "reset":
            raise UsageError(
                f"the circuit has a {instruction.name} before its end, "
                "but compile() takes circuits of gates, measured at the end at most"
            )
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


def _check_options(level: int, seed: int) -> None:
    if level not in _LEVELS:
        raise UsageError(f"the optimization level is 0, 1, 2 or 3, not {level!r}")
    check_whole("the seed", seed, 0)


def _check_size(num_qubits: int, device: Device) -> None:
    if num_qubits > device.num_qubits:
        raise UsageError(
            f"the circuit has {num_qubits} qubits, but {device.name} has {device.num_qubits}: "
            "choose a larger device"
        )


def _checked_layout(layout: Sequence[int], num_qubits: int, device: Device) -> list[int]:
    chosen = [int(qubit) for qubit in layout]
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
            f"the layout {chosen} uses physical qubit {repeated[0]} twice: "
            "every logical qubit needs one of its own"
        )
    return chosen


def _transpile(
    source: QuantumCircuit, device: Device, layout: list[int] | None, level: int, seed: int
) -> QuantumCircuit:
    from qiskit.transpiler.exceptions import TranspilerError

    try:
        if layout is None:
            return _place_and_route(source, device, level, seed)
        return _route(source, device, layout, level, seed)
    except TranspilerError as error:
        raise UsageError(_reason(str(error.message), device, layout)) from error


def _reason(message: str, device: Device, layout: list[int] | None) -> str:
    if not device.edges:
        return f"{device.name} has no working two-qubit gates at present: choose another device"
    start = "" if layout is None else f" from the layout {layout}"
    return (
        f"Qiskit could not compile the circuit for {device.name}{start}, because "
        f"{message.partition('. ')[0]!r}: choose qubits joined by device.edges, or another device"
    )


def _place_and_route(
    source: QuantumCircuit, device: Device, level: int, seed: int
) -> QuantumCircuit:
    """Compile with measurements, which lets Qiskit weigh readout errors when it chooses qubits."""
    measured = source.copy()
    measured.measure_all()  # its barrier keeps gates in front of the measurements from being cut
    return _pass_manager(device, level, seed).run(measured).remove_final_measurements(inplace=False)


def _route(
    source: QuantumCircuit, device: Device, layout: list[int], level: int, seed: int
) -> QuantumCircuit:
    """Compile from a given layout.

    Building a pass manager takes as long as running it on a small circuit, so one is kept and only
    its layout stage replaced.
    """
    from qiskit.transpiler import PassManager
    from qiskit.transpiler.passes import SetLayout

    manager, embed = _routing(device, level, seed)
    with _lock:
        manager.layout = PassManager([SetLayout(layout)]) + embed
        return manager.run(source)


@lru_cache(maxsize=16)
def _pass_manager(device: Device, level: int, seed: int, **options: Any) -> StagedPassManager:
    from qiskit.transpiler import generate_preset_pass_manager

    return generate_preset_pass_manager(
        level, target=device.target, seed_transpiler=seed, **options
    )


@lru_cache(maxsize=16)
def _routing(device: Device, level: int, seed: int) -> tuple[StagedPassManager, Any]:
    """A pass manager that keeps a given layout, and the passes that apply one."""
    from qiskit.transpiler.preset_passmanagers.common import generate_embed_passmanager

    # Any layout makes the manager leave out the passes that would choose another one.
    placed = _pass_manager(device, level, seed, initial_layout=(0,))
    return placed, generate_embed_passmanager(device.target)
