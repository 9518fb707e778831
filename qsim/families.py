"""Gates of any size: Pauli rotations, matrices, diagonals, permutations, barriers.

Each function returns a `Gate` that is not in the table but works like one. Equal arguments give
equal gates, and none makes its dense matrix unless asked for it. Qubits as in the table: the first
qubit of a gate is its lowest bit. Controlled gates come from `qsim.gates.controlled`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from qsim.errors import UsageError
from qsim.gates import Gate
from qsim.trig import TrigMatrix, rotation
from qsim.walsh import walsh_hadamard

if TYPE_CHECKING:
    from qsim.circuit import Circuit

MAX_UNITARY = 10  # qubits: a matrix of 16 MiB
MAX_DIAGONAL = 20  # qubits
_UNITARY_TO = 1e-5  # what single precision leaves of a unitary matrix


# --- exp(-i theta P / 2) --------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def pauli_rotation(label: str) -> Gate:
    """exp(-i theta P / 2) for a Pauli string; the rightmost letter acts on the first qubit.

    Raises:
        UsageError: for an empty label or letters other than I, X, Y and Z.
    """
    if not isinstance(label, str) or not label or set(label) - set("IXYZ"):
        raise UsageError(
            f"a Pauli rotation takes a string of the letters I, X, Y and Z, not {label!r}"
        )
    flips = set(label) & set("XY")
    return Gate(
        "pauli_rotation",
        len(label),
        rotation(label),
        inverse=lambda c, theta: c.pauli_rotation(-theta, label),
        params=("theta",),
        decomposition=lambda c, theta: _pauli_decomposition(c, label, theta),
        action=lambda psi, theta: _rotate(psi, label, theta),
        form=("real" if label.count("Y") % 2 else "dense") if flips else "diagonal",
        recipe=(pauli_rotation, (label,)),
    )


def multirz(num_qubits: int) -> Gate:
    """exp(-i theta Z...Z / 2) on that many qubits."""
    return pauli_rotation("Z" * num_qubits)


def _rotate(psi: Tensor, label: str, theta: Tensor) -> Tensor:
    half = theta / 2
    return torch.cos(half).to(psi.dtype) * psi - 1j * torch.sin(half).to(psi.dtype) * _pauli(
        psi, label
    )


def _pauli(psi: Tensor, label: str) -> Tensor:
    """P psi for psi [..., 2**n]: P|b> = i^(number of Y) (-1)^(z.b) |b xor x>."""
    x, z = (sum(1 << q for q, p in enumerate(reversed(label)) if p in on) for on in ("XY", "YZ"))
    rows = np.arange(psi.shape[-1]) ^ x
    signs = (1 - 2.0 * (np.bitwise_count(rows & z) & 1)) * 1j ** label.count("Y")
    return psi[..., torch.as_tensor(rows, device=psi.device)] * torch.as_tensor(
        signs, dtype=psi.dtype, device=psi.device
    )


def _pauli_decomposition(circuit: Circuit, label: str, theta: Any) -> Circuit:
    """CX, and one S if the number of Y is even, leave one RY; or one RZ if all letters are Z.

    Engines do CX by renaming amplitudes and S is diagonal, so one real rotation is all the work.
    """
    x = [letter in "XY" for letter in reversed(label)]
    z = [letter in "YZ" for letter in reversed(label)]
    if not any(x) and not any(z):
        return circuit.globalphase(-theta / 2)
    if label.count("X") == 1 and not any(z):
        return circuit.rx(theta, x.index(True))
    pivot = x.index(True) if any(x) else max(q for q, there in enumerate(z) if there)
    before: list[tuple[str, tuple[int, ...]]] = []
    sign = 1

    def cx(c: int, t: int) -> None:  # Aaronson and Gottesman, arXiv:quant-ph/0406196
        nonlocal sign
        sign = -sign if x[c] and z[t] and x[t] == z[c] else sign
        x[t], z[c] = x[t] ^ x[c], z[c] ^ z[t]
        before.append(("cx", (c, t)))

    for q in range(len(x)):
        if x[q] and q != pivot:
            cx(pivot, q)
    if not z[pivot]:  # X becomes Y
        z[pivot] = True
        before.append(("s", (pivot,)))
    for q in range(len(x)):
        if z[q] and q != pivot:
            cx(q, pivot)
    for name, qubits in before:
        circuit.append(name, qubits)
    circuit.append("ry" if x[pivot] else "rz", pivot, [sign * theta])
    for name, qubits in reversed(before):
        circuit.append("sdg" if name == "s" else name, qubits)
    return circuit


# --- Matrices -------------------------------------------------------------------------------------


def unitary(matrix: Any) -> Gate:
    """A constant unitary matrix on 1 to 10 qubits, from NumPy, torch or nested lists, [2^k, 2^k].

    Raises:
        UsageError: for a matrix of another shape, that is not unitary, or wants a gradient.
    """
    array = _complex(matrix, "a matrix")
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not _qubits(len(array)):
        raise UsageError(f"a unitary matrix is [2**k, 2**k], not {list(array.shape)}")
    if _qubits(len(array)) > MAX_UNITARY:
        raise UsageError(
            f"a dense matrix acts on up to {MAX_UNITARY} qubits, not {_qubits(len(array))}: "
            "use gates, a diagonal, or Pauli rotations"
        )
    error = np.abs(array @ array.conj().T - np.eye(len(array))).max()
    if not error <= _UNITARY_TO:
        raise UsageError(
            f"the matrix is not unitary: U U+ differs from the identity by {error:.2g}"
        )
    return _unitary(_qubits(len(array)), array.tobytes())


def _unitary(num_qubits: int, data: bytes) -> Gate:
    def matrix() -> np.ndarray:
        return np.frombuffer(data, complex).reshape([1, *[2**num_qubits] * 2]).copy()

    return Gate(
        "unitary",
        num_qubits,
        TrigMatrix(np.zeros((1, 0)), matrix),
        inverse=lambda c: c.unitary(matrix()[0].conj().T),
        recipe=(_unitary, (num_qubits, data)),
    )


def _complex(values: Any, what: str) -> np.ndarray:
    """The numbers as complex128, contiguous."""
    if isinstance(values, Tensor):
        if values.requires_grad:
            raise UsageError(
                f"{what} of a gate is constant, but this one wants a gradient: pass .detach(), "
                "or train the angles of circuit.arbitrary_unitary(angles, qubits)"
            )
        values = values.resolve_conj().cpu().numpy()
    try:
        return np.ascontiguousarray(values, dtype=complex)
    except (TypeError, ValueError):
        raise UsageError(f"{what} is made of numbers, not {values!r:.60}") from None


def _qubits(size: int) -> int:
    """k if size is 2**k with k >= 1, else 0."""
    return size.bit_length() - 1 if size & (size - 1) == 0 else 0


# --- Diagonals ------------------------------------------------------------------------------------


def diagonal(values: Any) -> Gate:
    """diag(values) for 2**k complex numbers of modulus 1, first qubit lowest.

    Raises:
        UsageError: for a wrong number of values or another modulus.
    """
    array = _complex(values, "a diagonal")
    if array.ndim != 1 or not 1 <= _qubits(len(array)) <= MAX_DIAGONAL:
        raise UsageError(
            f"a diagonal has 2**k values for k from 1 to {MAX_DIAGONAL} qubits, "
            f"not {list(array.shape)}"
        )
    error = np.abs(np.abs(array) - 1).max()
    if not error <= _UNITARY_TO:
        raise UsageError(f"values of a diagonal have modulus 1: these are off by {error:.2g}")
    return _diagonal(_qubits(len(array)), array.tobytes())


def _diagonal(num_qubits: int, data: bytes) -> Gate:
    values = np.frombuffer(data, complex)
    return Gate(
        "diagonal",
        num_qubits,
        TrigMatrix(np.zeros((1, 0)), lambda: np.diag(values)[None]),
        inverse=lambda c: c.diagonal(values.conj()),
        decomposition=(lambda c: phase_rotations(c, np.angle(values))) if num_qubits > 1 else None,
        action=lambda psi: psi * torch.tensor(values, dtype=psi.dtype, device=psi.device),
        form="diagonal",
        recipe=(_diagonal, (num_qubits, data)),
    )


def averaged_by_sign(values: np.ndarray) -> np.ndarray:
    """The mean over b of (-1)^(m.b) values[b], for every m: angles of `gray_rotations`."""
    return walsh_hadamard(torch.from_numpy(values)).numpy() / len(values)


def phase_rotations(circuit: Circuit, phases: np.ndarray) -> Circuit:
    """exp(i phases[b]) as rotations about strings of Z, CX between them in the order of Gray.

    (Bullock and Markov, arXiv:quant-ph/0303039.)
    """
    angles = -2 * averaged_by_sign(phases)
    circuit.globalphase(-float(angles[0]) / 2)
    for target in range(circuit.num_qubits):
        gray_rotations(circuit, "rz", angles[1 << target : 2 << target], 0, target)
    return circuit


def gray_rotations(
    circuit: Circuit, name: str, angles: Sequence[Any] | np.ndarray, first: int, target: int
) -> None:
    """For all m, rotate the target by angles[m] with its bit added to the bits of m.

    Bit k of m is qubit first + k. Numbers m follow the code of Gray: one CX leads to the next.
    """

    def add(mask: int) -> None:
        for k in range(mask.bit_length()):
            if mask >> k & 1:
                circuit.cx(first + k, target)

    last = 0
    for mask in (k ^ k >> 1 for k in range(len(angles))):
        angle = angles[mask]
        if not isinstance(angle, float) or abs(angle) > 1e-13:
            add(last ^ mask)
            circuit.append(name, target, [angle])
            last = mask
    add(last)


# --- Permutations ---------------------------------------------------------------------------------


def permutation(targets: Iterable[int]) -> Gate:
    """|b> becomes |targets[b]> for the 2**k basis states b.

    Where it is affine over bits (any rearrangement of qubits, CX, X) it costs nothing.

    Raises:
        UsageError: if `targets` is no permutation of 0 .. 2**k - 1, or not affine and too large.
    """
    given = tuple(targets)
    size = len(given)
    if not _qubits(size) or set(given) != set(range(size)):
        raise UsageError(
            f"a permutation of basis states lists every number from 0 to 2**k - 1 once, "
            f"not {size} numbers such as {given[:4]}"
        )
    return _permutation(tuple([int(t) for t in given]))


@lru_cache(maxsize=256)
def _permutation(targets: tuple[int, ...]) -> Gate:
    num_qubits, array = _qubits(len(targets)), np.array(targets)
    network = _affine(array)
    if network is None and num_qubits > MAX_UNITARY:
        raise UsageError(
            f"a permutation on {num_qubits} qubits must be affine over the bits; others act on "
            f"up to {MAX_UNITARY} qubits"
        )
    back = np.argsort(array)
    return Gate(
        "permutation",
        num_qubits,
        TrigMatrix(np.zeros((1, 0)), lambda: np.eye(len(array), dtype=complex)[back][None]),
        inverse=lambda c: c.permutation(back.tolist()),
        decomposition=network,
        action=lambda psi: psi[..., torch.as_tensor(back, device=psi.device)],
        form="permutation",
        recipe=(_permutation, (targets,)),
    )


def _affine(targets: np.ndarray) -> Callable[[Circuit], Circuit] | None:
    """CX and X that make b -> A b + c over bits, by Gauss-Jordan elimination; None if it is not."""
    num_qubits, shift = _qubits(len(targets)), int(targets[0])
    columns = [int(targets[1 << k]) ^ shift for k in range(num_qubits)]
    images = np.zeros(1, dtype=int)
    for column in columns:
        images = np.concatenate([images, images ^ column])
    if not np.array_equal(images, targets ^ shift):
        return None
    rows = [sum((columns[k] >> t & 1) << k for k in range(num_qubits)) for t in range(num_qubits)]
    added: list[tuple[int, int]] = []

    def add(source: int, into: int) -> None:
        rows[into] ^= rows[source]
        added.append((source, into))

    for k in range(num_qubits):
        if not rows[k] >> k & 1:
            add(next(r for r in range(k + 1, num_qubits) if rows[r] >> k & 1), k)
        for r in range(num_qubits):
            if r != k and rows[r] >> k & 1:
                add(k, r)

    def build(circuit: Circuit) -> Circuit:
        for source, into in reversed(added):
            circuit.cx(source, into)
        for q in range(num_qubits):
            if shift >> q & 1:
                circuit.x(q)
        return circuit

    return build


# --- Barriers -------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def barrier(num_qubits: int) -> Gate:
    """Nothing, on that many qubits: a line in drawings."""
    dim = 2**num_qubits
    return Gate(
        "barrier",
        num_qubits,
        TrigMatrix(np.zeros((1, 0)), lambda: np.eye(dim, dtype=complex)[None]),
        inverse=lambda c: c.barrier(),
        decomposition=lambda c: c,
        action=lambda psi: psi,
        form="diagonal",
        recipe=(barrier, (num_qubits,)),
    )


def eigen_phases(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Phases [d] and orthonormal eigenvectors (columns) of a unitary matrix.

    Cosine and sine parts of a unitary matrix commute, so a mixture has its eigenvectors; the best
    of a few mixtures has no two eigenvalues fall together.
    """
    cosine, sine = (matrix + matrix.conj().T) / 2, (matrix - matrix.conj().T) / 2j
    best = min(
        (np.linalg.eigh(np.cos(a) * cosine + np.sin(a) * sine)[1] for a in np.arange(8) + 0.3),
        key=lambda vectors: _off_diagonal(vectors.conj().T @ matrix @ vectors),
    )
    return np.angle(np.diag(best.conj().T @ matrix @ best)), best


def _off_diagonal(matrix: np.ndarray) -> float:
    return float(np.abs(matrix - np.diag(np.diag(matrix))).max())
