"""One run of Qiskit's transpiler: from a circuit to the gates and couplings of a target."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from compile.calibration.targets import gate_facts

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.dagcircuit import DAGCircuit
    from qiskit.transpiler import PassManager, StagedPassManager, Target

_END = "end"  # label of the barrier in front of measurements
_lock = Lock()  # pass managers are shared and hold the layout of the call that uses them


class Routed(NamedTuple):
    """Gates of a target on physical qubits, and where the logical qubits begin and end."""

    circuit: QuantumCircuit
    initial_layout: tuple[int, ...]
    final_layout: tuple[int, ...]


def transpile(
    source: QuantumCircuit,
    target: Target,
    layout: Sequence[int] | None = None,
    level: int = 3,
    seed: int = 0,
) -> Routed:
    """Compile a circuit of gates, from a layout or one that Qiskit chooses.

    Raises:
        qiskit.transpiler.exceptions.TranspilerError: no couplings connect the qubits.
    """
    if layout is None:
        compiled = _place_and_route(source, target, level, seed)
    else:
        compiled = _route(source, target, layout, level, seed)
    # Zeroed because a phase that depends on all parameters makes binding them explode in time.
    compiled.global_phase = 0
    placed = compiled.layout
    return Routed(
        compiled,
        tuple(placed.initial_index_layout(filter_ancillas=True)),
        tuple(placed.final_index_layout(filter_ancillas=True)),
    )


def _place_and_route(
    source: QuantumCircuit, target: Target, level: int, seed: int
) -> QuantumCircuit:
    """Compile with measurements, which lets Qiskit weigh readout errors when it chooses qubits."""
    from qiskit import ClassicalRegister

    measured = source.copy()
    measured.add_register(bits := ClassicalRegister(source.num_qubits))
    measured.barrier(label=_END)  # keeps gates in front of the measurements from being cut
    measured.measure(measured.qubits, bits)
    return _pass_manager(target, level, seed).run(measured)


def _route(
    source: QuantumCircuit, target: Target, layout: Sequence[int], level: int, seed: int
) -> QuantumCircuit:
    """Compile from a given layout.

    Building a pass manager takes as long as running it on a small circuit, so one is kept and only
    its layout stage replaced.
    """
    from qiskit.transpiler import PassManager
    from qiskit.transpiler.passes import SetLayout

    manager, embed = _routing(target, level, seed)
    with _lock:
        manager.layout = PassManager([SetLayout(list(layout))]) + embed
        return manager.run(source)


@lru_cache(maxsize=64)
def _pass_manager(target: Target, level: int, seed: int, **options: Any) -> StagedPassManager:
    from qiskit.transpiler import generate_preset_pass_manager

    manager = generate_preset_pass_manager(level, target=target, seed_transpiler=seed, **options)
    # `QuantumCircuit.remove_final_measurements` takes as long as all of this.
    manager.post_scheduling = _without_measurements()
    if _is_mixed(target):
        manager.pre_translation = _into_cz(target)
    return manager


def _without_measurements() -> PassManager:
    from qiskit.transpiler import PassManager, TransformationPass

    class WithoutMeasurements(TransformationPass):
        """Takes out what `_place_and_route` puts in."""

        def run(self, dag: DAGCircuit) -> DAGCircuit:
            dag.remove_all_ops_named("measure")
            for node in dag.named_nodes("barrier"):
                if node.op.label == _END:
                    dag.remove_op_node(node)
            dag.remove_cregs(*dag.cregs.values())
            dag.remove_clbits(*dag.clbits)
            return dag

    return PassManager([WithoutMeasurements()])


def _is_mixed(target: Target) -> bool:
    """Whether couplings have different gates, some of them in one direction alone.

    Qiskit turns gates where they are wrong way round, and translates those that a coupling lacks,
    but fails at a gate of the circuit that a coupling has in the other direction alone.
    """
    places = {gate for gate in gate_facts(target) if len(gate[1]) == 2}
    names = {name for name, _ in places}
    one_way = any((name, pair[::-1]) not in places for name, pair in places)
    return one_way and len(names) > 1 and "cz" not in names


def _into_cz(target: Target) -> PassManager:
    """Writes all two-qubit gates as CZ, which no coupling has, to have them translated."""
    from qiskit.circuit.equivalence_library import SessionEquivalenceLibrary
    from qiskit.transpiler import PassManager
    from qiskit.transpiler.passes import BasisTranslator

    single = {name for name, qubits in gate_facts(target) if len(qubits) == 1}
    return PassManager([BasisTranslator(SessionEquivalenceLibrary, [*single, "cz"])])


@lru_cache(maxsize=64)
def _routing(target: Target, level: int, seed: int) -> tuple[StagedPassManager, Any]:
    """A pass manager that keeps a given layout, and the passes that apply one."""
    from qiskit.transpiler.preset_passmanagers.common import generate_embed_passmanager

    # Any layout makes the manager leave out the passes that would choose another one.
    placed = _pass_manager(target, level, seed, initial_layout=(0,))
    return placed, generate_embed_passmanager(target)
