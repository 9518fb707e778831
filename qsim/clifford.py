"""Clifford circuits on up to thousands of qubits, run by stim: engine="stim".

Stabilizer states (Gottesman, arXiv:quant-ph/9807006; Gidney, arXiv:2103.02202) have no amplitudes
here, but exact expectation values of Pauli strings, and shots. A gate is Clifford by its matrix,
whatever its name: rotations by multiples of pi/2 are. Pauli channels take part: each multiplies a
Pauli string, carried back to where it stands, by a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from qsim.bound import bound
from qsim.circuit import Circuit, Operation
from qsim.clifford_noise import HasTransferMatrix, append_channel, damping
from qsim.errors import UsageError, need
from qsim.gates import Gate, fill
from qsim.observables import Observables, check_observables, check_qubits
from qsim.results import combine, layout
from qsim.sampling import Generator, check_generator, check_shots
from qsim.strings import Setting

if TYPE_CHECKING:
    from qsim.prepare import Options

_TO = 1e-6  # what rounding leaves of a Clifford gate's matrix, or of a multiple of pi/2
_DENSE = 5  # qubits up to which a gate is told by its matrix
_WIDEST = 62  # qubits whose bits an int64 holds

_Step = tuple[str, tuple[int, ...]]


class Stabilizers:
    """Stabilizer states, one for each sample, and what can be asked of them.

    Comes from `qsim.run(circuit, engine="stim")`; results as those of `qsim.State`.
    """

    def __init__(
        self, circuits: Sequence[Any], num_qubits: int, batched: bool, dtype: torch.dtype
    ) -> None:
        self._circuits = circuits
        self._batched = batched
        self._dtype = dtype
        self.num_qubits = num_qubits

    def expval(
        self,
        observables: Observables = None,
        *,
        shots: int | None = None,
        generator: Generator = None,
    ) -> Tensor:
        """Expectation values as for `State.expval`, without gradients: real [batch, observables].

        Raises:
            UsageError: for observables of another size, and wrong shots or generators.
        """
        checked = check_observables(observables, self.num_qubits)
        strings = layout(checked).strings
        if shots is None:
            values = [
                self._exact(circuit, [s.label for s in strings]) for circuit in self._circuits
            ]
        else:
            number = check_shots(shots, len(self._circuits) * max(1, len(strings.settings)))
            values = [
                self._estimated(circuit, strings.settings, len(strings), number, seed)
                for circuit, seed in zip(self._circuits, self._seeds(generator), strict=True)
            ]
        found = combine(torch.tensor(np.stack(values)), checked).to(self._dtype)
        return found if self._batched else found[0]

    def _exact(self, circuit: Any, labels: Sequence[str]) -> np.ndarray:
        stim = _stim()
        simulator = stim.TableauSimulator()
        simulator.set_num_qubits(self.num_qubits)
        simulator.do_circuit(circuit.without_noise())
        strings = [stim.PauliString(label[::-1]) for label in labels]
        values = [simulator.peek_observable_expectation(string) for string in strings]
        return np.array(values) * damping(circuit, strings)

    def _estimated(
        self, circuit: Any, settings: Sequence[Setting], count: int, shots: int, seed: int
    ) -> np.ndarray:
        found = np.ones(count)
        for k, setting in enumerate(settings):
            turned = circuit.copy()
            for qubit, letter in enumerate(reversed(setting.basis)):
                if letter in "XY":
                    turned.append("H" if letter == "X" else "H_YZ", [qubit])
            bits = _measured(turned, range(self.num_qubits), shots, seed + k)
            for place, support in zip(setting.indices.tolist(), setting.supports, strict=True):
                own = [q for q in range(self.num_qubits) if support >> q & 1]
                found[place] = 1 - 2 * (bits[:, own].sum(1) % 2).mean()
        return found

    def samples(
        self, shots: int, qubits: Iterable[int] | None = None, *, generator: Generator = None
    ) -> Tensor:
        """Basis states as they are measured, int64 [batch, shots]: see `State.samples`.

        Raises:
            UsageError: for wrong shots, qubits or generators, and more than 62 qubits.
        """
        rows = self._bits(shots, qubits, generator)
        width = rows[0].shape[1]
        if width > _WIDEST:
            raise UsageError(
                f"samples are numbers of up to {_WIDEST} bits, not {width}: take counts, or name "
                "the qubits=[...]"
            )
        values = 1 << np.arange(width, dtype=np.int64)
        found = torch.from_numpy(np.stack([row @ values for row in rows]))
        return found if self._batched else found[0]

    def counts(
        self, shots: int, qubits: Iterable[int] | None = None, *, generator: Generator = None
    ) -> dict[str, int] | list[dict[str, int]]:
        """How often each bitstring is measured, for any number of qubits: see `State.counts`."""
        found = [_counted(row) for row in self._bits(shots, qubits, generator)]
        return found if self._batched else found[0]

    def _bits(
        self, shots: int, qubits: Iterable[int] | None, generator: Generator
    ) -> list[np.ndarray]:
        where = range(self.num_qubits) if qubits is None else check_qubits(qubits, self.num_qubits)
        number = check_shots(shots, len(self._circuits) * len(where))
        return [
            _measured(circuit, where, number, seed)
            for circuit, seed in zip(self._circuits, self._seeds(generator), strict=True)
        ]

    def _seeds(self, generator: Generator) -> list[int]:
        """A seed for each sample, drawn from the generators."""
        batch = len(self._circuits)
        check_generator(generator, batch)
        if generator is None or isinstance(generator, torch.Generator):
            return torch.randint(2**62, (batch,), generator=generator).tolist()
        return [int(torch.randint(2**62, (), generator=own)) for own in generator]

    def __repr__(self) -> str:
        return f"Stabilizers({self.num_qubits} qubits, {len(self._circuits)} samples)"


def run_clifford(
    circuit: Circuit, weights: Tensor | None, inputs: Tensor | None, options: Options
) -> Stabilizers:
    """Run a Clifford circuit.

    Raises:
        UsageError: if stim is not installed, for a gate that is not Clifford, with its position,
            for an initial state, and for weights or inputs that want a gradient.
    """
    for name in sorted(set(options) - {"engine", "values", "dtype", "initial_state"}):
        if options.get(name) is not None:
            raise UsageError(f"engine='stim' takes no {name}: put Pauli channels into the circuit")
    if options.get("initial_state") is not None:
        raise UsageError("engine='stim' starts from |0...0>: prepare the state by gates")
    for name, tensor in (("weights", weights), ("inputs", inputs)):
        if tensor is not None and tensor.requires_grad and torch.is_grad_enabled():
            raise UsageError(
                f"engine='stim' has no gradients, but {name} want one: use torch.no_grad(), or "
                "another engine"
            )
    plain, value_of = bound(circuit, weights, inputs, options.get("values"))
    rows = [
        [torch.as_tensor(value_of(p), dtype=torch.float64).reshape(-1).tolist() for p in params]
        for _, _, params in plain.operations
    ]
    sizes = {len(values) for row in rows for values in row} - {1}
    batch = max(sizes, default=1)
    circuits = [
        _converted(plain, [[v[k % len(v)] for v in row] for row in rows]) for k in range(batch)
    ]
    tensors = [tensor for tensor in (weights, inputs) if tensor is not None]
    batched = any(tensor.dim() == 2 for tensor in tensors) or bool(sizes)
    double = any(tensor.dtype == torch.float64 for tensor in tensors)
    dtype = options.get("dtype") or (torch.complex128 if double else torch.complex64)
    return Stabilizers(circuits, plain.num_qubits, batched, dtype.to_real())


def _stim() -> Any:
    return need("stim", extra="stim", purpose="running Clifford circuits")


def _converted(circuit: Circuit, angles: Sequence[Sequence[float]]) -> Any:
    converted = _stim().Circuit()
    for position, (operation, values) in enumerate(zip(circuit.operations, angles, strict=True)):
        gate, qubits, _ = operation
        if isinstance(gate, Gate):
            known = _append(converted, gate, qubits, tuple(values))
        else:
            known = isinstance(gate, HasTransferMatrix) and append_channel(
                converted, gate.ptm(), qubits
            )
        if not known:
            what = "gate" if isinstance(gate, Gate) else "instruction"
            raise UsageError(
                f"{what} {position} of the circuit, {Operation(gate, qubits, tuple(values))}, is "
                "not Clifford, and engine='stim' runs Clifford gates and Pauli channels on one or "
                "two qubits: use engine='auto'"
            )
    return converted


def _append(converted: Any, gate: Gate, qubits: Sequence[int], angles: tuple[float, ...]) -> bool:
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
        _append(converted, part, [qubits[q] for q in places], fill(inner, angles))
        for part, places, inner in gate.parts
    )


def _append_rotation(converted: Any, gate: Gate, qubits: Sequence[int], angle: float) -> bool:
    """exp(-i angle P / 2) as a quarter, half or three quarters of a turn about P."""
    assert gate.recipe is not None
    stim = _stim()
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
    stim = _stim()
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


def _measured(circuit: Any, qubits: Iterable[int], shots: int, seed: int) -> np.ndarray:
    """Bits as they are measured: bool [shots, qubits]."""
    measured = circuit.copy()
    measured.append("M", list(qubits))
    found: np.ndarray = measured.compile_sampler(seed=seed).sample(shots)
    return found


def _counted(bits: np.ndarray) -> dict[str, int]:
    """How often each row occurs, most frequent first; column 0 is the rightmost bit."""
    rows, numbers = np.unique(bits[:, ::-1], axis=0, return_counts=True)
    order = np.argsort(-numbers, kind="stable")
    return {"".join("01"[bit] for bit in rows[k].astype(int)): int(numbers[k]) for k in order}
