"""TorchQuantum's op histories and modules.

An op history is what a `QuantumDevice(record_op=True)` keeps: dictionaries with name, wires,
params, inverse and trainable. Wire k is qubit k. TorchQuantum's first wire is the most significant
bit of its states, our qubit 0 the least significant one: states of shape [batch, 2, ..., 2] are
ours with the last axes reversed. Histories hold numbers, so no gradients pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from math import pi
from typing import Any

import torch
from torch import Tensor

from qsim.bound import Bound, bound
from qsim.circuit import Circuit
from qsim.columns import Values
from qsim.errors import UsageError
from qsim.gates import ALIASES, GATES, Gate, fill, find_gate
from qsim.instructions import Instruction

History = list[dict[str, Any]]

# Names of TorchQuantum that are no names or aliases of our gates.
_NAMES = {
    "ccnot": "ccx",
    "chadamard": "ch",
    "echoedcrossresonance": "ecr",
    "xx": "rxx",
    "yy": "ryy",
    "zx": "rzx",
    "zz": "rzz",
}
# Gates that TorchQuantum 0.1.8 applies as they are, to batches too.
_WORKING = frozenset(
    {
        *("i", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg"),
        *("rx", "ry", "rz", "p", "r", "rot", "u3"),
        *("cx", "cy", "cz", "cs", "csdg", "csx", "crx", "cry", "crz", "crot"),
        *("swap", "sswap", "iswap", "ecr", "dcx", "rxx", "ryy", "rzz", "rzx"),
        *("ccz", "cswap", "c3x", "c4x", "c3sx"),
    }
)


# --- From TorchQuantum ----------------------------------------------------------------------------


def from_torchquantum(source: Any, *arguments: Any, n_wires: int | None = None) -> Circuit:
    """The gates of an op history, or of the one that a module leaves on a recording device.

    Args:
        source: a list of dictionaries, a QuantumDevice that recorded one, or a QuantumModule that
            is called as module(device, *arguments).
        arguments: of the module; the first one may be a tensor [batch, ...].
        n_wires: number of qubits; by default that of the device or module, or as many as occur.

    Raises:
        UsageError: for what is none of these, for operations that are no gates, or a module whose
            number of wires is not known.
    """
    if not isinstance(source, (list, tuple)) and not hasattr(source, "op_history"):
        source = _recorded(source, arguments, n_wires)
    history: Iterable[Any] = getattr(source, "op_history", source)
    operations = list(history)
    wires = [wire for operation in operations for wire in _wires(operation)]
    size = n_wires or getattr(source, "n_wires", None) or max(wires, default=0) + 1
    circuit = Circuit(size)
    for operation in operations:
        _add(circuit, operation)
    return circuit


def _recorded(module: Any, arguments: Sequence[Any], n_wires: int | None) -> Any:
    kinds = [kind for kind in type(module).__mro__ if kind.__module__.startswith("torchquantum")]
    if not kinds:
        raise UsageError(
            "TorchQuantum's circuits are op histories, devices and modules, not "
            f"{type(module).__name__}"
        )
    size = n_wires or getattr(module, "n_wires", None)
    if size is None:
        raise UsageError("this module does not say how many wires it has: pass n_wires=...")
    batch = len(arguments[0]) if arguments and isinstance(arguments[0], Tensor) else 1
    device = import_module("torchquantum").QuantumDevice(n_wires=size, bsz=batch, record_op=True)
    module(device, *arguments)
    return device


def _wires(operation: Any) -> list[int]:
    if not isinstance(operation, Mapping) or not {"name", "wires"} <= set(operation):
        raise UsageError(
            "an op history is a list of dictionaries with name, wires, params and inverse, "
            f"not of {operation!r:.60}"
        )
    wires = operation["wires"]
    return [int(wire) for wire in (wires if isinstance(wires, Iterable) else [wires])]


def _add(circuit: Circuit, operation: Mapping[str, Any]) -> None:
    name, wires = operation["name"], _wires(operation)
    part = Circuit(len(wires))
    if name in READERS:
        READERS[name](part, operation.get("params"))
    elif _NAMES.get(name, name) in GATES or name in ALIASES:
        gate = find_gate(_NAMES.get(name, name))
        part.append(gate, range(len(wires)), _angles(operation.get("params"), gate.num_params))
    else:
        raise UsageError(
            f"TorchQuantum's {name!r} on wires {wires} is no gate that qsim has; measurements and "
            "resets have no place in op histories"
        )
    circuit.compose(part.inverse() if operation.get("inverse") else part, wires)


def _angles(params: Any, count: int) -> list[Any]:
    """From [], [count], [batch] of one or [batch, count]: numbers, or tensors [batch]."""
    if not count:
        return []
    tensor = torch.as_tensor(params, dtype=torch.float64)
    if count == 1:
        tensor = tensor.reshape(-1, 1)
    return [c.squeeze() if c.numel() == 1 else c for c in tensor.unbind(-1)]


def _unitary(part: Circuit, params: Any) -> None:
    matrix = torch.as_tensor(params, dtype=torch.complex128).squeeze()
    if matrix.dim() != 2:
        raise UsageError("a unitary of TorchQuantum that differs by sample is no constant gate")
    part.unitary(matrix, range(part.num_qubits)[::-1])


READERS: dict[str, Callable[[Circuit, Any], Any]] = {
    "multicnot": lambda part, _: part.mcx(range(part.num_qubits - 1), part.num_qubits - 1),
    "multixcnot": lambda part, _: part.mcx(range(part.num_qubits - 1), part.num_qubits - 1, 0),
    "multirz": lambda part, params: part.multirz(*_angles(params, 1)),
    "qft": lambda part, _: part.qft(range(part.num_qubits)[::-1]),
    "qubitunitary": _unitary,
    "qubitunitaryfast": _unitary,
    "qubitunitarystrict": _unitary,
    "shadamard": lambda part, _: part.ry(pi / 4, 0),
}


# --- To TorchQuantum ------------------------------------------------------------------------------


def to_torchquantum(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    values: Values | None = None,
) -> History:
    """An op history of the circuit, with values for all angles.

    `QuantumModule.from_op_history` makes a module of it. Gates that TorchQuantum lacks, or applies
    wrongly, become several, or one unitary.

    Args:
        circuit: the circuit.
        weights: [num_weights] or [batch, num_weights].
        inputs: [num_inputs] or [batch, num_inputs].
        values: named parameters by name.

    Raises:
        UsageError: if values are missing, or for a channel, a measurement or another instruction.
    """
    for operation in circuit.operations:
        if isinstance(operation.gate, Instruction):
            raise UsageError(
                f"TorchQuantum's op histories have gates alone, but the circuit has {operation}: "
                "leave it out, or write Qiskit or OpenQASM 3"
            )
    plain, value_of = bound(circuit, weights, inputs, values)
    return [
        entry
        for gate, qubits, params in plain.gates
        if gate.name != "barrier"  # TorchQuantum has none, and it does nothing
        for entry in _written(gate, list(qubits), [value_of(p) for p in params])
    ]


def _written(gate: Gate, wires: list[int], angles: Sequence[Bound]) -> Iterable[dict[str, Any]]:
    if gate.recipe is None and gate.name in _WORKING:
        yield _entry(gate.name, wires, _params(angles))
    elif gate.decomposition is None or gate.base:
        matrix = gate.unitary.at() if not angles else gate.unitary(_columns(angles)).numpy()
        yield _entry("qubitunitary", wires[::-1], matrix.tolist())
    else:
        for part, places, inner in gate.parts:
            yield from _written(part, [wires[q] for q in places], fill(inner, angles))


def _columns(angles: Sequence[Bound]) -> Tensor:
    tensors = [torch.as_tensor(angle, dtype=torch.float64).detach() for angle in angles]
    return torch.stack(torch.broadcast_tensors(*tensors), -1)


def _params(angles: Sequence[Bound]) -> Any:
    if not angles:
        return None
    columns = _columns(angles)
    return columns.squeeze(-1).tolist() if len(angles) == 1 else columns.tolist()


def _entry(name: str, wires: list[int], params: Any) -> dict[str, Any]:
    where = wires[0] if len(wires) == 1 else wires
    return {
        "name": name,
        "wires": where,
        "params": params,
        "inverse": False,
        "trainable": False,
    }
