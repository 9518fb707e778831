"""To Qiskit circuits. Both count qubit 0 as the least significant bit, so nothing is reversed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from qsim.circuit import Angle, Circuit, Operation, Symbol
from qsim.errors import UsageError, need
from qsim.gates import Gate, fill
from qsim.instructions import Instruction
from qsim.interop.control_flow import InstructionWriter
from qsim.parameters import Atom, Constant, Function, Named, derived, evaluate

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_PURPOSE = "converting to Qiskit"


def to_qiskit(circuit: Circuit) -> QuantumCircuit:
    """The same circuit in Qiskit, its global phase included.

    Weights and inputs become the parameter vectors "w" and "x", named parameters keep their names.
    Gates that Qiskit lacks become several.

    Raises:
        UsageError: if Qiskit is not installed, or for an angle that is a tensor with a batch, or a
            function other than a polynomial of something without a value.
    """
    qiskit = need("qiskit", extra="ibm", purpose=_PURPOSE)
    parts = need("qiskit.circuit", extra="ibm", purpose=_PURPOSE)
    symbols: dict[str, Any] = {
        "weight": parts.ParameterVector("w", circuit.num_weights),
        "input": parts.ParameterVector("x", circuit.num_inputs),
        **{f"named {name}": parts.Parameter(name) for name in circuit.parameters},
    }
    bits = [parts.ClassicalRegister(circuit.num_clbits, "c")] if circuit.num_clbits else []
    converted = qiskit.QuantumCircuit(parts.QuantumRegister(circuit.num_qubits, "q"), *bits)
    _append_all(converted, circuit, symbols)
    return converted


def _append_all(converted: QuantumCircuit, circuit: Circuit, symbols: dict[str, Any]) -> None:
    writer = InstructionWriter(converted, lambda block, body: _append_all(block, body, symbols))
    for operation in circuit.operations:
        if isinstance(operation.gate, Instruction):
            writer.append(operation)
        else:
            _append(converted, operation, symbols)


def _append(converted: QuantumCircuit, operation: Operation[Gate], symbols: dict[str, Any]) -> None:
    gate, qubits, params = operation
    if not _known(gate):
        for part, where, angles in gate.parts:
            inner = Operation(part, tuple([qubits[q] for q in where]), fill(angles, params))
            _append(converted, inner, symbols)
        return
    values = [_angle(p, symbols) for p in params]
    if gate.name == "globalphase":
        converted.global_phase += values[0]
    elif gate.base and gate.base.gate.name == "globalphase":
        _append_phase(converted, gate.base.state, qubits[: gate.base.num_controls], values[0])
    else:
        converted.append(_instruction(gate, values), list(qubits), copy=False)


def _append_phase(
    converted: QuantumCircuit, state: int, controls: tuple[int, ...], angle: Any
) -> None:
    """A global phase under controls: a phase of the state that these have, without a target."""
    zeros = [q for k, q in enumerate(controls) if not state >> k & 1]
    phase = _library().PhaseGate(angle)
    others = len(controls) - 1
    flips = [(_library().XGate(), [q]) for q in zeros]
    turn = phase.control(others, annotated=False) if others else phase
    for made, where in [*flips, (turn, list(controls)), *flips]:
        converted.append(made, where)


def _known(gate: Gate) -> bool:
    """Whether Qiskit has the gate, or can make it without its definition."""
    return gate.base is not None or gate.decomposition is None or _maker(gate) is not None


def _instruction(gate: Gate, angles: list[Any]) -> Any:
    maker = _maker(gate)
    if maker is not None:
        return maker(*angles)
    if gate.base:
        inner, count, state = gate.base
        return _instruction(inner, angles).control(count, ctrl_state=state, annotated=False)
    if gate.decomposition is None:
        return _library().UnitaryGate(gate.unitary.at(), label=gate.name)
    definition = need("qiskit", extra="ibm", purpose=_PURPOSE).QuantumCircuit(gate.num_qubits)
    own = {"weight": angles}
    for part in gate.parts:
        _append(definition, part, own)
    composite = definition.to_gate()
    composite.name = gate.name
    return composite


def _maker(gate: Gate) -> Callable[..., Any] | None:
    """What makes Qiskit's own gate of the angles."""
    library = _library()
    if gate.recipe is None:
        return {"c3x": library.C3XGate, "c4x": library.C4XGate, **_standard()}.get(
            gate.qiskit or gate.name
        )
    if gate.name == "barrier":
        return lambda: library.Barrier(gate.num_qubits)
    if gate.name == "diagonal":
        assert gate.action
        values = gate.action(torch.ones(2**gate.num_qubits, dtype=torch.complex128))
        return lambda: library.DiagonalGate(values.tolist())
    return None


def _library() -> Any:
    return need("qiskit.circuit.library", extra="ibm", purpose=_PURPOSE)


@cache
def _standard() -> dict[str, Any]:
    mapping = _library().get_standard_gate_name_mapping()
    return {name: gate.base_class for name, gate in mapping.items()}


def _angle(param: Angle, symbols: dict[str, Any]) -> Any:
    def value_of(atom: Atom) -> Any:
        if isinstance(atom, Symbol):
            return symbols[atom.source][atom.index]
        if isinstance(atom, Named):
            return symbols[f"named {atom.name}"]
        if isinstance(atom, Constant) and not atom.tensor.dim():
            return atom.tensor.item()
        if isinstance(atom, Function):
            arguments = [_angle(a, symbols) for a in atom.arguments]
            if all(isinstance(a, float) for a in arguments):
                return derived(atom.function, *arguments)
        raise UsageError(
            f"Qiskit has no angle like {atom}: bind weights, inputs and parameters to numbers first"
        )

    if isinstance(param, Symbol) and (param.scale, param.offset) == (1, 0):
        return value_of(param)
    return evaluate(param, value_of)
