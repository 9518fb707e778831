"""Calibrations as data: a dictionary for JSON with a schema version, checked entry by entry.

Version 2::

    format, version      "device calibration", 2
    name, num_qubits
    simulated            whether it is a snapshot, not a device at IBM Quantum
    calibrated           when, in ISO 8601; null where it is not known
    dt                   seconds of a step of the device's clock, or null
    coords               [[row, column]] of each qubit on the chip, or null
    qubits               of each: t1, t2 [s], readout [p01, p10], readout_seconds; null if unknown
    gates                gate, qubits, error and duration [s], which may be null
    control_flow         names such as "if_else"
    angle_bounds         {gate: [lowest, highest]} of fractional gates [rad]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.calibration.targets import angle_bounds
from qsim.errors import UsageError
from qsim.files import write_atomically
from qsim.serialization import check_header, load_json

if TYPE_CHECKING:
    from compile.device import Device

FORMAT = "device calibration"
VERSION = 2
_KEYS = {
    *("format", "version", "name", "num_qubits", "simulated", "calibrated", "dt", "coords"),
    *("qubits", "gates", "control_flow", "angle_bounds"),
}
_QUBIT_KEYS = {"t1", "t2", "readout", "readout_seconds"}
_GATE_KEYS = {"gate", "qubits", "error", "duration"}
_NO_GATES = {"delay", "measure"}


def describe(device: Device) -> dict[str, Any]:
    """The calibration of a device, as this module's docstring says."""
    target = device.backend.target
    measured = target["measure"] if "measure" in target.operation_names else {}
    coherence = target.qubit_properties or [None] * device.num_qubits
    control = [n for n in target.operation_names if isinstance(target.operation_from_name(n), type)]
    known = _standard_gates()
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": device.name,
        "num_qubits": device.num_qubits,
        "simulated": device.is_simulated,
        "calibrated": device.calibrated,
        "dt": target.dt,
        "coords": device.coords,
        "qubits": [
            {
                "t1": finite(getattr(coherence[q], "t1", None)),
                "t2": finite(getattr(coherence[q], "t2", None)),
                "readout": list(device.readout_errors(q)),
                "readout_seconds": finite(getattr(measured.get((q,)), "duration", None)),
            }
            for q in range(device.num_qubits)
        ],
        "gates": [
            {
                "gate": name,
                "qubits": list(qubits),
                "error": finite(getattr(properties, "error", None)),
                "duration": finite(getattr(properties, "duration", None)),
            }
            for name in sorted(known & set(target.operation_names) - _NO_GATES)
            for qubits, properties in target[name].items()
            if qubits
        ],
        "control_flow": sorted(control),
        "angle_bounds": {name: list(bounds) for name, bounds in angle_bounds(target).items()},
    }


def save(device: Device, path: str | Path) -> Path:
    """Write the calibration of a device as JSON, in one step."""
    text = json.dumps(describe(device), indent=1, allow_nan=False)
    return write_atomically(Path(path), text.encode())


def load(path: str | Path) -> dict[str, Any]:
    """Read a calibration.

    Raises:
        UsageError: the file is missing, damaged, of a newer version, or as for `check`.
    """
    value: dict[str, Any] = load_json(Path(path), FORMAT, VERSION)
    check(value, repr(str(path)))
    return value


def check(value: Any, what: str = "the calibration") -> None:
    """Raises UsageError, with the entry that is wrong, unless the value is a calibration."""
    check_header(value, FORMAT, VERSION, what)
    if value["version"] < VERSION:
        raise UsageError(
            f"{what} is a {FORMAT} of version {value['version']}, which had no readout in both "
            f"directions, and this release reads version {VERSION}: save the device anew"
        )
    _check_keys(value, _KEYS, what)
    count = value["num_qubits"]
    if not _is_index(count) or count < 1:
        raise UsageError(f"{what}: num_qubits is a whole number from 1 on, not {count!r}")
    qubits = _list(value["qubits"], f"{what}: qubits")
    if len(qubits) != count:
        raise UsageError(
            f"{what} says that the device has {count} qubits, but describes {len(qubits)}: "
            "give every qubit its entry"
        )
    coords = value["coords"]
    if coords is not None and len(_list(coords, f"{what}: coords")) != count:
        raise UsageError(f"{what}: coords are [row, column] of each of the {count} qubits, or null")
    _check_number(value["dt"], f"{what}: dt", above=0.0)
    for number, qubit in enumerate(qubits):
        _check_qubit(qubit, f"{what}, qubit {number}")
    for gate in _list(value["gates"], f"{what}: gates"):
        _check_gate(gate, count, what)


def _check_qubit(qubit: Any, where: str) -> None:
    _check_keys(qubit, _QUBIT_KEYS, where)
    for name in ("t1", "t2"):
        _check_number(qubit[name], f"{where}: {name}", above=0.0)
    _check_number(qubit["readout_seconds"], f"{where}: readout_seconds", least=0.0)
    readout = _list(qubit["readout"], f"{where}: readout")
    if len(readout) != 2:
        raise UsageError(f"{where}: readout is [p01, p10], two probabilities, not {readout}")
    for probability in readout:
        _check_number(probability, f"{where}: readout", least=0.0, most=1.0, optional=False)


def _check_gate(gate: Any, count: int, what: str) -> None:
    _check_keys(gate, _GATE_KEYS, f"{what}, a gate")
    name, qubits = gate["gate"], _list(gate["qubits"], f"{what}: qubits of {gate['gate']!r}")
    where = f"{what}, gate {name} on {qubits}"
    if name not in _standard_gates() - _NO_GATES:
        raise UsageError(f"{where}: Qiskit has no standard gate of that name")
    if not all(_is_index(q) for q in qubits) or len(set(qubits)) != len(qubits) or not qubits:
        raise UsageError(f"{where}: qubits are different whole numbers from 0 on")
    if missing := [q for q in qubits if q >= count]:
        raise UsageError(f"{where}: there is no qubit {missing[0]}, as the device has {count}")
    _check_number(gate["error"], f"{where}: error", least=0.0, most=1.0)
    _check_number(gate["duration"], f"{where}: duration", least=0.0)


def _check_keys(value: Any, keys: set[str], where: str) -> None:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} is an object with {', '.join(sorted(keys))}, not {value!r:.40}")
    if unknown := sorted(value.keys() - keys):
        raise UsageError(f"{where} has the unknown entry {unknown[0]!r}: {_names(keys)} are known")
    if missing := sorted(keys - value.keys()):
        raise UsageError(f"{where} lacks the entry {missing[0]!r}: write null if it is not known")


def _check_number(
    value: Any,
    where: str,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    optional: bool = True,
) -> None:
    if value is None and optional:
        return
    number = isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
    if (
        not number
        or (above is not None and value <= above)
        or (least is not None and value < least)
        or (most is not None and value > most)
    ):
        low = f"above {above:g}" if above is not None else f"from {least:g} on"
        kind = f"a number from {least:g} to {most:g}" if most is not None else f"a number {low}"
        raise UsageError(f"{where} is {kind}{' or null' if optional else ''}, not {value!r}")


def _list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise UsageError(f"{where} is a list, not {value!r:.40}")
    return value


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _names(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys))


def finite(number: float | None) -> float | None:
    """The number, None where it is not known."""
    return float(number) if number is not None and isfinite(number) else None


def _standard_gates() -> set[str]:
    from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

    return set(get_standard_gate_name_mapping())


def subset(calibration: Mapping[str, Any], qubits: Sequence[int]) -> dict[str, Any]:
    """The calibration of some of the qubits, renumbered by their place in `qubits`."""
    place = {qubit: k for k, qubit in enumerate(qubits)}
    coords = calibration["coords"]
    return {
        **calibration,
        "name": f"{calibration['name']}[{','.join(map(str, qubits))}]",
        "num_qubits": len(qubits),
        "simulated": True,
        "coords": coords and [coords[q] for q in qubits],
        "qubits": [calibration["qubits"][q] for q in qubits],
        "gates": [
            {**gate, "qubits": [place[q] for q in gate["qubits"]]}
            for gate in calibration["gates"]
            if place.keys() >= set(gate["qubits"])
        ],
    }
