"""To Qiskit circuits: gates that are Qiskit's own by name, all others by what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from qsim.circuit import Circuit, Operation
from qsim.errors import need
from qsim.gates import Gate
from qsim.instructions import Instruction
from qsim.interop.qiskit.angles import PURPOSE, parameters_of, write_angle
from qsim.interop.qiskit.dynamic_writing import InstructionWriter
from qsim.operations import Register

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


def to_qiskit(circuit: Circuit, bitwise: bool = False) -> QuantumCircuit:
    """The same circuit in Qiskit, with its global phase and its registers.

    Weights and inputs become the parameter vectors "w" and "x", named parameters keep their names.
    Gates that Qiskit lacks become several, or are defined by several. Loops of Qiskit's have no
    bound, so a while loop becomes a for loop of an if, which is the same. A channel becomes an
    instruction "kraus", as Qiskit's own do.

    Args:
        circuit: what to write.
        bitwise: whether conditions ask one classical bit after another, and switches become ifs,
            which more readers understand.

    Raises:
        UsageError: if Qiskit is not installed, or for an angle that is a tensor with a batch, a
            function that Qiskit lacks, or an instruction that qsim does not know.
    """
    qiskit = need("qiskit", extra="ibm", purpose=PURPOSE)
    converted = qiskit.QuantumCircuit(*_registers(circuit))
    converted.metadata = {"qsim": circuit.declared} if circuit.declared else {}
    _append_all(converted, circuit, parameters_of(circuit), bitwise)
    return converted


def _append_all(
    converted: QuantumCircuit, circuit: Circuit, symbols: dict[str, Any], bitwise: bool
) -> None:
    def fill(block: QuantumCircuit, body: Circuit) -> None:
        _append_all(block, body, symbols, bitwise)

    writer = InstructionWriter(converted, fill, bitwise)
    for gate, qubits, params in circuit.operations:
        if isinstance(gate, Instruction):
            writer.append(Operation(gate, qubits, params))
        else:
            _append(converted, Operation(gate, qubits, params), symbols)


def _registers(circuit: Circuit) -> list[Any]:
    """What a circuit of Qiskit's is made of: registers of qubits, then of classical bits."""
    parts = need("qiskit.circuit", extra="ibm", purpose=PURPOSE)
    taken = {*circuit.registers, *circuit.classical_registers}
    qubits = _Naming(parts.QuantumRegister, parts.Qubit, _free("q", taken))
    clbits = _Naming(parts.ClassicalRegister, parts.Clbit, _free("c", {*taken, qubits.rest}))
    return [
        *qubits.registers(circuit.registers, circuit.num_qubits),
        *clbits.registers(circuit.classical_registers, circuit.num_clbits),
    ]


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name


class _Naming(NamedTuple):
    """Qiskit's registers of one kind, its bits, and the name for what is in no register."""

    register: Any
    bit: Any
    rest: str

    def registers(self, named: Mapping[str, Register], size: int) -> list[Any]:
        """The registers, and one more for bits that are in none; or all bits, then the registers.

        Registers of Qiskit overlap, or stand in another order than the bits, only in the latter
        way.
        """
        listed = [place for own in named.values() for place in own]
        if listed == list(range(len(listed))):
            sizes = {name: len(own) for name, own in named.items()}
            if len(listed) < size:
                sizes[self.rest] = size - len(listed)
            return [self.register(count, name) for name, count in sizes.items()]
        bits = [self.bit() for _ in range(size)]
        return [
            bits,
            *[self.register(name=n, bits=[bits[p] for p in own]) for n, own in named.items()],
        ]


def _append(converted: QuantumCircuit, operation: Operation[Gate], symbols: dict[str, Any]) -> None:
    gate, qubits, params = operation
    values = [write_angle(p, symbols) for p in params]
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


def _instruction(gate: Gate, angles: list[Any]) -> Any:
    maker = _maker(gate)
    if maker is not None:
        return maker(*angles)
    if gate.base:
        inner, count, state = gate.base
        return _instruction(inner, angles).control(count, ctrl_state=state, annotated=False)
    if gate.decomposition is None:
        return _library().UnitaryGate(gate.unitary.at(), label=gate.name)
    own = need("qsim.interop.qiskit.own", extra="ibm", purpose=PURPOSE)
    return own.OwnGate(gate, angles)


def definition(gate: Gate, angles: list[Any]) -> QuantumCircuit:
    """Its decomposition in Qiskit, for these angles."""
    built = need("qiskit", extra="ibm", purpose=PURPOSE).QuantumCircuit(gate.num_qubits)
    for part in gate.parts:
        _append(built, part, {"weight": angles})
    return built


def _maker(gate: Gate) -> Callable[..., Any] | None:
    """What makes Qiskit's own gate of the angles."""
    if gate.recipe is None:
        return _standard().get(gate.qiskit or gate.name)
    if gate.name == "barrier":
        return lambda: _library().Barrier(gate.num_qubits)
    if gate.name == "diagonal":
        assert gate.action
        values = gate.action(torch.ones(2**gate.num_qubits, dtype=torch.complex128))
        return lambda: _library().DiagonalGate(values.tolist())
    return None


def _library() -> Any:
    return need("qiskit.circuit.library", extra="ibm", purpose=PURPOSE)


@cache
def _standard() -> dict[str, Any]:
    library = _library()
    mapping = library.get_standard_gate_name_mapping()
    own = {"c3x": library.C3XGate, "c4x": library.C4XGate}
    return {**{name: gate.base_class for name, gate in mapping.items()}, **own}
