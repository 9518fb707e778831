"""A device: its qubits, its couplings and their calibrated errors."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compile.account import real_backend
from compile.calibration import schema
from compile.calibration.drift import Drift, drift
from compile.calibration.fakes import fake_backend, fake_device_names, short_name
from compile.calibration.targets import DEAD, GateFacts, cut, gate_facts, working_part
from qsim import NoiseModel
from qsim.errors import UsageError, need
from qsim.noise.devices import readout_errors

if TYPE_CHECKING:
    from qiskit.providers import BackendV2
    from qiskit.transpiler import Target
    from qiskit_aer.noise import NoiseModel as AerNoiseModel

VIRTUAL_GATES = frozenset({"rz", "u1", "p"})  # changes of the frame: no pulse, no error, no time
FRACTIONAL_GATES = ("rx", "rzz")  # pulses of any angle

Edge = tuple[int, int]
_SHOWN = 8  # qubits or couplings in a remark


class CalibrationWarning(UserWarning):
    """A calibration says what cannot be, or lacks numbers: how they were understood."""


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
        self._reported = False

    @classmethod
    def from_name(cls, name: str) -> Device:
        """A snapshot such as "FakeQuitoV2" or "quito", or a real device such as "ibm_torino".

        Raises:
            UsageError: the device is unknown, or real and out of reach.
        """
        if name.startswith("ibm_"):
            return cls(real_backend(name))
        return cls.from_fake(name)

    @classmethod
    def from_fake(cls, name: str) -> Device:
        """A snapshot that comes with qiskit-ibm-runtime: "FakeQuitoV2", "fake_quito" or "quito".

        Raises:
            UsageError: there is no such snapshot.
        """
        if backend := fake_backend(name):
            return cls(backend)
        known = {short_name(fake): fake for fake in fake_device_names()}
        similar = get_close_matches(short_name(name), known, n=3)
        guess = f"did you mean {' or '.join(known[s] for s in similar)}? " if similar else ""
        raise UsageError(
            f"unknown device {name!r}: {guess}compile.fake_device_names() lists the simulated "
            "devices, and names of real ones begin with ibm_"
        )

    @classmethod
    def from_backend(cls, backend: BackendV2) -> Device:
        """Any Qiskit BackendV2.

        Raises:
            UsageError: for another object.
        """
        if not hasattr(getattr(backend, "target", None), "operation_names"):
            raise UsageError(f"a device is made from a Qiskit BackendV2, not from {backend!r:.60}")
        return cls(backend)

    @classmethod
    def from_calibration(cls, calibration: Mapping[str, Any]) -> Device:
        """A device with the numbers of `Device.calibration`, edited perhaps; it is simulated.

        Raises:
            UsageError: for a calibration that is of a newer version, incomplete or impossible.
        """
        schema.check(calibration)
        need("qiskit", extra="ibm", purpose="describing a device")
        from compile.calibration.snapshot import SnapshotBackend

        return cls(SnapshotBackend(calibration))

    @classmethod
    def load(cls, path: str | Path) -> Device:
        """Read what `save` wrote; the device is simulated, whatever it was.

        Raises:
            UsageError: the file is missing or damaged, or as for `from_calibration`.
        """
        return cls.from_calibration(schema.load(path))

    def save(self, path: str | Path) -> Path:
        """Write the calibration as JSON; `compile.calibration.schema` tells its entries."""
        return schema.save(self, path)

    def calibration(self) -> dict[str, Any]:
        """What the calibration says about qubits and gates, for JSON: see `schema`."""
        return schema.describe(self)

    def subset(self, qubits: Iterable[int]) -> Device:
        """A simulated device of some of the qubits, which become its qubits 0, 1, ...

        Raises:
            UsageError: for qubits that the device does not have, or that are named twice.
        """
        chosen = [int(q) for q in qubits]
        for qubit in chosen:
            self._check_qubit(qubit)
        if len(set(chosen)) != len(chosen) or not chosen:
            raise UsageError(f"a part of a device has different qubits, not {chosen}")
        return Device.from_calibration(schema.subset(self.calibration(), chosen))

    def diff(self, older: Device) -> Drift:
        """What changed since an older calibration of the same device.

        Raises:
            UsageError: if the other one is another device.
        """
        return drift(older.calibration(), self.calibration())

    def refresh(self) -> Device:
        """The same device with the calibration of now.

        Raises:
            UsageError: a snapshot, which does not change, or a device out of reach.
        """
        if self.is_simulated:
            raise UsageError(
                f"{self.name} is a snapshot, so it does not change: take a real device by "
                "Device.from_name('ibm_...')"
            )
        return Device(real_backend(self.name))

    def __repr__(self) -> str:
        return f"Device({self.name!r}, {self.num_qubits} qubits)"

    @property
    def is_simulated(self) -> bool:
        """Whether circuits run on this computer, not at IBM Quantum."""
        from qiskit_ibm_runtime import IBMBackend

        return not isinstance(self.backend, IBMBackend)

    @property
    def calibrated(self) -> str | None:
        """When the device was calibrated, in ISO 8601; None where that is not known."""
        snapshot = getattr(self.backend, "properties", lambda: None)()
        return snapshot.last_update_date.isoformat() if snapshot else None

    @property
    def coords(self) -> list[list[float]] | None:
        """[row, column] of each qubit on the chip, where that is known."""
        configuration = getattr(self.backend, "configuration", lambda: None)()
        given = getattr(configuration or self.backend, "coords", None)
        if given is None or len(given) != self.num_qubits:
            return None
        return [list(place) for place in given]

    @cached_property
    def target(self) -> Target:
        """What circuits are compiled for: the backend's target without dead gates."""
        self._report()
        return self._working

    @cached_property
    def _working(self) -> Target:
        return working_part(self.backend.target)

    @cached_property
    def gate_facts(self) -> dict[tuple[str, tuple[int, ...]], GateFacts]:
        """Errors and seconds by gate name and qubits, dead gates (error 1) included."""
        return gate_facts(self.backend.target)

    @cached_property
    def gate_errors(self) -> dict[tuple[str, tuple[int, ...]], float]:
        """Errors by gate name and qubits, dead gates (error 1) included."""
        return {gate: facts.error for gate, facts in self.gate_facts.items()}

    @property
    def supports_dynamic_circuits(self) -> bool:
        """Whether gates may depend on what was measured before."""
        return "if_else" in self.backend.target.operation_names

    @property
    def fractional_gates(self) -> tuple[str, ...]:
        """Names of its gates that are pulses of any angle, such as rzz."""
        return tuple(n for n in FRACTIONAL_GATES if n in self.backend.target.operation_names)

    @cached_property
    def edges(self) -> list[Edge]:
        """Pairs (a, b), a < b, of qubits that a working two-qubit gate couples in any direction."""
        working = {edge for edge, error in self._edge_errors.items() if error < DEAD}
        kept = {tuple(sorted(qubits)) for qubits in self._working.qargs or () if len(qubits) == 2}
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
        return self._pulse_errors.get(qubit, 0.0)

    @cached_property
    def _pulse_errors(self) -> dict[int, float]:
        errors: dict[int, float] = {}
        for (name, qubits), error in self.gate_errors.items():
            if len(qubits) == 1 and name not in VIRTUAL_GATES | {"id", "reset"}:
                errors[qubits[0]] = min(error, errors.get(qubits[0], DEAD))
        return errors

    @cached_property
    def offline_qubits(self) -> list[int]:
        """Qubits on which a one-qubit gate is dead, or that have none."""
        dead = {q[0] for (_, q), error in self.gate_errors.items() if len(q) == 1 and error >= DEAD}
        known = {q[0] for _, q in self.gate_facts if len(q) == 1}
        return sorted(dead | (set(range(self.num_qubits)) - known))

    def readout_error(self, qubit: int) -> float:
        """Probability to read the wrong bit, the mean over 0 and 1; 0.0 where it is not given."""
        self._check_qubit(qubit)
        properties = self.backend.target["measure"].get((qubit,))
        return float((properties and properties.error) or 0.0)

    def readout_errors(self, qubit: int) -> tuple[float, float]:
        """Probabilities to read 1 for |0>, and 0 for |1>."""
        self._check_qubit(qubit)
        return self._readout_errors.get(qubit, (0.0, 0.0))

    @cached_property
    def _readout_errors(self) -> dict[int, tuple[float, float]]:
        known = readout_errors(self.backend, range(self.num_qubits))
        return {error.qubit: (error.p01, error.p10) for error in known}

    def t1(self, qubit: int) -> float | None:
        """Relaxation time in seconds, None where it is not given."""
        return self._coherence(qubit, "t1")

    def t2(self, qubit: int) -> float | None:
        """Dephasing time in seconds, at most 2 T1; None where it is not given."""
        t1, t2 = self._coherence(qubit, "t1"), self._coherence(qubit, "t2")
        return t2 if t1 is None or t2 is None else min(t2, 2 * t1)

    @cached_property
    def decay(self) -> list[tuple[float, float]]:
        """Rates 1/T1 and 1/T2 of every qubit, in 1/s; 0 where they are not given.

        T2 is 2 T1 at most, also where only T1 is given.
        """
        found = []
        for qubit in range(self.num_qubits):
            t1, t2 = self.t1(qubit), self.t2(qubit)
            rate1 = 1 / t1 if t1 else 0.0
            found.append((rate1, 1 / t2 if t2 else rate1 / 2))
        return found

    def _coherence(self, qubit: int, name: str) -> float | None:
        self._check_qubit(qubit)
        properties = self.backend.target.qubit_properties
        return schema.finite(getattr(properties[qubit], name, None)) if properties else None

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What of the calibration is broken, missing or impossible, and how it is understood."""
        qubits = range(self.num_qubits)
        capped = [q for q in qubits if self.t2(q) != self._coherence(q, "t2")]
        unknown = [q for q in qubits if self.t1(q) is None or self.t2(q) is None]
        offline = self.offline_qubits
        silent = [q for q in unknown if q not in offline] if len(unknown) < len(qubits) else []
        pairs = [f"{a}-{b}" for a, b in self.dead_edges if {a, b}.isdisjoint(offline)]
        return tuple(
            f"{what} {_some(places)} {how}"
            for what, places, how in (
                ("qubits", offline, "are offline: nothing is placed there"),
                ("couplings", pairs, "are dead: nothing is routed there"),
                ("qubits", capped, "have T2 above 2 T1: it counts as 2 T1"),
                ("qubits", silent, "lack T1 or T2: it counts as infinite"),
            )
            if places
        )

    def _report(self) -> None:
        """Warn of the remarks, once."""
        if self.remarks and not self._reported:
            self._reported = True
            text = f"calibration of {self.name}: {'; '.join(self.remarks)}"
            warnings.warn(text, CalibrationWarning, stacklevel=2)

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
        self._report()
        chosen = tuple(range(self.num_qubits)) if qubits is None else tuple(qubits)
        if (chosen, idle) not in self._noise_models:
            model = NoiseModel.from_backend(self.backend, chosen, idle=idle)
            self._noise_models[chosen, idle] = model
        return self._noise_models[chosen, idle]

    def aer_noise_model(
        self, qubits: Iterable[int] | None = None, gates: Container[str] | None = None
    ) -> AerNoiseModel:
        """The same noise as Aer takes it, of gates, readout in both directions and delays.

        Aer lets qubits relax in delays alone: `compile.schedule.with_delays` puts them where the
        qubits of a compiled circuit wait.

        Args:
            qubits: physical qubits, which become qubits 0, 1, ... of the model; all by default,
                which takes seconds for large devices.
            gates: names of those whose errors are wanted; all by default.

        Raises:
            UsageError: for qubits that the device does not have.
        """
        self._report()
        chosen = list(range(self.num_qubits) if qubits is None else qubits)
        for qubit in chosen:
            self._check_qubit(qubit)
        aer = need("qiskit_aer", extra="ibm", purpose="simulating a device")
        noise = need("qiskit_aer.noise", extra="ibm", purpose="simulating a device")
        target = cut(self.backend.target, chosen, lambda name, _: gates is None or name in gates)
        backend = aer.AerSimulator(target=target)
        model = noise.NoiseModel.from_backend(backend, readout_error=False)
        for k, qubit in enumerate(chosen):
            p01, p10 = self.readout_errors(qubit)
            model.add_readout_error([[1 - p01, p01], [p10, 1 - p10]], [k])
        return model


def _some(places: Sequence[object]) -> str:
    """The first of them, and how many more."""
    shown = ", ".join(map(str, places[:_SHOWN]))
    return shown if len(places) <= _SHOWN else f"{shown} and {len(places) - _SHOWN} more"
