"""A compiled circuit as a graph: its gates, with what the device's calibration says about them."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from compile import Compiled, Device
from compile.device import VIRTUAL_GATES
from qsim.errors import UsageError

KINDS = ("input", "output", "virtual", "flip", "pulse", "two-qubit")
"""What a node is: a qubit at its start, a reading, or a gate: a change of frame, X, any other gate
on one qubit, a gate on two."""
NUM_NEIGHBOURS = 4
ERROR = len(KINDS)
"""Column of the error of a gate, or of reading 1 for |0>."""
PULSES = ERROR + 6
"""Columns of how many pulses lead to a gate on both its qubits. The rest of the circuit is undone
by its inverse, so what came before decides how much an error matters: before the first pulse qubits
are in |0> or |1>, and phases do not."""
LEVEL = PULSES + 2
NUM_FEATURES = LEVEL + 1
NUM_COLUMNS = NUM_FEATURES + NUM_NEIGHBOURS

_KIND_OF = {"x": "flip", **dict.fromkeys(VIRTUAL_GATES, "virtual")}
_SKIPPED = frozenset({"barrier", "delay"})
_Qubits = tuple[int, ...]


class _Decay(NamedTuple):
    """How far a qubit relaxes and dephases during a gate: its duration over T1 and T2."""

    t1: float
    t2: float


class _Calibration:
    """What the nodes of a device's circuits take from its calibration, looked up once."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._readout: dict[int, tuple[float, float]] = {}

    def error(self, name: str, qubits: _Qubits) -> float:
        """Raises UsageError if the device has no such gate there."""
        found = self.device.gate_errors.get((name, qubits))
        if found is None:
            raise UsageError(
                f"{self.device.name} has no gate {name} on physical qubits {qubits}: "
                "compile the circuit for this device before predicting its success"
            )
        return found

    def decays(self, name: str, qubits: _Qubits) -> list[_Decay]:
        seconds = self._durations.get((name, qubits), 0.0)
        return [_Decay(seconds * rate.t1, seconds * rate.t2) for rate in map(self._rate, qubits)]

    def readout(self, qubit: int) -> tuple[float, float]:
        """Probabilities to read 1 for |0>, and 0 for |1>."""
        if qubit not in self._readout:
            known = self.device.noise_model([qubit]).readout_errors
            self._readout[qubit] = known.get(0, (0.0, 0.0))
        return self._readout[qubit]

    def _rate(self, qubit: int) -> _Decay:
        t1, t2 = self.device.t1(qubit), self.device.t2(qubit)
        return _Decay(1 / t1 if t1 else 0.0, 1 / t2 if t2 else 0.0)

    @cached_property
    def _durations(self) -> dict[tuple[str, _Qubits], float]:
        target = self.device.backend.target
        return {
            (name, qubits): properties.duration
            for name in target.operation_names
            for qubits, properties in target[name].items()
            if qubits and properties and properties.duration
        }


_calibration = lru_cache(maxsize=16)(_Calibration)


def circuit_graph(compiled: Compiled, device: Device) -> Tensor:
    """The directed acyclic graph of a compiled circuit, a node a row.

    A qubit in use has a node where it starts, and one more where it is read if it carries a logical
    qubit; every gate is a node. Angles do not matter: weights and inputs may be open. Columns are
    the kind (one of `KINDS`), the error, the duration over T1 and T2 of both qubits, the
    probability to read 0 for |1>, the pulses that lead to both qubits, the level in the graph, and
    the nodes before and after it on its first and its second qubit, -1 where there is none.

    Returns:
        float32 [nodes, NUM_COLUMNS].

    Raises:
        UsageError: for a circuit that was compiled for another device.
    """
    if compiled.device_name != device.name:
        raise UsageError(
            f"the circuit was compiled for {compiled.device_name}, so the errors of {device.name} "
            "do not fit: compile it for that device"
        )
    build = _Builder(_calibration(device))
    index = {qubit: i for i, qubit in enumerate(compiled.circuit.qubits)}
    for step in compiled.circuit.data:
        if step.name not in _SKIPPED:
            build.gate(step.name, tuple([index[qubit] for qubit in step.qubits]))
    for qubit in compiled.final_layout:
        build.output(qubit)
    return torch.tensor(build.rows, dtype=torch.float32)


class _Builder:
    def __init__(self, calibration: _Calibration) -> None:
        self.rows: list[list[float]] = []
        self._calibration = calibration
        self._last: dict[int, tuple[int, int]] = {}  # node, and which of its qubits it is
        self._pulses: dict[int, float] = {}

    def gate(self, name: str, qubits: _Qubits) -> None:
        kind = "two-qubit" if len(qubits) == 2 else _KIND_OF.get(name, "pulse")
        error = self._calibration.error(name, qubits)
        self._add(kind, qubits, error, self._calibration.decays(name, qubits))

    def output(self, qubit: int) -> None:
        wrong_one, wrong_zero = self._calibration.readout(qubit)
        self._add("output", (qubit,), wrong_one, [], wrong_zero)

    def _add(
        self,
        kind: str,
        qubits: _Qubits,
        error: float = 0.0,
        decays: list[_Decay] | None = None,
        wrong_zero: float = 0.0,
    ) -> None:
        """A node after those that were the last on its qubits."""
        row = [0.0] * NUM_FEATURES + [-1.0] * NUM_NEIGHBOURS
        row[KINDS.index(kind)] = 1.0
        row[ERROR] = error
        for place, decay in enumerate(decays or []):
            row[ERROR + 1 + 2 * place : ERROR + 3 + 2 * place] = decay
        row[ERROR + 5] = wrong_zero
        for place, qubit in enumerate(qubits):
            if kind != "input":
                if qubit not in self._last:
                    self._add("input", (qubit,))
                before, _ = self._last[qubit]
                row[NUM_FEATURES + 2 * place] = before
                row[LEVEL] = max(row[LEVEL], self.rows[before][LEVEL] + 1)
                row[PULSES + place] = self._pulses.get(qubit, 0)
        pulses = max(row[PULSES : PULSES + 2]) + (kind == "pulse")
        self._pulses.update((qubit, pulses) for qubit in qubits)
        node = len(self.rows)
        for place, qubit in enumerate(qubits):
            if qubit in self._last:
                before, at = self._last[qubit]
                self.rows[before][NUM_FEATURES + 2 * at + 1] = node
            self._last[qubit] = (node, place)
        self.rows.append(row)
