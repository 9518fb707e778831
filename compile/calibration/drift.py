"""What changed between two calibrations of a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, log
from typing import Any

from qsim.errors import UsageError

_SHOWN = 10


@dataclass(frozen=True)
class Change:
    """One number that changed, or came or went: then the other one is None.

    Attributes:
        what: "t1", "t2", "readout" or the name of a gate, whose error it is.
        qubits: of which qubits.
        before: seconds or probability in the older calibration.
        after: in the newer one.
    """

    what: str
    qubits: tuple[int, ...]
    before: float | None
    after: float | None

    @property
    def size(self) -> float:
        """By which factor it changed, as |log after / before|."""
        if self.before is None or self.after is None or not self.before or not self.after:
            return inf
        return abs(log(self.after / self.before))

    def __str__(self) -> str:
        where = ", ".join(map(str, self.qubits))
        before, after = ("none" if v is None else f"{v:.3g}" for v in (self.before, self.after))
        return f"{self.what} of {where}: {before} -> {after}"


@dataclass(frozen=True)
class Drift:
    """Changes of a device's calibration, largest factor first.

    Attributes:
        device: its name.
        since: when the older calibration was made, in ISO 8601, if that is known.
        until: when the newer one was made.
        changes: all numbers that differ.
    """

    device: str
    since: str | None
    until: str | None
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        head = f"{self.device}, {self.since or '?'} to {self.until or '?'}: "
        shown = [str(change) for change in self.changes[:_SHOWN]]
        more = len(self.changes) - len(shown)
        lines = [*shown, *([f"and {more} more"] if more else [])]
        return head + ("nothing changed" if not lines else "\n  ".join(["", *lines]))


def drift(older: Mapping[str, Any], newer: Mapping[str, Any]) -> Drift:
    """Compare two calibrations of one device.

    Raises:
        UsageError: if they are of two devices.
    """
    if (older["name"], older["num_qubits"]) != (newer["name"], newer["num_qubits"]):
        raise UsageError(
            f"drift is told between calibrations of one device, but these are of {older['name']} "
            f"and {newer['name']}"
        )
    before, after = _numbers(older), _numbers(newer)
    changes = [
        Change(*key, before.get(key), after.get(key))
        for key in before | after
        if before.get(key) != after.get(key)
    ]
    changes.sort(key=lambda change: -change.size)  # stable: ties stay in the calibration's order
    return Drift(newer["name"], older["calibrated"], newer["calibrated"], tuple(changes))


def _numbers(calibration: Mapping[str, Any]) -> dict[tuple[str, tuple[int, ...]], float | None]:
    found: dict[tuple[str, tuple[int, ...]], float | None] = {}
    for number, qubit in enumerate(calibration["qubits"]):
        found["t1", (number,)] = qubit["t1"]
        found["t2", (number,)] = qubit["t2"]
        found["readout", (number,)] = sum(qubit["readout"]) / 2
    for gate in calibration["gates"]:
        found[gate["gate"], tuple(gate["qubits"])] = gate["error"]
    return found
