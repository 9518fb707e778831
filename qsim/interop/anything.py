"""A circuit from whatever is known as one, recognised without importing anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qsim.circuit import Circuit
from qsim.errors import UsageError


def from_any(source: Any) -> Circuit:
    """A circuit from one of these.

    - a `qsim.Circuit`, which is returned as it is, or the dictionary of `Circuit.to_dict`;
    - a QuantumCircuit of Qiskit: see `qsim.interop.qiskit.from_qiskit`;
    - OpenQASM 2 or 3, as text, or the path of a .qasm file: `qsim.interop.openqasm.from_openqasm`;
    - the path of a file that `Circuit.save` wrote;
    - a tape, or a QNode without arguments, of PennyLane: `qsim.interop.pennylane.from_pennylane`;
    - an op history, a device that recorded one, or a module that takes a device alone, of
      TorchQuantum: `qsim.interop.torchquantum.from_torchquantum`.

    Raises:
        UsageError: for anything else, and where these functions do.
    """
    if isinstance(source, Circuit):
        return source
    if isinstance(source, Mapping):
        return Circuit.from_dict(source)
    if isinstance(source, (str, Path)):
        return _from_text(source)
    if isinstance(source, (list, tuple)) and source and isinstance(source[0], Mapping):
        return _from_torchquantum(source)
    for kind in type(source).__mro__:
        read = _READERS.get(kind.__module__.partition(".")[0])
        if read is not None:
            return read(source)
    raise UsageError(
        f"there is no circuit in {type(source).__module__}.{type(source).__qualname__}: these are "
        "circuits of qsim and Qiskit, OpenQASM as text or path, files of Circuit.save, tapes and "
        "QNodes of PennyLane, op histories and modules of TorchQuantum"
    )


def _from_text(source: str | Path) -> Circuit:
    from qsim.interop.openqasm import from_openqasm, looks_like_openqasm

    if isinstance(source, str) and looks_like_openqasm(source):
        return from_openqasm(source)
    return Circuit.load(source)


def _from_qiskit(source: Any) -> Circuit:
    from qsim.interop.qiskit import from_qiskit

    return from_qiskit(source)


def _from_pennylane(source: Any) -> Circuit:
    from qsim.interop.pennylane import from_pennylane

    return from_pennylane(source)


def _from_torchquantum(source: Any) -> Circuit:
    from qsim.interop.torchquantum import from_torchquantum

    return from_torchquantum(source)


_READERS: dict[str, Callable[[Any], Circuit]] = {
    "pennylane": _from_pennylane,
    "qiskit": _from_qiskit,
    "torchquantum": _from_torchquantum,
}
