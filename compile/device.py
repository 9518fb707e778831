"""A device: its qubits, its couplings and their calibrated errors."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING, Any

from compile.account import real_backend
from compile.esp import DEAD, gate_errors
from compile.fakes import fake_backend, fake_device_names, short_name
from compile.targets import working_part
from qsim import NoiseModel
from qsim.errors import UsageError

if TYPE_CHECKING:
    from qiskit.providers import BackendV2
    from qiskit.transpiler import Target

CALIBRATION_SCHEMA = 1
VIRTUAL_GATES = frozenset({"rz", "u1", "p"})  # changes of the frame: no pulse, no error, no time

Edge = tuple[int, int]


class Device:
    """A quantum device. Qubits are physical, times are in seconds, errors are probabilities.

    Args:
        backend: a Qiskit BackendV2 whose target lists its instructions by qubit.
    """

    def __init__(self, backend: BackendV2) -> None:
        self.backend = backend
        self.name: str = backend.name
        self.num_qubits: int = backend.num_qubits
        self._noise_models: dict[tuple[tuple[int, ...], bool], NoiseModel] = {}

    @classmethod
    def from_name(cls, name: str) -> Device:
        """A snapshot such as "FakeQuitoV2" or "quito", or a real device such as "ibm_torino".

        Raises:
            UsageError: the device is unknown, or real and out of reach.
        """
        if backend := fake_backend(name):
            return cls(backend)
        if name.startswith("ibm_"):
            return cls(real_backend(name))
        known = {short_name(fake): fake for fake in fake_device_names()}
        similar = get_close_matches(short_name(name), known, n=3)
        guess = f"did you mean {' or '.join(known[s] for s in similar)}? " if similar else ""
        raise UsageError(
            f"unknown device {name!r}: {guess}compile.fake_device_names() lists the simulated "
            "devices, and names of real ones begin with ibm_"
        )

    def __repr__(self) -> str:
        return f"Device({self.name!r}, {self.num_qubits} qubits)"

    @property
    def is_simulated(self) -> bool:
        """Whether circuits run on this computer, not at IBM Quantum."""
        from qiskit_ibm_runtime import IBMBackend

        return not isinstance(self.backend, IBMBackend)

    @cached_property
    def target(self) -> Target:
        """What circuits are compiled for: the backend's target without dead gates."""
        return working_part(self.backend.target)

    @cached_property
    def gate_errors(self) -> dict[tuple[str, tuple[int, ...]], float]:
        """Errors by gate name and qubits, dead gates (error 1) included."""
        return gate_errors(self.backend.target)

    @cached_property
    def edges(self) -> list[Edge]:
        """Pairs (a, b), a < b, of qubits that a working two-qubit gate couples in any direction."""
        working = {edge for edge, error in self._edge_errors.items() if error < DEAD}
        kept = {tuple(sorted(qubits)) for qubits in self.target.qargs or () if len(qubits) == 2}
        return sorted(working & kept)

    @property
    def dead_edges(self) -> list[Edge]:
        """Pairs (a, b), a < b, of qubits that are coupled by nothing but dead gates."""
        return sorted(set(self._edge_errors) - set(self.edges))

    @cached_property
    def _edge_errors(self) -> dict[Edge, float]:
        errors: dict[Edge, float] = {}
        for (_, qubits), error in self.gate_errors.items():
            if len(qubits) == 2:
                edge = (min(qubits), max(qubits))
                errors[edge] = min(error, errors.get(edge, DEAD))
        return errors

    def two_qubit_error(self, a: int, b: int) -> float:
        """Error of the best two-qubit gate between two qubits, 1.0 where it is dead."""
        self._check_qubit(a)
        self._check_qubit(b)
        error = self._edge_errors.get((min(a, b), max(a, b)))
        if error is None:
            coupled = [q for edge in self.edges for q in edge if a in edge and q != a]
            raise UsageError(
                f"{self.name} has no coupling between qubits {a} and {b}: "
                f"qubit {a} is coupled to {', '.join(map(str, coupled)) or 'none'}"
            )
        return error

    def one_qubit_error(self, qubit: int) -> float:
        """Error of one pulse on a qubit: of its best one-qubit gate that is not virtual."""
        self._check_qubit(qubit)
        return min(
            (
                error
                for (name, qubits), error in self.gate_errors.items()
                if qubits == (qubit,) and name not in VIRTUAL_GATES and name not in {"id", "reset"}
            ),
            default=0.0,
        )

    def readout_error(self, qubit: int) -> float:
        """Probability to read the wrong bit, the mean over 0 and 1; 0.0 where it is not given."""
        self._check_qubit(qubit)
        properties = self.backend.target["measure"].get((qubit,))
        return float((properties and properties.error) or 0.0)

    def t1(self, qubit: int) -> float | None:
        """Relaxation time in seconds, None where it is not given."""
        return self._coherence(qubit, "t1")

    def t2(self, qubit: int) -> float | None:
        """Dephasing time in seconds, None where it is not given."""
        return self._coherence(qubit, "t2")

    def _coherence(self, qubit: int, name: str) -> float | None:
        self._check_qubit(qubit)
        properties = self.backend.target.qubit_properties
        return _finite(getattr(properties[qubit], name, None)) if properties else None

    def _check_qubit(self, qubit: int) -> None:
        if not 0 <= qubit < self.num_qubits:
            raise UsageError(
                f"{self.name} has physical qubits 0 to {self.num_qubits - 1}, not {qubit}"
            )

    def noise_model(self, qubits: Iterable[int] | None = None, *, idle: bool = False) -> NoiseModel:
        """The noise of some qubits, all by default, as qsim takes it.

        Args:
            qubits: physical qubits, which become qubits 0, 1, ... of the model.
            idle: whether qubits relax while they wait, too, as they do on a real device.

        Raises:
            UsageError: for qubits that the device does not have.
        """
        chosen = tuple(range(self.num_qubits)) if qubits is None else tuple(qubits)
        if (chosen, idle) not in self._noise_models:
            model = NoiseModel.from_backend(self.backend, chosen, idle=idle)
            self._noise_models[chosen, idle] = model
        return self._noise_models[chosen, idle]

    def calibration(self) -> dict[str, Any]:
        """Everything the calibration says about qubits and gates, JSON-able; times in seconds."""
        target = self.backend.target
        snapshot = getattr(self.backend, "properties", lambda: None)()
        return {
            "schema": CALIBRATION_SCHEMA,
            "name": self.name,
            "num_qubits": self.num_qubits,
            "simulated": self.is_simulated,
            "calibrated": snapshot.last_update_date.isoformat() if snapshot else None,
            "qubits": [
                {"t1": self.t1(q), "t2": self.t2(q), "readout_error": self.readout_error(q)}
                for q in range(self.num_qubits)
            ],
            "gates": [
                {
                    "gate": name,
                    "qubits": list(qubits),
                    "error": _finite(properties.error),
                    "duration": _finite(properties.duration),
                }
                for name in sorted(target.operation_names)
                for qubits, properties in target[name].items()
                if qubits and properties
            ],
        }


def _finite(number: float | None) -> float | None:
    return float(number) if number is not None and isfinite(number) else None
