"""A Qiskit backend made of a calibration. Imports Qiskit, so import it where it is used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from qiskit.circuit import ForLoopOp, IfElseOp, Measure, SwitchCaseOp, WhileLoopOp
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import InstructionProperties, QubitProperties, Target

from qsim.errors import UsageError

_CONTROL_FLOW = {
    "for_loop": ForLoopOp,
    "if_else": IfElseOp,
    "switch_case": SwitchCaseOp,
    "while_loop": WhileLoopOp,
}


class SnapshotBackend(BackendV2):
    """What a calibration says, as a BackendV2; it runs nothing itself.

    Args:
        calibration: checked, as `compile.calibration.schema` describes it.
    """

    def __init__(self, calibration: Mapping[str, Any]) -> None:
        super().__init__(name=calibration["name"])
        self.calibrated: str | None = calibration["calibrated"]
        self.coords = calibration["coords"]
        self._readout = [qubit["readout"] for qubit in calibration["qubits"]]
        self._target = _target(calibration)

    @property
    def target(self) -> Target:
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def properties(self) -> SimpleNamespace:
        """Errors of readout in both directions and the time of calibration, as IBM's have them."""
        date = self.calibrated and datetime.fromisoformat(self.calibrated)
        return SimpleNamespace(qubit_property=self._qubit_property, last_update_date=date)

    def _qubit_property(self, qubit: int) -> dict[str, tuple[float, None]]:
        p01, p10 = self._readout[qubit]
        return {"prob_meas1_prep0": (p01, None), "prob_meas0_prep1": (p10, None)}

    def run(self, *_: Any, **__: Any) -> Any:
        raise UsageError(f"{self.name} is a calibration alone: compile.run simulates it")


def _target(calibration: Mapping[str, Any]) -> Target:
    qubits = calibration["qubits"]
    target = Target(
        num_qubits=len(qubits),
        dt=calibration["dt"],
        qubit_properties=[QubitProperties(t1=q["t1"], t2=q["t2"]) for q in qubits],
    )
    standard = get_standard_gate_name_mapping()
    by_gate: dict[str, dict[tuple[int, ...], InstructionProperties]] = {}
    for gate in calibration["gates"]:
        properties = InstructionProperties(gate["duration"], gate["error"])
        by_gate.setdefault(gate["gate"], {})[tuple(gate["qubits"])] = properties
    bounds = calibration["angle_bounds"]
    for name, known in by_gate.items():
        limits = {"angle_bounds": [tuple(bounds[name])]} if name in bounds else {}
        target.add_instruction(standard[name], known, name=name, **limits)
    target.add_instruction(
        Measure(),
        {
            (k,): InstructionProperties(q["readout_seconds"], sum(q["readout"]) / 2)
            for k, q in enumerate(qubits)
        },
    )
    target.add_instruction(standard["delay"], {(k,): None for k in range(len(qubits))})
    for name in calibration["control_flow"]:
        target.add_instruction(_CONTROL_FLOW[name], name=name)
    return target
