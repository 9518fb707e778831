"""Circuits and states as data: JSON with a schema version, and safetensors. Nothing is pickled.

A circuit's dictionary, version 2::

    format, version      "qsim circuit", 2
    num_qubits           and num_weights, num_inputs, num_clbits where they were declared
    registers            {name: [qubits]}
    classical_registers  {name: [classical bits]}
    tensors              [{dtype, requires_grad, values}]: those that angles read, each once
    operations           [{gate, qubits, params}]

A gate is the name of one of the table, or {family: [arguments]}, where an argument may be a gate
and complex numbers are [real, imaginary]; or it is an instruction: {channel: [name, arguments]},
{measure: [classical bit]}, {reset: []}, {if_else, switch_case or while_loop: [[bits], [{values,
body}]]}, a while_loop with its bound, where a body is {num_qubits, operations}. Version 1 had
neither instructions nor classical registers.

An angle is a number, {source, index, scale, offset} of a weight or an input, or {terms:
[[coefficient, [atom ...]] ...]}; an atom is {source, index}, {name}, {tensor: position}, or
{function, arguments}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from qsim import families
from qsim.circuit import Circuit
from qsim.errors import UsageError
from qsim.files import damaged, read_bytes, read_text, write_atomically
from qsim.gates import Gate, controlled, find_gate
from qsim.instructions import Instruction
from qsim.instructions_json import KINDS, instruction_from_json, instruction_to_json
from qsim.operations import Register
from qsim.parameters import (
    FUNCTIONS,
    Angle,
    Atom,
    Constant,
    Expression,
    Function,
    Named,
    Symbol,
    whole,
)

if TYPE_CHECKING:
    from qsim.results import State

CIRCUIT_FORMAT, CIRCUIT_VERSION = "qsim circuit", 2
STATE_FORMAT, STATE_VERSION = "qsim state", 1
MAX_NESTING = 64  # of bodies in bodies


# --- Circuits -------------------------------------------------------------------------------------


def circuit_to_dict(circuit: Circuit) -> dict[str, Any]:
    """A dictionary that JSON can hold, as the head of this module says.

    Raises:
        UsageError: for an instruction of another kind than the head says, bodies that are nested
            too deeply, or a function of angles without a name.
    """
    tensors: dict[Constant, int] = {}
    operations = _operations_to_json(circuit, tensors, 0)
    return {
        "format": CIRCUIT_FORMAT,
        "version": CIRCUIT_VERSION,
        "num_qubits": circuit.num_qubits,
        **circuit.declared,
        "registers": _registers_to_json(circuit.registers),
        "classical_registers": _registers_to_json(circuit.classical_registers),
        "tensors": [_tensor_to_json(constant.tensor) for constant in tensors],
        "operations": operations,
    }


def circuit_from_dict(value: Any) -> Circuit:
    """The circuit of `circuit_to_dict`.

    Raises:
        UsageError: if the dictionary describes none, is of a newer version, or names a gate,
            channel or function that is not there.
    """
    check_header(value, CIRCUIT_FORMAT, CIRCUIT_VERSION, "this dictionary")
    try:
        sizes = {k: value[k] for k in ("num_weights", "num_inputs", "num_clbits") if k in value}
        circuit = Circuit(value["num_qubits"], **sizes)
        for name, qubits in value["registers"].items():
            circuit.register(name, qubits)
        for name, clbits in value.get("classical_registers", {}).items():
            circuit.classical_register(name, clbits)
        tensors = [_tensor_from_json(tensor) for tensor in value["tensors"]]
        _append_operations(circuit, value["operations"], tensors, 0)
    except _DAMAGE as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"this is no circuit as 'to_dict' writes it: {type(error).__name__}, {error}"
        ) from error
    return circuit


# What reading damaged data runs into.
_DAMAGE = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, RuntimeError),
    *(TypeError, ValueError),
)


def _registers_to_json(registers: Mapping[str, Register]) -> dict[str, list[int]]:
    return {name: list(register) for name, register in registers.items()}


def _operations_to_json(
    circuit: Circuit, tensors: dict[Constant, int], depth: int
) -> list[dict[str, Any]]:
    _check_nesting(depth)

    def body_to_json(body: Circuit) -> dict[str, Any]:
        operations = _operations_to_json(body, tensors, depth + 1)
        return {"num_qubits": body.num_qubits, "operations": operations}

    return [
        {
            "gate": instruction_to_json(acting, body_to_json)
            if isinstance(acting, Instruction)
            else _gate_to_json(acting),
            "qubits": list(qubits),
            "params": [_angle_to_json(p, tensors) for p in params],
        }
        for acting, qubits, params in circuit.operations
    ]


def _append_operations(
    circuit: Circuit, operations: Any, tensors: list[Constant], depth: int
) -> Circuit:
    _check_nesting(depth)

    def body_from_json(value: Any) -> Circuit:
        body = Circuit(value["num_qubits"])
        return _append_operations(body, value["operations"], tensors, depth + 1)

    for operation in operations:
        params = [_angle_from_json(p, tensors) for p in operation["params"]]
        acting = _acting_from_json(operation["gate"], body_from_json)
        circuit.append(acting, operation["qubits"], params)
    return circuit


def _acting_from_json(value: Any, body_from_json: Callable[[Any], Circuit]) -> Gate | Instruction:
    if isinstance(value, dict):
        ((kind, arguments),) = value.items()
        if kind in KINDS:
            return instruction_from_json(kind, arguments, body_from_json)
    return _gate_from_json(value)


def _check_nesting(depth: int) -> None:
    if depth > MAX_NESTING:
        raise UsageError(f"bodies of a circuit in a file are nested {MAX_NESTING} deep at most")


def check_header(value: Any, kind: str, version: int, what: str) -> None:
    """Raises UsageError if the format is not `kind`, or the version not one up to `version`."""
    if not isinstance(value, dict) or value.get("format") != kind:
        raise UsageError(f"{what} is no {kind}: its format is not {kind!r}")
    found = whole(value.get("version"))
    if found is None or found < 1:
        raise UsageError(f"{what} is a {kind} without a version, such as {version}")
    if found > version:
        raise UsageError(
            f"{what} is a {kind} of version {found}, and this release reads up to {version}: "
            "upgrade efficient-qml"
        )


def save_circuit(circuit: Circuit, path: str | Path) -> Path:
    """Write a circuit: as OpenQASM 3 if the name ends in .qasm, else as JSON."""
    from qsim.interop.openqasm import to_openqasm3

    where = Path(path)
    if where.suffix == ".qasm":
        return write_atomically(where, to_openqasm3(circuit).encode())
    text = json.dumps(circuit_to_dict(circuit), separators=(",", ":"))
    return write_atomically(where, text.encode())


def load_circuit(path: str | Path) -> Circuit:
    """Read a circuit that `save_circuit` wrote, or any OpenQASM file.

    Raises:
        UsageError: if the file is missing, damaged, or as for `circuit_from_dict`.
    """
    from qsim.interop.openqasm import from_openqasm

    where = Path(path)
    if where.suffix == ".qasm":
        return from_openqasm(where)
    return circuit_from_dict(load_json(where, CIRCUIT_FORMAT, CIRCUIT_VERSION))


def load_json(path: Path, kind: str, version: int) -> Any:
    """The value in a JSON file of a format.

    Raises:
        UsageError: if the file is missing, damaged, or of another format or a newer version.
    """
    text = read_text(path)
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise damaged(path, f"it is no JSON from line {line} on") from None
    check_header(value, kind, version, repr(str(path)))
    return value


# --- Gates: a family is what makes gates of any size ----------------------------------------------


def _complex_to_json(data: bytes) -> list[list[float]]:
    pairs: list[list[float]] = np.frombuffer(data, float).reshape(-1, 2).tolist()
    return pairs


def _complex_from_json(pairs: Any) -> np.ndarray:
    numbers = np.array(pairs, dtype=float).reshape(-1, 2)
    return np.asarray(numbers[:, 0] + 1j * numbers[:, 1])


def _unitary_from_json(num_qubits: int, pairs: Any) -> Gate:
    return families.unitary(_complex_from_json(pairs).reshape([2**num_qubits] * 2))


_FAMILIES: dict[str, Callable[..., Gate]] = {
    "barrier": families.barrier,
    "controlled": lambda gate, count, state: controlled(_gate_from_json(gate), count, state),
    "diagonal": lambda _, pairs: families.diagonal(_complex_from_json(pairs)),
    "pauli_rotation": families.pauli_rotation,
    "permutation": families.permutation,
    "unitary": _unitary_from_json,
}


def _gate_to_json(gate: Gate) -> Any:
    if gate.recipe is None:
        return gate.name
    make, arguments = gate.recipe
    return {make.__name__.strip("_"): [_argument_to_json(a) for a in arguments]}


def _argument_to_json(argument: Any) -> Any:
    if isinstance(argument, Gate):
        return _gate_to_json(argument)
    return _complex_to_json(argument) if isinstance(argument, bytes) else argument


def _gate_from_json(value: Any) -> Gate:
    if isinstance(value, str):
        return find_gate(value)
    ((family, arguments),) = value.items()
    if family not in _FAMILIES:
        known = ", ".join([*_FAMILIES, *KINDS])
        raise UsageError(f"there is no family of gates {family!r}: {known} are")
    return _FAMILIES[family](*arguments)


# --- Angles ---------------------------------------------------------------------------------------


def _angle_to_json(angle: Angle, tensors: dict[Constant, int]) -> Any:
    if isinstance(angle, Symbol):
        return asdict(angle)
    if isinstance(angle, Expression):
        return {
            "terms": [[c, [_atom_to_json(a, tensors) for a in atoms]] for c, atoms in angle.terms]
        }
    return angle


def _atom_to_json(atom: Atom, tensors: dict[Constant, int]) -> dict[str, Any]:
    if isinstance(atom, Symbol):
        return {"source": atom.source, "index": atom.index}
    if isinstance(atom, Named):
        return {"name": atom.name}
    if isinstance(atom, Constant):
        return {"tensor": tensors.setdefault(atom, len(tensors))}
    name = atom.function.__name__
    if FUNCTIONS.get(name) is not atom.function:
        raise UsageError(f"the angle {atom} cannot be saved: {name} has no name in qsim")
    return {
        "function": name,
        "arguments": [_angle_to_json(a, tensors) for a in atom.arguments],
    }


def _angle_from_json(value: Any, tensors: list[Constant]) -> Angle:
    if not isinstance(value, dict):
        return float(value)
    if "terms" not in value:
        return Symbol(**value)
    terms = [(float(c), tuple([_atom_from_json(a, tensors) for a in t])) for c, t in value["terms"]]
    return Expression(tuple(terms))


def _atom_from_json(value: dict[str, Any], tensors: list[Constant]) -> Atom:
    if "source" in value:
        return Symbol(value["source"], value["index"])
    if "name" in value:
        return Named(value["name"])
    if "tensor" in value:
        return tensors[value["tensor"]]
    name = value["function"]
    if name not in FUNCTIONS:
        raise UsageError(f"there is no function of angles {name!r}: {', '.join(FUNCTIONS)} are")
    return Function(
        FUNCTIONS[name], tuple([_angle_from_json(a, tensors) for a in value["arguments"]])
    )


def _tensor_to_json(tensor: Tensor) -> dict[str, Any]:
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "requires_grad": tensor.requires_grad,
        "values": tensor.detach().cpu().tolist(),
    }


def _tensor_from_json(value: dict[str, Any]) -> Constant:
    dtypes = {"float32": torch.float32, "float64": torch.float64}
    dtype = dtypes[value["dtype"]]
    return Constant(
        torch.tensor(value["values"], dtype=dtype, requires_grad=value["requires_grad"])
    )


# --- States ---------------------------------------------------------------------------------------


def save_state(state: State, path: str | Path) -> Path:
    """Write amplitudes as safetensors: "amplitudes", real [..., 2**n, 2], exactly as they are."""
    parts = torch.view_as_real(state.amplitudes.detach().resolve_conj()).contiguous().cpu()
    header = {"format": STATE_FORMAT, "version": str(STATE_VERSION)}
    return write_atomically(Path(path), save_tensors({"amplitudes": parts}, header))


def load_state(path: str | Path) -> State:
    """Read a state that `save_state` wrote.

    Raises:
        UsageError: if the file is missing, damaged, of a newer version or something else.
    """
    from qsim.results import State

    where = Path(path)
    data = read_bytes(where)
    try:
        tensors, header = load_tensors(data), _safetensors_header(data)
    except (SafetensorError, ValueError) as error:
        raise damaged(where, str(error) or "its content cannot be read") from None
    version = header.get("version", "")
    known = {**header, "version": int(version) if version.isdecimal() else None}
    check_header(known, STATE_FORMAT, STATE_VERSION, repr(str(where)))
    parts = tensors.get("amplitudes")
    if parts is None or parts.dim() < 2 or parts.shape[-1] != 2:
        raise damaged(where, "it holds no amplitudes")
    return State(torch.view_as_complex(parts))


def _safetensors_header(data: bytes) -> dict[str, str]:
    """The texts that a safetensors file carries: https://huggingface.co/docs/safetensors."""
    size = int.from_bytes(data[:8], "little")
    found: dict[str, str] = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    return found
