"""Clifford circuits in stim's terms, with Pauli noise, measurements and feed-forward."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np

from qsim.circuit import Circuit, Operation
from qsim.clifford_noise import HasTransferMatrix, append_channel
from qsim.dynamic.instructions import RESET, Control, Measure
from qsim.engines.density import ReadoutErrors
from qsim.errors import UsageError, need
from qsim.gates import Gate, fill
from qsim.instructions import Instruction
from qsim.parameters import Angle

if TYPE_CHECKING:
    from qsim.noise.model import NoiseModel

_TO = 1e-6  # what rounding leaves of a Clifford gate's matrix, or of a multiple of pi/2
_DENSE = 5  # qubits up to which a gate is told by its matrix

_Step = tuple[str, tuple[int, ...]]
Number = Callable[[Angle], float]


def stim_module() -> Any:
    """The package, or the sentence that it is missing."""
    return need("stim", extra="stim", purpose="running Clifford circuits")


@dataclass(frozen=True)
class StimCircuit:
    """A circuit of stim's that grows, and what its measurement records mean.

    Attributes:
        noise: what happens besides, or None.
        circuit: stim's circuit.
        clbits: the number of the record that each classical bit holds.
        uneven: probabilities (p01, p10) to misread a record, where they differ: stim has one.
    """

    noise: NoiseModel | None
    circuit: Any = field(default_factory=lambda: stim_module().Circuit())
    clbits: dict[int, int] = field(default_factory=dict)
    uneven: dict[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def errors(self) -> ReadoutErrors:
        """Readout errors by qubit."""
        return {} if self.noise is None else self.noise.readout_errors

    def measure(self, qubits: Iterable[int]) -> None:
        """Measure qubits, one record each, with their readout errors."""
        for qubit in qubits:
            p01, p10 = self.errors.get(qubit, (0.0, 0.0))
            if p01 != p10:
                self.uneven[self.circuit.num_measurements] = (p01, p10)
            self.circuit.append("M", [qubit], p01 if p01 == p10 else 0.0)

    def records(self, shots: int, seed: int, last: Sequence[int] = ()) -> np.ndarray:
        """What is recorded: bool [shots, records].

        Args:
            shots: how often it is run.
            seed: what is drawn with.
            last: qubits that are measured at the end besides.
        """
        whole = replace(self, circuit=self.circuit.copy(), uneven=dict(self.uneven))
        whole.measure(last)
        found: np.ndarray = whole.circuit.compile_sampler(seed=seed).sample(shots)
        drawn = np.random.default_rng(seed)
        for record, (p01, p10) in whole.uneven.items():
            wrong = np.where(found[:, record], p10, p01)
            found[:, record] ^= drawn.random(shots) < wrong
        return found

    def measured(self, qubits: Sequence[int], shots: int, seed: int) -> np.ndarray:
        """Bits of qubits as they are measured at the end: bool [shots, qubits]."""
        return self.records(shots, seed, qubits)[:, self.circuit.num_measurements :]

    def held(self, num_clbits: int, shots: int, seed: int) -> np.ndarray:
        """What the classical bits hold at the end: bool [shots, num_clbits]."""
        records = self.records(shots, seed)
        found = np.zeros((shots, num_clbits), dtype=bool)
        for bit, record in self.clbits.items():
            found[:, bit] = records[:, record]
        return found

    # --- Building ---------------------------------------------------------------------------------

    def append(self, circuit: Circuit, number: Number) -> None:
        """Append a circuit with its noise, and numbers for its angles.

        Raises:
            UsageError: for what stim does not run, with its position.
        """
        own = circuit.operations
        position = 0
        for operation in self._noisy(circuit).operations:
            is_own = position < len(own) and operation is own[position]
            gate, qubits, params = operation
            values = tuple([number(p) for p in params])
            if isinstance(gate, Control):
                self._append_control(gate, qubits, number)
            elif not self._append(gate, qubits, values):
                raise _refusal(Operation(gate, qubits, values), position if is_own else None)
            position += is_own

    def _noisy(self, circuit: Circuit) -> Circuit:
        return circuit if self.noise is None else self.noise.applied(circuit)

    def _append(
        self, acting: Gate | Instruction, qubits: Sequence[int], values: tuple[float, ...]
    ) -> bool:
        """Whether it could be appended."""
        if isinstance(acting, Gate):
            return append_gate(self.circuit, acting, qubits, values)
        if isinstance(acting, Measure):
            self.clbits[acting.clbit] = self.circuit.num_measurements
            self.measure(qubits)
            return True
        if acting == RESET:
            self.circuit.append("R", qubits)
            return True
        return isinstance(acting, HasTransferMatrix) and append_channel(
            self.circuit, acting.ptm(), qubits
        )

    def _append_control(self, control: Control, qubits: Sequence[int], number: Number) -> None:
        """Pauli gates that one classical bit decides on."""
        if control.name == "while_loop" or len(control.reads) > 1:
            raise UsageError(
                f"engine='stim' lets one classical bit decide on Pauli gates, which {control} does "
                "not fit: use engine='auto'"
            )
        record = self.clbits[control.reads[0]]
        if record in self.uneven:
            raise UsageError(
                f"{control} reads a bit whose readout errors {self.uneven[record]} differ, and "
                "engine='stim' knows equal ones there: use engine='auto'"
            )
        stim = stim_module()
        zero, one = (self._pauli(control, body, qubits, number) for body in control.table())
        target = stim.target_rec(record - self.circuit.num_measurements)
        for letter, either, qubit in zip(zero, zero * one, qubits, strict=True):
            self.circuit.append("IXYZ"[letter], [qubit])
            if either:
                self.circuit.append("C" + "IXYZ"[either], [target, qubit])

    def _pauli(
        self, control: Control, body: Circuit | None, qubits: Sequence[int], number: Number
    ) -> Any:
        """The Pauli string of stim's, up to its sign, that a body is; qubits as in the body."""
        stim = stim_module()
        if body is None:
            return stim.PauliString(len(qubits))
        placed = Circuit(max(qubits) + 1).compose(body, qubits)
        inner = StimCircuit(None)
        inner.circuit.append("I", range(len(qubits)))
        try:
            if not self._noisy(placed).is_unitary:
                raise ValueError
            inner.append(body, number)
            return stim.Tableau.from_circuit(inner.circuit).to_pauli_string()
        except ValueError:
            raise UsageError(
                f"engine='stim' puts X, Y and Z without noise under a condition, not {control}: "
                "use engine='auto'"
            ) from None


def _refusal(operation: Operation[Gate | Instruction], position: int | None) -> UsageError:
    """The sentence for what stim does not run: of the circuit, or of the noise model."""
    runs = "engine='stim' runs Clifford gates and Pauli channels on one or two qubits"
    if position is None:
        return UsageError(f"the noise model has {operation}, but {runs}: use engine='auto'")
    what = "gate" if isinstance(operation.gate, Gate) else "instruction"
    return UsageError(
        f"{what} {position} of the circuit, {operation}, is not Clifford, and {runs}: use "
        "engine='auto'"
    )


def append_gate(
    converted: Any, gate: Gate, qubits: Sequence[int], angles: tuple[float, ...]
) -> bool:
    """Append a gate in stim's terms, up to a global phase; whether it is Clifford."""
    if gate.name in ("barrier", "globalphase"):
        return True
    if gate.name == "pauli_rotation":
        return _append_rotation(converted, gate, qubits, angles[0])
    if gate.num_qubits <= _DENSE:
        steps = _steps(gate, angles)
        for name, places in steps or ():
            converted.append(name, [qubits[q] for q in places])
        return steps is not None
    if gate.base or gate.decomposition is None:
        return False
    return all(
        append_gate(converted, part, [qubits[q] for q in places], fill(inner, angles))
        for part, places, inner in gate.parts
    )


def _append_rotation(converted: Any, gate: Gate, qubits: Sequence[int], angle: float) -> bool:
    """exp(-i angle P / 2) as a quarter, half or three quarters of a turn about P."""
    assert gate.recipe is not None
    stim = stim_module()
    turns = round(angle / (pi / 2))
    label = gate.recipe[1][0][::-1]
    targets = [stim.target_pauli(q, p) for q, p in zip(qubits, label, strict=True) if p != "I"]
    if abs(angle - turns * pi / 2) > _TO and targets:
        return False
    if turns % 4 and targets:
        product = [t for target in targets for t in (target, stim.target_combiner())][:-1]
        for name in {1: ["SPP"], 2: ["SPP", "SPP"], 3: ["SPP_DAG"]}[turns % 4]:
            converted.append(name, product)
    return True


@lru_cache(maxsize=4096)
def _steps(gate: Gate, angles: tuple[float, ...]) -> tuple[_Step, ...] | None:
    """The gate as stim's gates on its qubits; None if it is not Clifford."""
    stim = stim_module()
    matrix = gate.unitary.at(*angles)
    try:
        tableau = stim.Tableau.from_unitary_matrix(matrix, endian="little")
    except ValueError:
        return None
    found = tableau.to_unitary_matrix(endian="little")  # stim took the nearest Clifford gate
    overlap = np.vdot(found, matrix)
    if np.abs(matrix - found * overlap / abs(overlap)).max() > _TO:
        return None
    return tuple(
        (instruction.name, tuple(t.value for t in instruction.targets_copy()))
        for instruction in tableau.to_circuit()
    )
