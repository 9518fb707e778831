"""OpenQASM 2 and 3, by way of Qiskit's parsers and exporters, which are kept from hostile text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qsim.circuit import Circuit
from qsim.dynamic.instructions import Control
from qsim.errors import UsageError, need
from qsim.files import read_text
from qsim.instructions import Instruction
from qsim.interop.qiskit import from_qiskit, to_qiskit
from qsim.noise.channels import Channel
from qsim.parameters import Input, Weight

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

MAX_BYTES = {2: 2**24, 3: 2**20}  # Qiskit reads 7 MB/s of OpenQASM 2, but 0.06 MB/s of OpenQASM 3
MAX_DEPTH = 64  # of brackets
MAX_OPERATORS = 500  # in one statement
MAX_DIGITS = 5  # in the size of a register

_WORD = re.compile(r"OPENQASM\s+([23])(?:\.\d+)?\s*;")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_SIZE = re.compile(
    rf"\b(?:[qc]reg\s+\w+|qubit|bit)\s*\[[^\];]{{0,40}}?(?:\d[\d_]{{{MAX_DIGITS}}}|0[xXoO])"
)
_OPERATOR = re.compile(r"[-+*/^!~@%&|<>]")
_PLACE = re.compile(r"(?:.*?:)?(\d+),(\d+): (.*)", re.DOTALL)
_SYMBOL = re.compile(r"_([wx])_(\d+)_")

# Gates of the files that programs include, as far as they keep their global phase.
_STANDARD = {
    2: "x y z h s sdg t tdg rx ry rz id cx cz cy ch ccx crz cp cu1 cu3 u1 u2 u3 u p swap cswap "
    "crx cry rxx rzz barrier",
    3: "x y z h s sdg t tdg sx rx ry rz p id cx cy cz cp crx cry crz ch swap ccx cswap cu u "
    "barrier",
}


def to_openqasm3(circuit: Circuit) -> str:
    """The circuit as OpenQASM 3; unbound weights and inputs become `input` declarations.

    Raises:
        UsageError: if Qiskit is not installed, for a channel, or for an angle that it lacks.
    """
    _refuse_channels(circuit, 3)
    qasm3 = need("qiskit.qasm3", extra="ibm", purpose="writing OpenQASM 3")
    library = need("qiskit.circuit.library", extra="ibm", purpose="writing OpenQASM 3")
    exact = _exact(to_qiskit(circuit, bitwise=True), 3)  # which is what Qiskit reads again
    if exact.global_phase:  # the exporter drops it, but writes a gate that it takes for known
        exact.append(library.GlobalPhaseGate(exact.global_phase), [])
    text = str(qasm3.dumps(exact, basis_gates=("U", "global_phase")))
    return text.replace("\nglobal_phase(", "\ngphase(")


def to_openqasm2(circuit: Circuit) -> str:
    """The circuit as OpenQASM 2, which has no global phase and no parameters.

    Raises:
        UsageError: if Qiskit is not installed, for a channel or control flow, or if an angle is
            not a number.
    """
    _refuse_channels(circuit, 2)
    for operation in circuit.operations:
        if isinstance(operation.gate, Control):
            raise UsageError(f"OpenQASM 2 has no {operation.gate.name}: write OpenQASM 3")
    qasm2 = need("qiskit.qasm2", extra="ibm", purpose="writing OpenQASM 2")
    converted = to_qiskit(circuit)
    if converted.parameters:
        unbound = ", ".join(sorted(p.name for p in converted.parameters)[:3])
        raise UsageError(
            f"OpenQASM 2 has numbers only, but the circuit has {unbound}: bind or assign them, "
            "or write OpenQASM 3"
        )
    return str(qasm2.dumps(_exact(converted, 2)))


def _refuse_channels(circuit: Circuit, version: int) -> None:
    for operation in circuit.operations:
        if isinstance(operation.gate, Channel):
            raise UsageError(
                f"OpenQASM {version} has no channels, but the circuit has {operation}: save it as "
                "JSON, or leave noise to a NoiseModel"
            )
        if isinstance(operation.gate, Instruction):
            for body in operation.gate.bodies:
                _refuse_channels(body, version)


def from_openqasm(
    source: str | Path, max_bytes: int | None = None, most_rounds: int | None = None
) -> Circuit:
    """The circuit of an OpenQASM 2 or 3 program.

    Inputs named as `to_openqasm3` names weights and inputs become these; others keep their names.
    Gates that the program defines become what they are defined as.

    Args:
        source: the text, or the path of a file.
        max_bytes: largest size to read, by default 16 MiB of OpenQASM 2 (2 seconds) and 1 MiB of
            OpenQASM 3 (20 seconds).
        most_rounds: how often a while loop runs at most, if there is one.

    Raises:
        UsageError: with file, line and column, for what is wrong in the text, such as an unknown
            gate; for text that is too large or nested too deeply, before it is parsed.
    """
    limit = max(MAX_BYTES.values()) if max_bytes is None else max_bytes
    if isinstance(source, Path) or not looks_like_openqasm(source):
        name, text = str(source), read_text(Path(source), limit)
    else:
        name, text = "OpenQASM", source
    found = _WORD.search(_COMMENT.sub("", text[:100_000]))
    if found is None:
        raise UsageError(f'{name} does not begin as OpenQASM does, with "OPENQASM 3.0;" or 2.0')
    version = int(found.group(1))
    _check(name, text, MAX_BYTES[version] if max_bytes is None else max_bytes)
    circuit = from_qiskit(_parsed(name, text, version), most_rounds)
    symbols = {name: _SYMBOL.fullmatch(name) for name in circuit.parameters}
    makers = {"w": Weight, "x": Input}
    return circuit.assign({n: makers[m[1]](int(m[2])) for n, m in symbols.items() if m})


def looks_like_openqasm(text: str) -> bool:
    """Whether it is a program, not the path of one."""
    return "\n" in text or ";" in text


def _check(name: str, text: str, max_bytes: int) -> None:
    """Refuse what would keep a parser busy, in time that grows with the length alone."""
    if len(text) > max_bytes:
        raise UsageError(
            f"{name} has {len(text):,} bytes, more than the {max_bytes:,} that are read: pass "
            "max_bytes=... if you trust it"
        )
    bare = _COMMENT.sub("", text)
    codes = np.frombuffer(bare.encode("utf-8"), dtype=np.uint8)
    opened = np.isin(codes, list(b"([{")).astype(np.int32) - np.isin(codes, list(b")]}"))
    depth = int(opened.cumsum().max(initial=0))
    if depth > MAX_DEPTH:
        raise UsageError(f"{name} nests {depth:,} brackets, more than the {MAX_DEPTH} that fit")
    if _SIZE.search(bare):
        raise UsageError(f"{name} declares a register of more than {10**MAX_DIGITS - 1:,} bits")
    for statement in re.split(r"[;{}]", bare):
        if len(statement) > MAX_OPERATORS:
            count = len(_OPERATOR.findall(statement))
            if count > MAX_OPERATORS:
                raise UsageError(
                    f"{name} has a statement of {count:,} operators, more than the "
                    f"{MAX_OPERATORS} that fit: {statement.strip():.40} ..."
                )


def _parsed(name: str, text: str, version: int) -> QuantumCircuit:
    purpose = f"reading OpenQASM {version}"
    if version == 2:
        qasm2 = need("qiskit.qasm2", extra="ibm", purpose=purpose)
        custom = qasm2.LEGACY_CUSTOM_INSTRUCTIONS
        return _guarded(
            name, (qasm2.QASM2ParseError,), lambda: qasm2.loads(text, custom_instructions=custom)
        )
    qasm3 = need("qiskit.qasm3", extra="ibm", purpose=purpose)
    need("qiskit_qasm3_import", extra="ibm", purpose=purpose)
    parser = need("openqasm3.parser", extra="ibm", purpose=purpose)
    known = (qasm3.QASM3Error, parser.QASM3ParsingError)
    return _guarded(name, known, lambda: qasm3.loads(text))


def _guarded(name: str, known: tuple[type[Exception], ...], parse: Callable[[], Any]) -> Any:
    try:
        return parse()
    except RecursionError:
        raise UsageError(f"{name} nests its statements more deeply than can be read") from None
    except known as error:
        reason = str(getattr(error, "message", error)).strip("\"'") or str(error.__cause__)
        place = _PLACE.fullmatch(reason)
        where = f"{name}, line {place[1]}, column {int(place[2]) + 1}: {place[3]}" if place else ""
        raise UsageError(where or f"{name} is no OpenQASM: {reason}") from None


# --- Exporting without losing phases --------------------------------------------------------------


def _exact(circuit: QuantumCircuit, version: int) -> QuantumCircuit:
    """The circuit with all gates replaced whose definitions have a global phase, which then is its.

    Exporters drop that of definitions.
    """
    return _inlined(circuit, frozenset(_STANDARD[version].split()))


def _inlined(circuit: QuantumCircuit, standard: frozenset[str]) -> QuantumCircuit:
    result = circuit.copy_empty_like()
    for instruction in circuit.data:
        operation = instruction.operation
        if not _is_own(operation) and _without_phase(instruction, standard):
            result.append(instruction)
        else:
            result.compose(
                _inlined(operation.definition, standard), instruction.qubits, inplace=True
            )
    return result


def _is_own(operation: Any) -> bool:
    """Whether it is a gate that Qiskit lacks: exporters define these for the numbers they have."""
    return hasattr(getattr(operation, "base_gate", operation), "own")


def _without_phase(instruction: Any, standard: frozenset[str]) -> bool:
    if instruction.name in standard:
        return True
    definition = getattr(instruction.operation, "definition", None)
    return definition is None or (
        hasattr(instruction.operation, "control")  # a gate: exporters define nothing else
        and not definition.global_phase
        and all(_without_phase(inner, standard) for inner in definition.data)
    )
