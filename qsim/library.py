"""Circuits that others are built from: time evolution, QFT, state preparation, random circuits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, product
from math import pi
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.errors import UsageError
from qsim.families import MAX_UNITARY, averaged_by_sign, gray_rotations
from qsim.gates import GATES, Gate, find_gate
from qsim.observables import PauliString
from qsim.parameters import FUNCTIONS, Angle, as_angle, derived, whole

Terms: TypeAlias = Sequence[tuple[Any, PauliString]]


@runtime_checkable
class HasTerms(Protocol):
    """A sum of Pauli strings."""

    @property
    def terms(self) -> Terms: ...


# --- Time evolution -------------------------------------------------------------------------------


def evolve(
    circuit: Circuit,
    hamiltonian: HasTerms | PauliString | Terms,
    time: Any,
    order: int | str = 1,
    steps: int = 1,
    qubits: Sequence[int] | None = None,
) -> Circuit:
    """Append exp(-i H time); returns the circuit.

    Args:
        circuit: where to append.
        hamiltonian: a PauliString, a sum of them, or a list of (coefficient, PauliString).
        time: a number, or any other angle: Weight(i), Parameter("t"), a tensor ...
        order: of the product formula of Trotter and Suzuki: 1, 2 or 4 (Suzuki, Phys. Lett. A 146,
            319, 1990), or "exact": one dense matrix, up to 10 qubits, for a time that is a number.
        steps: number of equal steps that the time is divided into.
        qubits: where the strings act, the rightmost letter on the first; all by default.

    Raises:
        UsageError: for what is no Hamiltonian, another size, or an order or steps that are none.
    """
    where = range(circuit.num_qubits) if qubits is None else qubits
    terms = _terms_of(hamiltonian, len(where))
    count = whole(steps)
    if count is None or count < 1:
        raise UsageError(f"time evolution takes 1 step or more, not {steps!r}")
    if order == "exact":
        return circuit.unitary(_exponential(terms, time, len(where)), where)
    if order not in (1, 2, 4):
        raise UsageError(f'the order of a product formula is 1, 2, 4 or "exact", not {order!r}')
    duration = as_angle(time, "time evolution")
    step = Circuit(len(where))
    for fraction, backwards in _passes(int(order)):
        for coefficient, string in reversed(terms) if backwards else terms:
            angle = 2 * fraction / count * coefficient * duration
            _rotate(step, string, angle)
    return circuit.compose(step.repeat(count), where)


def _terms_of(hamiltonian: Any, num_qubits: int) -> list[tuple[Any, PauliString]]:
    if isinstance(hamiltonian, PauliString):
        hamiltonian = [(1.0, hamiltonian)]
    given = hamiltonian.terms if isinstance(hamiltonian, HasTerms) else hamiltonian
    try:
        terms = [(as_angle(c, "time evolution"), p) for c, p in given]
    except (TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            "a Hamiltonian is a PauliString, a sum of them, or a list of "
            f"(coefficient, PauliString), not {hamiltonian!r:.60}"
        ) from None
    for _, string in terms:
        if not isinstance(string, PauliString) or string.num_qubits != num_qubits:
            raise UsageError(f"time evolution on {num_qubits} qubits takes no term {string!r}")
    return terms


def _passes(order: int) -> list[tuple[float, bool]]:
    """(fraction of the step, whether in reverse order) of each pass through the terms."""
    if order == 1:
        return [(1.0, False)]
    if order == 2:
        return [(0.5, False), (0.5, True)]
    outer = 1 / (4 - 4 ** (1 / 3))
    return [
        (fraction * part, backwards)
        for part in (outer, outer, 1 - 4 * outer, outer, outer)
        for fraction, backwards in _passes(2)
    ]


def _rotate(circuit: Circuit, string: PauliString, angle: Any) -> None:
    """exp(-i angle P / 2) on the qubits where the string has a letter."""
    places = [q for q, letter in enumerate(reversed(string.label)) if letter != "I"]
    letters = string.label.replace("I", "")
    if letters:
        circuit.pauli_rotation(angle, letters, places)
    else:
        circuit.globalphase(-0.5 * angle)


def _exponential(terms: Terms, time: Any, num_qubits: int) -> np.ndarray:
    try:
        numbers = [float(c) for c, _ in terms]
        duration = float(time)
    except (TypeError, ValueError):
        raise UsageError(
            "exact time evolution takes numbers as coefficients and time: product formulas "
            "(order=1, 2 or 4) take any angle"
        ) from None
    if num_qubits > MAX_UNITARY:
        raise UsageError(
            f"exact time evolution is one dense matrix, on up to {MAX_UNITARY} qubits, "
            f"not {num_qubits}: use order=1, 2 or 4"
        )
    matrix = np.zeros([2**num_qubits] * 2, dtype=complex)
    columns = np.arange(2**num_qubits)
    for number, (_, p) in zip(numbers, terms, strict=True):
        signs = 1 - 2.0 * (np.bitwise_count(columns & p.z_mask) & 1)
        matrix[columns ^ p.x_mask, columns] += number * 1j**p.num_y * signs
    energies, vectors = np.linalg.eigh(matrix)
    result: np.ndarray = (vectors * np.exp(-1j * duration * energies)) @ vectors.conj().T
    return result


# --- Rotation about a vector ----------------------------------------------------------------------


_OFFSET = (0.7, 1.1, 0.4)  # generic angles: see rv


def rv(circuit: Circuit, vector: Sequence[Any], qubit: int) -> Circuit:
    """Append exp(-i (vx X + vy Y + vz Z) / 2), Qiskit's RV, as rotations; returns the circuit.

    The matrix is no trigonometric polynomial of the vector, so it becomes RZ RY RZ by angles that
    are computed from it (differentiably) after a constant rotation. That one moves the vectors at
    which such angles have no derivative away from zero and from the axes, onto a generic curve.
    """
    first, middle, last = _OFFSET
    v = [as_angle(x, "rv") for x in vector]
    circuit.rot(first, middle, last, qubit)
    for name, function in (("rz", _euler_alpha), ("ry", _euler_beta), ("rz", _euler_gamma)):
        circuit.append(name, qubit, [derived(function, *v)])
    return circuit


def _quaternion(vx: Tensor, vy: Tensor, vz: Tensor) -> tuple[Tensor, ...]:
    """(w, x, y, z) of exp(-i v.sigma / 2) times the inverse of the constant rotation."""
    half = torch.sqrt(vx**2 + vy**2 + vz**2 + 1e-30) / 2
    scale = torch.sinc(half / pi) / 2
    w, x, y, z = torch.cos(half), scale * vx, scale * vy, scale * vz
    a, b, c = _OFFSET  # rz(c) ry(b) rz(a); its inverse has minus the vector part
    sum_, difference = (a + c) / 2, (c - a) / 2
    p, s = np.cos(b / 2) * np.cos(sum_), -np.cos(b / 2) * np.sin(sum_)
    q, r = np.sin(b / 2) * np.sin(difference), -np.sin(b / 2) * np.cos(difference)
    return (
        w * p - x * q - y * r - z * s,
        w * q + x * p + y * s - z * r,
        w * r - x * s + y * p + z * q,
        w * s + x * r - y * q + z * p,
    )


def _euler_alpha(vx: Tensor, vy: Tensor, vz: Tensor) -> Tensor:
    w, x, y, z = _quaternion(vx, vy, vz)
    return torch.atan2(z, w) - torch.atan2(-x, y)


def _euler_gamma(vx: Tensor, vy: Tensor, vz: Tensor) -> Tensor:
    w, x, y, z = _quaternion(vx, vy, vz)
    return torch.atan2(z, w) + torch.atan2(-x, y)


def _euler_beta(vx: Tensor, vy: Tensor, vz: Tensor) -> Tensor:
    w, x, y, z = _quaternion(vx, vy, vz)
    return 2 * torch.atan2(torch.hypot(x, y), torch.hypot(w, z))


FUNCTIONS.update({f.__name__: f for f in (_euler_alpha, _euler_beta, _euler_gamma)})


# --- Any unitary matrix ---------------------------------------------------------------------------


def arbitrary_unitary(
    circuit: Circuit, angles: Sequence[Any], qubits: Sequence[int] | None = None
) -> Circuit:
    """Append any unitary matrix on k qubits, up to its phase, by angles; returns the circuit.

    Shannon's decomposition of unitary matrices (Shende, Bullock and Markov,
    arXiv:quant-ph/0406176): four matrices on one qubit less, between rotations of the last qubit
    whose angles the others choose; for two qubits that of Cartan, for one RZ RY RZ. Angles reach
    every unitary matrix, so training them trains the matrix.

    Args:
        circuit: where to append.
        angles: 3, 15, 72, 312 ... of them for 1, 2, 3, 4 ... qubits, any angles:
            [Weight(i) for i in range(15)].
        qubits: where it acts; all by default.

    Raises:
        UsageError: for another number of angles.
    """
    where = range(circuit.num_qubits) if qubits is None else qubits
    needed = _angles_of_unitary(len(where))
    if len(angles) != needed:
        raise UsageError(
            f"an arbitrary unitary on {len(where)} qubits takes {needed} angles, not {len(angles)}"
        )
    built = Circuit(len(where))
    _shannon(built, iter(angles), len(where))
    return circuit.compose(built, where)


def _angles_of_unitary(num_qubits: int) -> int:
    if num_qubits <= 2:
        return 4**num_qubits - 1
    return 4 * _angles_of_unitary(num_qubits - 1) + 3 * 2 ** (num_qubits - 1)


def _shannon(circuit: Circuit, angles: Iterator[Any], num_qubits: int) -> None:
    """Any unitary matrix on the first qubits."""
    if num_qubits == 1:
        circuit.rot(*islice(angles, 3), 0)
    elif num_qubits == 2:
        circuit.rot(*islice(angles, 3), 0).rot(*islice(angles, 3), 1)
        circuit.rxx(next(angles), 0, 1).ryy(next(angles), 0, 1).rzz(next(angles), 0, 1)
        circuit.rot(*islice(angles, 3), 0).rot(*islice(angles, 3), 1)
    else:
        others = num_qubits - 1
        for letter in ("Z", "Y", "Z", ""):
            _shannon(circuit, angles, others)
            for signs in product("IZ", repeat=others) if letter else ():
                label = letter + "".join(signs)
                _rotate(
                    circuit,
                    PauliString.from_sparse(label, range(num_qubits)[::-1], circuit.num_qubits),
                    next(angles),
                )


# --- Fourier transform ----------------------------------------------------------------------------


def qft(num_qubits: int, *, swaps: bool = True) -> Circuit:
    """The quantum Fourier transform: |j> becomes sum_k exp(2 pi i j k / 2**n) |k> / sqrt(2**n).

    Args:
        num_qubits: n.
        swaps: whether to put the result in order; without, qubit q holds bit n - 1 - q of k. Swaps
            cost nothing here. For the inverse take `.inverse()`.
    """
    circuit = Circuit(num_qubits)
    for target in reversed(range(num_qubits)):
        circuit.h(target)
        for source in reversed(range(target)):
            circuit.cp(pi / 2 ** (target - source), source, target)
    for qubit in range(num_qubits // 2 if swaps else 0):
        circuit.swap(qubit, num_qubits - 1 - qubit)
    return circuit


# --- State preparation ----------------------------------------------------------------------------


def state_preparation(amplitudes: Any) -> Circuit:
    """A circuit that turns |0...0> into a state exactly, with its global phase.

    One multiplexed RY for each qubit gives the moduli, a diagonal the phases (Mottonen et al.,
    arXiv:quant-ph/0407010).

    Args:
        amplitudes: 2**k complex numbers, NumPy, torch or a list, of norm 1.

    Raises:
        UsageError: for another number of amplitudes, or another norm.
    """
    if isinstance(amplitudes, Tensor):
        amplitudes = amplitudes.detach().resolve_conj().cpu().numpy()
    vector = np.asarray(amplitudes, dtype=complex)
    size = len(vector) if vector.ndim == 1 else 0
    if size < 2 or size & (size - 1):
        raise UsageError(
            f"a state to prepare has 2**k amplitudes, not the shape {list(vector.shape)}"
        )
    norm = float(np.linalg.norm(vector))
    if not abs(norm - 1) <= 1e-5:
        raise UsageError(f"a state to prepare has norm 1, not {norm:.6g}: divide by its norm")
    num_qubits = size.bit_length() - 1
    circuit = Circuit(num_qubits)
    for target in reversed(range(num_qubits)):
        halves = np.linalg.norm(vector.reshape(-1, 2, 1 << target), axis=2)
        angles = averaged_by_sign(2 * np.arctan2(halves[:, 1], halves[:, 0]))
        gray_rotations(circuit, "ry", angles, target + 1, target)
    phases = np.angle(vector)
    if np.abs(phases).max() > 1e-14:
        circuit.diagonal(np.exp(1j * phases))
    return circuit


# --- Random circuits ------------------------------------------------------------------------------


def random_circuit(
    num_qubits: int,
    depth: int,
    *,
    seed: int,
    gates: Iterable[str | Gate] | None = None,
) -> Circuit:
    """A circuit of `depth` layers; in each, random gates cover the qubits, as far as they fit.

    Args:
        num_qubits: number of qubits.
        depth: number of layers, 0 or more.
        seed: the same seed gives the same circuit.
        gates: gates to draw from, with equal probability; by default the whole table.

    Raises:
        UsageError: for an unknown gate, none that fits, or a negative depth or seed.
    """
    chosen = list(GATES.values()) if gates is None else [_record(gate) for gate in gates]
    circuit, layers = Circuit(num_qubits), whole(depth)
    fitting = [gate for gate in chosen if gate.num_qubits <= num_qubits]
    if layers is None or layers < 0:
        raise UsageError(f"a random circuit has 0 layers or more, not {depth!r}")
    if whole(seed) is None or seed < 0:
        raise UsageError(f"a seed is a whole number from 0 on, not {seed!r}")
    if not fitting:
        raise UsageError(f"no gate of {chosen} fits on {num_qubits} qubits")
    generator = np.random.default_rng(seed)
    for _ in range(layers):
        free = generator.permutation(num_qubits).tolist()
        while options := [gate for gate in fitting if gate.num_qubits <= len(free)]:
            gate = options[generator.integers(len(options))]
            angles: list[Angle] = generator.uniform(0, 2 * pi, gate.num_params).tolist()
            circuit.append(gate, [free.pop() for _ in range(gate.num_qubits)], angles)
    return circuit


def _record(gate: str | Gate) -> Gate:
    return gate if isinstance(gate, Gate) else find_gate(gate)
