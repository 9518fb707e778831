"""From Qiskit circuits: gates that are ours by name, all others by what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from qsim.circuit import Circuit
from qsim.errors import UsageError, need
from qsim.gates import GATES, Gate, find_gate
from qsim.interop.qiskit.angles import PURPOSE, read_angle
from qsim.interop.qiskit.dynamic_reading import InstructionReader

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

MAX_INSTRUCTIONS = 2_000_000  # definitions can hold one another, doubling at every level


def from_qiskit(circuit: QuantumCircuit, most_rounds: int | None = None) -> Circuit:
    """The same circuit in qsim, with its global phase and its registers.

    Elements of parameter vectors "w" and "x" become weights and inputs, as `to_qiskit` writes them;
    other parameters keep their names, and `Circuit.assign` turns them into weights and inputs.
    Instructions that qsim lacks become several, by their definitions; a PauliEvolutionGate becomes
    the Pauli rotations of its product formula.

    Args:
        circuit: what to read. For loops are written out; conditions and switches on expressions of
            classical bits become those on the numbers for which they hold.
        most_rounds: how often a while loop runs at most: Qiskit's have no bound, qsim's have.

    Raises:
        UsageError: for an instruction without a definition, such as a delay, for functions of
            parameters that qsim lacks, for a while loop without `most_rounds`, and for more than
            two million instructions.
    """
    bits = {"num_clbits": circuit.num_clbits} if circuit.num_clbits else {}
    converted = Circuit(circuit.num_qubits, **{**bits, **(circuit.metadata or {}).get("qsim", {})})
    _Reader(most_rounds).append(converted, circuit)
    positions = {bit: k for k, bit in enumerate(circuit.qubits)}
    for register in circuit.qregs:
        converted.register(register.name, [positions[bit] for bit in register])
    places = {bit: k for k, bit in enumerate(circuit.clbits)}
    for register in circuit.cregs:
        converted.classical_register(register.name, [places[bit] for bit in register])
    return converted


class _Reader:
    """Reads instructions, and counts them."""

    def __init__(self, most_rounds: int | None) -> None:
        self.left = MAX_INSTRUCTIONS
        self.instructions = InstructionReader(self.part, most_rounds)

    def append(self, circuit: Circuit, source: QuantumCircuit) -> None:
        """Append the instructions of Qiskit's circuit on the same qubits."""
        self.left -= len(source.data)
        if self.left < 0:
            raise UsageError(
                f"the circuit holds more than {MAX_INSTRUCTIONS:,} instructions once those that "
                "qsim lacks are decomposed: convert parts of it"
            )
        if source.global_phase:
            circuit.globalphase(read_angle(source.global_phase))
        standard = standard_gates()
        positions = {bit: k for k, bit in enumerate(source.qubits)}
        bits = {bit: k for k, bit in enumerate(source.clbits)}
        for instruction in source.data:
            qubits = [positions[bit] for bit in instruction.qubits]
            gate = standard.get(instruction.name)
            if gate is not None and instruction.is_standard_gate():
                circuit.append(gate, qubits or [0], map(read_angle, instruction.params))
            elif not self.instructions.append(circuit, instruction, qubits, bits):
                clbits = [bits[bit] for bit in instruction.clbits]
                self.add(circuit, instruction.operation, qubits, clbits)

    def add(
        self, circuit: Circuit, operation: Any, qubits: Sequence[int], clbits: Sequence[int]
    ) -> None:
        """Append one of Qiskit's operations, by the first of its classes that has a reader."""
        for kind in type(operation).__mro__:
            read = READERS.get(kind.__name__)
            if read is not None and read(self, circuit, operation, qubits):
                return
        if getattr(operation, "definition", None) is not None:
            circuit.compose(self.part(operation.definition), qubits, clbits)
        elif hasattr(operation, "to_matrix") and _bound(operation):
            circuit.unitary(operation.to_matrix(), qubits)
        else:
            raise UsageError(
                f"Qiskit's {operation.name!r} on qubits {list(qubits)} has no definition that "
                "qsim could take in its place: remove it, or replace it by gates"
            )

    def part(self, source: QuantumCircuit) -> Circuit:
        """A circuit of its own; one qubit where Qiskit's has none."""
        part = Circuit(max(1, source.num_qubits), num_clbits=source.num_clbits)
        self.append(part, source)
        return part

    def alone(self, operation: Any) -> Circuit:
        """One operation as a circuit."""
        source = need("qiskit", extra="ibm", purpose=PURPOSE).QuantumCircuit(operation.num_qubits)
        source.append(operation, range(operation.num_qubits))
        return self.part(source)


@cache
def standard_gates() -> dict[str, Gate]:
    """Gates by the names that Qiskit's standard gates have."""
    library = need("qiskit.circuit.library", extra="ibm", purpose=PURPOSE)
    own = {gate.qiskit or gate.name: gate for gate in GATES.values() if gate.recipe is None}
    names = library.get_standard_gate_name_mapping()
    return {
        name: own.get(name) or find_gate(name)
        for name in names
        if name not in ("delay", "measure", "reset")
    }


def _bound(operation: Any) -> bool:
    return not any(getattr(param, "parameters", ()) for param in operation.params)


# --- Readers: whether they could append the operation ---------------------------------------------

Reader = Callable[[_Reader, Circuit, Any, Sequence[int]], bool]


def _controlled(reader: _Reader, circuit: Circuit, operation: Any, qubits: Sequence[int]) -> bool:
    base, count = operation.base_gate, operation.num_ctrl_qubits
    if not base.num_qubits or base.num_qubits + count != operation.num_qubits:
        return False  # a phase, or one with auxiliary qubits
    known = standard_gates().get(base.name)
    if known is not None and known.num_params != len(base.params):
        return False  # Qiskit says that the base of CU, with four angles, were U
    part = reader.alone(base).control(count, operation.ctrl_state)
    circuit.compose(part, qubits)
    return True


def _annotated(reader: _Reader, circuit: Circuit, operation: Any, qubits: Sequence[int]) -> bool:
    part = reader.alone(operation.base_op)
    for modifier in operation.modifiers:
        kind = type(modifier).__name__
        if kind == "InverseModifier":
            part = part.inverse()
        elif kind == "ControlModifier":
            part = part.control(modifier.num_ctrl_qubits, modifier.ctrl_state)
        elif float(modifier.power).is_integer():
            part = part.power(int(modifier.power))
        else:
            return False
    circuit.compose(part, qubits)
    return True


def _unitary(reader: _Reader, circuit: Circuit, operation: Any, qubits: Sequence[int]) -> bool:
    circuit.unitary(operation.to_matrix(), qubits)
    return True


def _diagonal(reader: _Reader, circuit: Circuit, operation: Any, qubits: Sequence[int]) -> bool:
    circuit.diagonal(operation.params, qubits)
    return True


def _delay(reader: _Reader, circuit: Circuit, operation: Any, qubits: Sequence[int]) -> bool:
    raise UsageError(
        f"Qiskit's 'delay' on qubits {list(qubits)}: qsim's circuits have no time, so remove the "
        "delays, or replace them by what they do to the qubits"
    )


def _own(reader: _Reader, circuit: Circuit, operation: Any, qubits: Sequence[int]) -> bool:
    circuit.append(operation.own, qubits, map(read_angle, operation.params))
    return True


def _barrier(reader: _Reader, circuit: Circuit, operation: Any, qubits: Sequence[int]) -> bool:
    circuit.barrier(qubits)
    return True


def _permutation(reader: _Reader, circuit: Circuit, operation: Any, qubits: Sequence[int]) -> bool:
    """Qubit k of the result is qubit pattern[k] of what came in."""
    states = np.arange(2**operation.num_qubits)
    bits = [(states >> int(q) & 1) << k for k, q in enumerate(operation.pattern)]
    circuit.permutation(np.sum(bits, axis=0).tolist(), qubits)
    return True


def _rv(reader: _Reader, circuit: Circuit, operation: Any, qubits: Sequence[int]) -> bool:
    vx, vy, vz = map(read_angle, operation.params)
    circuit.rv(vx, vy, vz, qubits[0])
    return True


def _evolution(reader: _Reader, circuit: Circuit, operation: Any, qubits: Sequence[int]) -> bool:
    if not hasattr(operation.synthesis, "expand"):
        return False
    for letters, places, angle in operation.synthesis.expand(operation):
        if places:
            where = [qubits[q] for q in places]
            circuit.pauli_rotation(read_angle(angle), letters[::-1], where)
        else:
            circuit.globalphase(-0.5 * read_angle(angle))
    return True


READERS: dict[str, Reader] = {
    "AnnotatedOperation": _annotated,
    "Barrier": _barrier,
    "ControlledGate": _controlled,
    "Delay": _delay,
    "DiagonalGate": _diagonal,
    "OwnGate": _own,
    "PauliEvolutionGate": _evolution,
    "PermutationGate": _permutation,
    "RVGate": _rv,
    "UnitaryGate": _unitary,
}
