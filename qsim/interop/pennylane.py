"""PennyLane's tapes and QNodes.

Wire k is qubit k. PennyLane's first wire is the most significant bit of its states, and our qubit 0
the least significant one: a state of n wires, reshaped to [2] * n, is ours with the axes reversed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from qsim.bound import Bound, bound
from qsim.circuit import Circuit, Operation
from qsim.columns import Values
from qsim.dynamic.plan import check_written
from qsim.errors import UsageError, need
from qsim.gates import Gate, fill
from qsim.instructions import Instruction
from qsim.interop.pennylane_instructions import InstructionReader, InstructionWriter
from qsim.parameters import whole

if TYPE_CHECKING:
    from pennylane.tape import QuantumScript

_PURPOSE = "converting to and from PennyLane"

# Names of PennyLane's operations whose wires and angles are those of our gates.
_NAMES = {
    "Identity": "i",
    "PauliX": "x",
    "PauliY": "y",
    "PauliZ": "z",
    "Hadamard": "h",
    "S": "s",
    "T": "t",
    "SX": "sx",
    "RX": "rx",
    "RY": "ry",
    "RZ": "rz",
    "PhaseShift": "p",
    "U2": "u2",
    "U3": "u3",
    "Rot": "rot",
    "CNOT": "cx",
    "CY": "cy",
    "CZ": "cz",
    "CH": "ch",
    "CRX": "crx",
    "CRY": "cry",
    "CRZ": "crz",
    "CRot": "crot",
    "ControlledPhaseShift": "cp",
    "SWAP": "swap",
    "ISWAP": "iswap",
    "ECR": "ecr",
    "CSWAP": "cswap",
    "CCZ": "ccz",
    "Toffoli": "ccx",
    "IsingXX": "rxx",
    "IsingYY": "ryy",
    "IsingZZ": "rzz",
    "SingleExcitation": "single_excitation",
    "DoubleExcitation": "double_excitation",
}
_ADJOINTS = {"sdg": "S", "tdg": "T", "sxdg": "SX"}


# --- From PennyLane -------------------------------------------------------------------------------


def from_pennylane(
    source: Any, *arguments: Any, wires: Iterable[Hashable] | None = None, **options: Any
) -> Circuit:
    """The operations of a tape, or of the tape that a QNode makes of its arguments.

    Tensors of PyTorch stay as they are, so gradients reach them. What is measured at the end is no
    part of a circuit. Mid-circuit measurements go into classical bits 0, 1, ..., which conditionals
    read; channels have constant numbers. Operations that qsim lacks become several, by their
    decompositions.

    Args:
        source: a QuantumScript or QuantumTape, or a QNode.
        arguments: of the QNode, with `options`.
        wires: the wires of qubits 0, 1, ...; by default numbers are qubits, and other names stand
            in the order of the QNode's device, or of their first use.

    Raises:
        UsageError: if PennyLane is not installed, for what is no tape or QNode, wires that are not
            among `wires`, postselection, trained channels, and other operations that are no gates.
    """
    pennylane = need("pennylane", extra="pennylane", purpose=_PURPOSE)
    given = None if wires is None else list(wires)
    if isinstance(source, pennylane.QNode):
        given = list(source.device.wires or []) or None if given is None else given
        source = pennylane.workflow.construct_tape(source)(*arguments, **options)
    if not hasattr(source, "operations"):
        raise UsageError(f"PennyLane's circuits are tapes and QNodes, not {type(source).__name__}")
    places = _places(source.wires, given)
    circuit = Circuit(max(places.values(), default=0) + 1)
    instructions = InstructionReader(_alone)
    for operation in source.operations:
        if not instructions.append(circuit, operation, places):
            _add(circuit, operation, places)
    return circuit


def _places(used: Iterable[Any], given: list[Any] | None) -> dict[Any, int]:
    if given is None:
        numbers = [whole(label) for label in used]
        if all(number is not None and number >= 0 for number in numbers):
            return {number: number for number in numbers if number is not None}
    labels = list(used) if given is None else given
    places = {label: k for k, label in enumerate(labels)}
    missing = [label for label in used if label not in places]
    if missing:
        raise UsageError(f"wire {missing[0]!r} is not among the wires {labels}")
    return places


def _add(circuit: Circuit, operation: Any, places: Mapping[Any, int]) -> None:
    qubits = [places[wire] for wire in operation.wires]
    if operation.name in _NAMES:
        circuit.append(_NAMES[operation.name], qubits, map(_angle, operation.parameters))
        return
    for kind in type(operation).__mro__:
        read = READERS.get(kind.__name__)
        if read is not None:
            read(circuit, operation, qubits)
            return
    if operation.has_decomposition:
        for part in operation.decomposition():
            _add(circuit, part, places)
    elif operation.has_matrix:
        circuit.unitary(_numbers(operation.matrix()), qubits[::-1])
    else:
        raise UsageError(
            f"PennyLane's {operation.name} on wires {operation.wires.tolist()} is no gate and has "
            "no decomposition that qsim could take in its place"
        )


def _alone(operation: Any) -> Circuit:
    """An operation as a circuit, whose qubits are its wires in their order."""
    circuit = Circuit(max(1, len(operation.wires)))
    _add(circuit, operation, {wire: k for k, wire in enumerate(operation.wires)})
    return circuit


def _angle(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value
    numbers = np.asarray(value, dtype=float)
    return torch.tensor(numbers) if numbers.ndim else float(numbers)


def _numbers(matrix: Any) -> Any:
    return matrix.detach() if isinstance(matrix, Tensor) else np.asarray(matrix, dtype=complex)


def _adjoint(circuit: Circuit, operation: Any, qubits: Sequence[int]) -> None:
    circuit.compose(_alone(operation.base).inverse(), qubits)


def _controlled(circuit: Circuit, operation: Any, qubits: Sequence[int]) -> None:
    if not operation.base.wires:  # a phase
        places = dict(zip(operation.wires, qubits, strict=True))
        for part in operation.decomposition():
            _add(circuit, part, places)
        return
    state = sum(int(value) << k for k, value in enumerate(operation.control_values))
    part = _alone(operation.base).control(len(operation.control_wires), state)
    places = dict(zip(operation.wires, qubits, strict=True))
    where = [places[w] for w in (*operation.control_wires, *operation.base.wires)]
    circuit.compose(part, where)


def _unitary(circuit: Circuit, operation: Any, qubits: Sequence[int]) -> None:
    circuit.unitary(_numbers(operation.parameters[0]), qubits[::-1])


def _diagonal(circuit: Circuit, operation: Any, qubits: Sequence[int]) -> None:
    circuit.diagonal(_numbers(operation.parameters[0]), qubits[::-1])


def _rotation(circuit: Circuit, operation: Any, qubits: Sequence[int]) -> None:
    word = operation.hyperparameters.get("pauli_word", "Z" * len(qubits))
    if qubits:
        circuit.pauli_rotation(_angle(operation.parameters[0]), word[::-1], qubits)
    else:
        circuit.globalphase(-0.5 * _angle(operation.parameters[0]))


def _phase(circuit: Circuit, operation: Any, qubits: Sequence[int]) -> None:
    circuit.globalphase(-1 * _angle(operation.parameters[0]), *qubits[:1])


def _barrier(circuit: Circuit, operation: Any, qubits: Sequence[int]) -> None:
    circuit.barrier(qubits or None)


def _state(circuit: Circuit, operation: Any, qubits: Sequence[int]) -> None:
    if len(circuit):
        raise UsageError("PennyLane's StatePrep stands before all gates")
    circuit.prepare_state(_numbers(operation.parameters[0]), qubits[::-1])


READERS: dict[str, Callable[[Circuit, Any, Sequence[int]], None]] = {
    "Adjoint": _adjoint,
    "Barrier": _barrier,
    "Controlled": _controlled,
    "DiagonalQubitUnitary": _diagonal,
    "GlobalPhase": _phase,
    "MultiRZ": _rotation,
    "PauliRot": _rotation,
    "QubitUnitary": _unitary,
    "StatePrep": _state,
}


# --- To PennyLane ---------------------------------------------------------------------------------


def to_pennylane(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    values: Values | None = None,
) -> QuantumScript:
    """A QuantumScript of the circuit's operations, with values for all angles.

    Tensors that want a gradient or have a batch are passed on as such; add measurements by
    `QuantumScript(script.operations, [pennylane.expval(...)])`.

    Args:
        circuit: the circuit.
        weights: [num_weights] or [batch, num_weights].
        inputs: [num_inputs] or [batch, num_inputs].
        values: named parameters by name.

    Raises:
        UsageError: if PennyLane is not installed, values are missing, a classical bit is read
            before it is written, or for while loops and conditions on more than gates.
    """
    pennylane = need("pennylane", extra="pennylane", purpose=_PURPOSE)
    plain, value_of = bound(circuit, weights, inputs, values)
    check_written(plain)

    def write(operation: Operation[Gate]) -> Iterable[Any]:
        gate, qubits, params = operation
        return _written(pennylane, gate, list(qubits), _alike([value_of(p) for p in params]))

    instructions = InstructionWriter(pennylane, write)
    operations = [
        made
        for gate, qubits, params in plain.operations
        for made in (
            instructions.written(Operation(gate, qubits, params))
            if isinstance(gate, Instruction)
            else write(Operation(gate, qubits, params))
        )
    ]
    return pennylane.tape.QuantumScript(operations)


def _alike(angles: Sequence[Bound]) -> Sequence[Bound]:
    """All as tensors of one shape if one is a tensor: PennyLane's gates want nothing mixed."""
    tensors = [angle for angle in angles if isinstance(angle, Tensor)]
    if not tensors:
        return angles
    return torch.broadcast_tensors(*[torch.as_tensor(a, dtype=tensors[0].dtype) for a in angles])


def _written(
    pennylane: Any, gate: Gate, wires: Sequence[int], angles: Sequence[Bound]
) -> Iterable[Any]:
    """A gate as operations of PennyLane, in their order."""
    name = _OPERATIONS.get(gate.name) if gate.recipe is None else None
    if name is not None:
        yield getattr(pennylane, name)(*angles, wires=wires)
    elif gate.recipe is None and gate.name in _ADJOINTS:
        yield pennylane.adjoint(getattr(pennylane, _ADJOINTS[gate.name])(wires=wires))
    elif gate.base:
        inner, count, state = gate.base
        bits = [bool(state >> k & 1) for k in range(count)]
        for made in _written(pennylane, inner, wires[count:], angles):
            yield pennylane.ctrl(made, wires[:count], bits)
    elif gate.name in _FAMILIES:
        yield _FAMILIES[gate.name](pennylane, gate, wires, angles)
    elif gate.decomposition is None:
        yield pennylane.QubitUnitary(gate.unitary.at(), wires=wires[::-1])
    else:
        for part, places, inner_angles in gate.parts:
            own = [wires[q] for q in places]
            yield from _written(pennylane, part, own, fill(inner_angles, angles))


_OPERATIONS = {ours: theirs for theirs, ours in _NAMES.items()}
_FAMILIES: dict[str, Callable[..., Any]] = {
    "globalphase": lambda pl, gate, wires, angles: pl.GlobalPhase(-1 * angles[0], wires=wires),
    "pauli_rotation": lambda pl, gate, wires, angles: pl.PauliRot(
        angles[0], gate.recipe[1][0][::-1], wires=wires
    ),
    "diagonal": lambda pl, gate, wires, angles: pl.DiagonalQubitUnitary(
        np.diagonal(gate.unitary.at()), wires=wires[::-1]
    ),
    "barrier": lambda pl, gate, wires, angles: pl.Barrier(wires=wires),
}
