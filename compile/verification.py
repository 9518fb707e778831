"""Is a compiled circuit still the circuit it was made of?

Few qubits: the whole matrix is compared, for random values of open parameters. More qubits: what
both make of random product states, of one random rotation on each logical qubit; circuits that
differ give different states for almost all of them. Many qubits: the same with random stabilizer
states, if the circuit is a Clifford circuit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, pi
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from qsim.errors import UsageError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from compile.compiled import Compiled

Check: TypeAlias = Callable[
    ["QuantumCircuit", "QuantumCircuit", list[int], list[int], np.random.Generator], float
]
"""Original and compiled circuit, layouts at start and end, random numbers -> infidelity."""

MATRIX_QUBITS = 7
STATE_QUBITS = 20
_DRAWS = 3
_TOLERANCE = 1e-6  # of an infidelity: double precision through some thousand gates


@dataclass(frozen=True)
class Verification:
    """The answer.

    Attributes:
        equivalent: whether the circuits do the same, up to the layouts and a global phase.
        method: "unitary", "random states" or "stabilizer states".
        infidelity: the largest that was found, of process or state.
    """

    equivalent: bool
    method: str
    infidelity: float


def verify(compiled: Compiled, seed: int = 0) -> Verification:
    """Compare a compiled circuit with the original.

    Args:
        compiled: what to check.
        seed: of random states and values of parameters.

    Raises:
        UsageError: it uses more than 20 qubits and is no Clifford circuit.
    """
    rng = np.random.default_rng(seed)
    original, made, start, end = _small(compiled)
    size = made.num_qubits
    method = next(name for name, (most, _) in _METHODS.items() if size <= most)
    check = _METHODS[method][1]
    worst = 0.0
    for _ in range(_DRAWS if original.parameters or method != "unitary" else 1):
        values = {p.name: rng.uniform(-pi, pi) for p in sorted(original.parameters, key=str)}
        wanted, found = _bound(original, values), _bound(made, values)
        worst = max(worst, check(wanted, found, start, end, rng))
    return Verification(worst < _TOLERANCE, method, worst)


def _small(
    compiled: Compiled,
) -> tuple[QuantumCircuit, QuantumCircuit, list[int], list[int]]:
    """Original and compiled circuit, this one on the qubits in use, and the layouts on these."""
    from compile.choice.candidates import renumbered, used_qubits
    from compile.transpilation import Routed

    made = Routed(compiled.circuit, compiled.initial_layout, compiled.final_layout)
    used = used_qubits(made)
    small = renumbered(compiled.circuit, used)
    start = [used.index(q) for q in compiled.initial_layout]
    end = [used.index(q) for q in compiled.final_layout]
    return compiled.source, small, start, end


def _bound(circuit: QuantumCircuit, values: dict[str, float]) -> QuantumCircuit:
    return circuit.assign_parameters({p: values[p.name] for p in circuit.parameters})


def _expected(
    original: QuantumCircuit, size: int, start: list[int], end: list[int]
) -> QuantumCircuit:
    """The original on qubits `start`, then each moved to its place in `end`; others stay in |0>."""
    from qiskit import QuantumCircuit
    from qiskit.circuit.library import PermutationGate

    circuit = QuantumCircuit(size)
    circuit.compose(original, qubits=start, inplace=True)
    free = iter([q for q in range(size) if q not in start])
    origin = dict(zip(end, start, strict=True))
    # PermutationGate takes, for each place, the qubit that comes to it.
    circuit.append(
        PermutationGate([origin[q] if q in origin else next(free) for q in range(size)]),
        range(size),
    )
    return circuit


def _process_infidelity(
    original: QuantumCircuit,
    made: QuantumCircuit,
    start: list[int],
    end: list[int],
    _: np.random.Generator,
) -> float:
    """1 - |tr U'V|^2 / d^2 over the inputs whose other qubits are |0>."""
    from qiskit.quantum_info import Operator

    wanted = Operator(_expected(original, made.num_qubits, start, end)).data
    found = Operator(made).data
    others = sum(1 << q for q in range(made.num_qubits) if q not in start)
    columns = [k for k in range(2**made.num_qubits) if not k & others]
    overlap = np.vdot(wanted[:, columns], found[:, columns]) / len(columns)
    return float(1 - abs(overlap) ** 2)


def _state_infidelity(
    original: QuantumCircuit,
    made: QuantumCircuit,
    start: list[int],
    end: list[int],
    rng: np.random.Generator,
) -> float:
    """1 - |<a|b>|^2 of what becomes of one random product state."""
    import torch

    from qsim import state
    from qsim.interop.qiskit import from_qiskit

    angles = rng.uniform(-pi, pi, (len(start), 3))
    states = []
    for circuit in (_expected(original, made.num_qubits, start, end), made):
        prepared = circuit.copy_empty_like()
        for qubit, turn in zip(start, angles, strict=True):
            prepared.u(*turn, qubit)
        prepared.compose(circuit, inplace=True)
        states.append(state(from_qiskit(prepared), dtype=torch.complex128))
    return float(1 - torch.vdot(*states).abs() ** 2)


def _stabilizer_infidelity(
    original: QuantumCircuit,
    made: QuantumCircuit,
    start: list[int],
    end: list[int],
    rng: np.random.Generator,
) -> float:
    """0 if both make the same of a random stabilizer state, 1 otherwise."""
    from qiskit import QuantumCircuit
    from qiskit.exceptions import QiskitError
    from qiskit.quantum_info import StabilizerState, random_clifford

    prepared = QuantumCircuit(made.num_qubits)
    for qubit in start:
        gate = random_clifford(1, int(rng.integers(2**31)))
        prepared.append(gate.to_circuit().to_gate(), [qubit])
    try:
        wanted, found = (
            StabilizerState(prepared.compose(circuit))
            for circuit in (_expected(original, made.num_qubits, start, end), made)
        )
    except QiskitError:
        raise UsageError(
            f"the compiled circuit uses {made.num_qubits} qubits and is no Clifford circuit: "
            f"others are verified on up to {STATE_QUBITS} qubits"
        ) from None
    return 0.0 if wanted.equiv(found) else 1.0


_METHODS: dict[str, tuple[float, Check]] = {
    "unitary": (MATRIX_QUBITS, _process_infidelity),
    "random states": (STATE_QUBITS, _state_infidelity),
    "stabilizer states": (inf, _stabilizer_infidelity),
}
"""Ways to compare, and up to how many qubits."""
