"""A circuit that fits a device, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from compile.device import VIRTUAL_GATES, Device
from compile.esp import Esp, estimate_esp
from compile.schedule import Schedule, schedule
from qsim import PauliString, PauliSum
from qsim.errors import UsageError
from qsim.observables import Observable

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from qiskit import QuantumCircuit

    from compile.choice.candidates import Candidate
    from compile.verification import Verification


@dataclass(frozen=True)
class Compiled:
    """A circuit compiled for a device.

    Attributes:
        circuit: gates of the device on physical qubits, without measurements. It does what the
            original circuit does, up to the layouts and a global phase.
        device: what it was compiled for.
        source: the original circuit, without measurements.
        initial_layout: physical qubit of every logical qubit at the start.
        final_layout: physical qubit of every logical qubit at the end, where it is measured.
        num_inputs: number of input features that `run` takes.
        num_weights: weights that are still open.
        features: column of the inputs by name of the parameter that it fills.
        candidates: all ways of compiling it that were weighed, in order; none for effort "fast".
        baseline: Qiskit's level 3 among them, with the seed that was given.
        complete: whether all candidates were weighed; False where the budget ended before, so that
            another run, on a faster computer say, may give another circuit.
        notes: sentences on what was left out, or what else could be gained.
    """

    circuit: QuantumCircuit
    device: Device
    source: QuantumCircuit
    initial_layout: tuple[int, ...]
    final_layout: tuple[int, ...]
    num_inputs: int = 0
    num_weights: int = 0
    features: Mapping[str, int] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    baseline: Candidate | None = None
    complete: bool = True
    notes: tuple[str, ...] = ()

    @property
    def device_name(self) -> str:
        """Name of the device that it was compiled for."""
        return self.device.name

    @property
    def num_qubits(self) -> int:
        """Number of logical qubits."""
        return len(self.final_layout)

    # --- What it costs ----------------------------------------------------------------------------

    @cached_property
    def esp_parts(self) -> Esp:
        """Estimated success by qubit and edge, of gates, readout and waiting."""
        return estimate_esp(self.circuit, self.device, self.final_layout)

    @property
    def esp(self) -> float:
        """Estimated success probability, of gates, readout and waiting."""
        return self.esp_parts.total

    @property
    def gate_esp(self) -> float:
        """Probability that no gate fails."""
        return self.esp_parts.gate

    @property
    def readout_esp(self) -> float:
        """Probability that every logical qubit is read out right."""
        return self.esp_parts.readout

    @property
    def idle_esp(self) -> float:
        """Probability that all qubits survive their waits."""
        return self.esp_parts.idle

    @cached_property
    def schedule(self) -> Schedule:
        """When its gates run."""
        return schedule(self.circuit, self.device, self.final_layout)

    @property
    def one_qubit_gates(self) -> int:
        """Number of one-qubit gates that are played as pulses."""
        return self._gates[0]

    @property
    def virtual_gates(self) -> int:
        """Number of one-qubit gates that are only a change of frame, such as rz."""
        return self._gates[1]

    @property
    def two_qubit_gates(self) -> int:
        return self._gates[2]

    @cached_property
    def _gates(self) -> tuple[int, int, int]:
        counts = [0, 0, 0]
        for instruction in self.circuit.data:
            if instruction.name not in ("delay", "barrier"):
                virtual = instruction.name in VIRTUAL_GATES
                counts[2 if len(instruction.qubits) == 2 else virtual] += 1
        return counts[0], counts[1], counts[2]

    @cached_property
    def depth(self) -> int:
        """Depth in gates, virtual ones included, as Qiskit counts it."""
        return int(self.circuit.depth())

    @property
    def costs(self) -> dict[str, float]:
        """Pulses, two-qubit gates, depth and estimated success by name, for JSON."""
        names = ("one_qubit_gates", "two_qubit_gates", "depth", "esp")
        return {name: getattr(self, name) for name in names}

    # --- What it is run with ----------------------------------------------------------------------

    def measured(self) -> QuantumCircuit:
        """The circuit with logical qubit i measured at the end into bit i of register "c"."""
        from qiskit import ClassicalRegister

        circuit = self.circuit.copy()
        bits = ClassicalRegister(self.num_qubits, "c")
        circuit.add_register(bits)
        circuit.measure(list(self.final_layout), bits)
        return circuit

    def bind(self, inputs: Tensor | np.ndarray) -> QuantumCircuit | list[QuantumCircuit]:
        """The circuit with its inputs filled in.

        Args:
            inputs: [features], or [batch, features] for a list of circuits.

        Raises:
            UsageError: inputs of another shape, or weights that are still open.
        """
        values = np.asarray(inputs, dtype=float)
        if self.num_weights:
            raise UsageError(
                f"the circuit has {self.num_weights} open weights: "
                "bind them by circuit.bind(weights=...) before compiling"
            )
        if values.ndim not in (1, 2) or values.shape[-1] != self.num_inputs:
            raise UsageError(
                f"the circuit takes inputs of shape [{self.num_inputs}] or "
                f"[batch, {self.num_inputs}], not {list(values.shape)}"
            )
        columns = [self.features[p.name] for p in self.circuit.parameters]
        bound = [self.circuit.assign_parameters(row[columns]) for row in np.atleast_2d(values)]
        return bound if values.ndim == 2 else bound[0]

    def map_observable(self, observable: Observable) -> Observable:
        """An observable of the logical qubits as one of all physical qubits."""
        return place_observable(observable, self.final_layout, self.device.num_qubits)

    def unmap_counts(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Counts of the logical qubits from counts of all physical ones; qubit 0 stands last.

        Raises:
            UsageError: bit strings of another length.
        """
        found: dict[str, int] = {}
        for bits, count in counts.items():
            if len(bits) != self.device.num_qubits:
                raise UsageError(
                    f"counts of all {self.device.num_qubits} physical qubits are unmapped, not of "
                    f"{len(bits)}: those of Compiled.measured() are logical already"
                )
            logical = "".join(bits[-1 - qubit] for qubit in reversed(self.final_layout))
            found[logical] = found.get(logical, 0) + count
        return found

    def to_openqasm3(self) -> str:
        """OpenQASM 3 on physical qubits ($0, $1, ...), with the measurements of `measured`."""
        from qiskit import qasm3

        return str(qasm3.dumps(self.measured()))

    # --- Checks, files, drawings ------------------------------------------------------------------

    def verify(self, seed: int = 0) -> Verification:
        """Compare with the original circuit: see `compile.verification.verify`."""
        from compile.verification import verify

        return verify(self, seed)

    def save(self, path: str | Path) -> Path:
        """Write everything, the device's calibration included, as one JSON file."""
        from compile.compiled_files import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Compiled:
        """Read what `save` wrote; the device is a snapshot of the calibration at that time.

        Raises:
            UsageError: the file is missing, damaged or of a newer version.
        """
        from compile.compiled_files import load

        return load(path)

    def plot_layout(self) -> Figure:
        """Map of the device with the qubits in use ringed: see `compile.plots.plot_device`."""
        from compile.plots import plot_device

        return plot_device(self.device, self)

    def plot_error_map(self) -> Figure:
        """Map of the device, coloured by where this circuit loses its success probability."""
        from compile.plots import plot_losses

        return plot_losses(self)

    def plot_timeline(self) -> Figure:
        """Gates over time, one line for each physical qubit in use, and its waits."""
        from compile.timeline import plot_timeline

        return plot_timeline(self)


def place_observable(
    observable: Observable, places: tuple[int, ...], num_qubits: int
) -> Observable:
    """An observable of qubits 0, 1, ... as one of `places` among `num_qubits` qubits."""

    def placed(string: PauliString) -> PauliString:
        letters: Any = string.label[::-1]  # of qubit 0 first
        return PauliString.from_sparse(letters, places, num_qubits)

    if isinstance(observable, PauliSum):
        return PauliSum([placed(s) for s in observable.strings], observable.coefficients)
    if isinstance(observable, PauliString):
        return placed(observable)
    raise UsageError(
        f"an observable is a qsim PauliString or PauliSum, not {observable!r:.60}: Qiskit's "
        "SparsePauliOp is moved by apply_layout(compiled.final_layout, device.num_qubits)"
    )
