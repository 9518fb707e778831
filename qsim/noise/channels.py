"""Channels: what noise does to qubits, as Kraus operators and as Pauli transfer matrices.

Every function below makes a `Channel`, which a circuit takes by `circuit.append(channel, qubits)`
and a noise model by `NoiseModel.add`. The first qubit of a channel is the lowest bit, as for gates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import product
from math import expm1, inf, isfinite, sqrt
from typing import Any

import numpy as np

from qsim.errors import UsageError
from qsim.families import unitary
from qsim.instructions import Instruction
from qsim.parameters import whole
from qsim.trig import PAULI, pauli_matrix

MAX_QUBITS = 4  # a transfer matrix of 256 x 256
_TRACE_TO = 1e-7  # what rounded numbers leave of sum K+K = 1


@dataclass(frozen=True)
class Channel(Instruction):
    """A completely positive, trace-preserving map rho -> sum_k K_k rho K_k+.

    Attributes:
        arguments: what the function of that name made it from.
        operators: its Kraus operators as bytes of complex128 [number, 2**k, 2**k].
    """

    arguments: tuple[Any, ...] = ()
    operators: bytes = field(default=b"", repr=False)

    @cached_property
    def kraus(self) -> np.ndarray:
        """Kraus operators, complex128 [number, 2**k, 2**k]."""
        return np.frombuffer(self.operators, complex).reshape(-1, *[2**self.num_qubits] * 2)

    @property
    def recipe(self) -> tuple[str, tuple[Any, ...]]:
        """Name and arguments for `make_channel`: its Kraus operators if no function made it."""
        made = self.name in CHANNELS
        return (self.name, self.arguments) if made else ("kraus", (_nested(self.kraus),))

    def ptm(self) -> np.ndarray:
        """The Pauli transfer matrix R_ij = tr(P_i E(P_j)) / 2**k, real [4**k, 4**k].

        Index digits, base 4, are I, X, Y, Z = 0 to 3; the lowest is that of the first qubit.
        """
        return self._ptm

    @cached_property
    def _ptm(self) -> np.ndarray:
        return transfer_matrix(self.kraus)

    @cached_property
    def kind(self) -> str:
        """pauli (diagonal as a transfer matrix) | mixed-unitary | general."""
        matrix = self.ptm()
        if np.abs(matrix - np.diag(np.diag(matrix))).max() < 1e-14:
            return "pauli"
        grams = self.kraus.conj().transpose(0, 2, 1) @ self.kraus
        sizes = np.trace(grams, axis1=1, axis2=2) / len(grams[0])
        scaled = sizes[:, None, None] * np.eye(len(grams[0]))
        return "mixed-unitary" if np.abs(grams - scaled).max() < 1e-12 else "general"

    def __str__(self) -> str:
        shown = [f"{a:.4g}" if isinstance(a, float) else str(a) for a in self.arguments]
        long = sum(map(len, shown)) > 60
        return f"{self.name}({'...' if long else ', '.join(shown)})"

    def __reduce__(self) -> tuple[Callable[..., Channel], tuple[Any, ...]]:
        return make_channel, self.recipe


def transfer_matrix(operators: np.ndarray) -> np.ndarray:
    """The Pauli transfer matrix of Kraus operators [number, 2**k, 2**k]: real [4**k, 4**k]."""
    dim = operators.shape[-1]
    paulis = _paulis(dim.bit_length() - 1)
    moved = np.einsum("mab,jbc,mdc->jad", operators, paulis, operators.conj(), optimize=True)
    flat = paulis.transpose(0, 2, 1).reshape(len(paulis), -1)
    matrix = (flat @ moved.reshape(len(paulis), -1).T).real / dim
    matrix[np.abs(matrix) < 1e-15] = 0.0  # what is left of terms that cancel
    return matrix


@cache
def _paulis(num_qubits: int) -> np.ndarray:
    """All Pauli strings in the order of their base-4 index, [4**k, 2**k, 2**k]."""
    labels = ("".join(letters) for letters in product("IXYZ", repeat=num_qubits))
    return np.stack([pauli_matrix(label) for label in labels])


# --- Pauli channels -------------------------------------------------------------------------------


def bit_flip(probability: float) -> Channel:
    """X with this probability."""
    return _pauli("bit_flip", (probability,), {"X": probability})


def phase_flip(probability: float) -> Channel:
    """Z with this probability."""
    return _pauli("phase_flip", (probability,), {"Z": probability})


def bit_phase_flip(probability: float) -> Channel:
    """Y with this probability."""
    return _pauli("bit_phase_flip", (probability,), {"Y": probability})


def pauli_channel(probabilities: Mapping[str, float]) -> Channel:
    """Pauli strings with these probabilities, nothing with the rest.

    Args:
        probabilities: by string; its rightmost letter acts on the first qubit.

    Raises:
        UsageError: for strings of different lengths, or probabilities outside [0, 1] or of a sum
            above 1.
    """
    try:
        pairs = tuple(sorted(dict(probabilities).items()))
    except (TypeError, ValueError):
        raise UsageError(
            f"pauli_channel takes probabilities by Pauli string, such as {{'XI': 0.1}}, not "
            f"{probabilities!r:.60}"
        ) from None
    return _pauli("pauli_channel", (pairs,), dict(pairs))


def depolarizing(parameter: float, num_qubits: int = 1) -> Channel:
    """rho -> (1 - parameter) rho + parameter tr(rho) 1 / 2**num_qubits.

    The parameter is Qiskit's: at 1 nothing is left. A Pauli string other than the identity is
    applied with the error probability parameter (1 - 1 / 4**num_qubits), shared equally.

    Args:
        parameter: from 0 to 4**num_qubits / (4**num_qubits - 1).
        num_qubits: 1 to 4.
    """
    count = _count(num_qubits)
    most = 4**count / (4**count - 1)
    check_probability(parameter, "the parameter of depolarizing", most=most)
    labels = ["".join(letters) for letters in product("IXYZ", repeat=count)][1:]
    each = min(parameter / 4**count, 1 / len(labels))
    return _pauli("depolarizing", (float(parameter), count), dict.fromkeys(labels, each))


def _pauli(name: str, arguments: tuple[Any, ...], probabilities: Mapping[str, float]) -> Channel:
    labels = list(probabilities)
    lengths = {len(str(label)) for label in labels}
    wrong = [label for label in labels if not isinstance(label, str) or set(label) - set("IXYZ")]
    if wrong or len(lengths) != 1 or not 1 <= (size := lengths.pop()) <= MAX_QUBITS:
        raise UsageError(
            f"{name} takes Pauli strings of one length from 1 to {MAX_QUBITS}, not {labels}"
        )
    for label, probability in probabilities.items():
        check_probability(probability, f"the probability of {label} in {name}")
    identity = "I" * size
    rest = 1 - sum(p for label, p in probabilities.items() if label != identity)
    if rest < -1e-9 or (identity in probabilities and abs(probabilities[identity] - rest) > 1e-9):
        total = sum(probabilities.values())
        raise UsageError(f"the probabilities of {name} add up to {total:.6g}, but to 1 at most")
    terms = {**probabilities, identity: max(0.0, rest)}
    return _channel(name, arguments, [(sqrt(p), pauli_matrix(s)) for s, p in terms.items()])


# --- Damping and relaxation -----------------------------------------------------------------------


def amplitude_damping(gamma: float) -> Channel:
    """|1> decays to |0> with probability gamma."""
    return _channel("amplitude_damping", (gamma,), _damping(gamma, 0.0))


def generalized_amplitude_damping(gamma: float, population: float) -> Channel:
    """Damping with probability gamma towards |1> with probability `population`, else |0>."""
    return _channel(
        "generalized_amplitude_damping", (gamma, population), _damping(gamma, population)
    )


def phase_damping(lam: float) -> Channel:
    """Coherences shrink by sqrt(1 - lam)."""
    return _channel("phase_damping", (lam,), _dephasing(lam))


def thermal_relaxation(
    t1: float | None, t2: float | None, time: float, excited_population: float = 0.0
) -> Channel:
    """Relaxation for some time: populations by exp(-time / t1), coherences by exp(-time / t2).

    Args:
        t1: relaxation time, in any unit; None for infinite.
        t2: coherence time in the same unit, at most 2 t1; None for infinite.
        time: how long, in the same unit.
        excited_population: probability of |1> in equilibrium.

    Raises:
        UsageError: for times that are not positive, a negative duration, or t2 > 2 t1.
    """
    for name, value in (("T1", t1), ("T2", t2)):
        if value is not None and not (is_number(value) and 0 < value < inf):
            raise UsageError(f"{name} is a positive time, or None for infinite, not {value!r}")
    decay_rate, rate = (0.0 if t is None else 1 / t for t in (t1, t2))
    if rate < decay_rate / 2 * (1 - 1e-12):
        raise UsageError(
            f"T2 = {t2} is above 2 T1 = {2 * t1}, which no qubit can have: take min(T2, 2 T1)"  # type: ignore[operator]
        )
    if not (is_number(time) and 0 <= time < inf):
        raise UsageError(f"the time of thermal_relaxation is 0 or more, not {time!r}")
    rest = max(0.0, rate - decay_rate / 2)  # dephasing beyond what the decay brings
    operators = [
        (a * b, second @ first)
        for a, second in _dephasing(-expm1(-2 * time * rest))
        for b, first in _damping(-expm1(-time * decay_rate), excited_population)
    ]
    return _channel("thermal_relaxation", (t1, t2, time, excited_population), operators)


def reset_error(p0: float, p1: float = 0.0) -> Channel:
    """The qubit is set to |0> with probability p0, and to |1> with probability p1."""
    for name, value in (("p0", p0), ("p1", p1)):
        check_probability(value, f"{name} of reset_error")
    if p0 + p1 > 1 + 1e-9:
        raise UsageError(f"p0 + p1 of reset_error is at most 1, not {p0 + p1:.6g}")
    units = np.eye(4).reshape(4, 2, 2)  # |0><0|, |0><1|, |1><0|, |1><1|
    scales = [sqrt(p0), sqrt(p0), sqrt(p1), sqrt(p1)]
    rest = (sqrt(max(0.0, 1 - p0 - p1)), np.eye(2))
    return _channel("reset_error", (p0, p1), [rest, *zip(scales, units, strict=True)])


_Operators = Iterable[tuple[float, np.ndarray]]


def _damping(gamma: float, population: float) -> list[tuple[float, np.ndarray]]:
    check_probability(gamma, "the probability of damping")
    check_probability(population, "the excited population")
    keep = sqrt(1 - gamma)
    return [
        (sqrt(1 - population), np.array([[1, 0], [0, keep]])),
        (sqrt(1 - population), np.array([[0, sqrt(gamma)], [0, 0]])),
        (sqrt(population), np.array([[keep, 0], [0, 1]])),
        (sqrt(population), np.array([[0, 0], [sqrt(gamma), 0]])),
    ]


def _dephasing(lam: float) -> list[tuple[float, np.ndarray]]:
    check_probability(lam, "the probability of phase damping")
    flip = lam / (2 * (1 + sqrt(1 - lam)))  # (1 - sqrt(1 - lam)) / 2 without cancellation
    return [(sqrt(1 - flip), PAULI["I"]), (sqrt(flip), PAULI["Z"])]


# --- Unitary errors and general channels ----------------------------------------------------------


def over_rotation(label: str, angle: float) -> Channel:
    """A coherent error: exp(-i angle P / 2) for a Pauli string, the first qubit rightmost."""
    from qsim.families import pauli_rotation

    if not isinstance(angle, (int, float)) or not isfinite(angle):
        raise UsageError(f"the angle of over_rotation is a finite number, not {angle!r}")
    matrix = pauli_rotation(label).unitary.at(float(angle))
    return _channel("over_rotation", (label, float(angle)), [(1.0, matrix)])


def crosstalk_zz(angle: float) -> Channel:
    """exp(-i angle ZZ / 2): what two neighbours do to each other while one of them is driven."""
    matrix = over_rotation("ZZ", angle).kraus[0]
    return _channel("crosstalk_zz", (float(angle),), [(1.0, matrix)])


def unitary_error(matrix: Any) -> Channel:
    """A unitary matrix [2**k, 2**k], which happens besides."""
    array = unitary(_complex(matrix)).unitary.at()
    return _channel("unitary_error", (_nested(array),), [(1.0, array)])


def kraus(operators: Sequence[Any] | np.ndarray) -> Channel:
    """The channel of some Kraus operators, complex [number, 2**k, 2**k].

    Raises:
        UsageError: for another shape, or if sum K+K is not the identity.
    """
    try:
        array = np.array([_complex(operator) for operator in operators], dtype=complex)
    except (TypeError, ValueError):
        raise UsageError("Kraus operators are square matrices of one size, 2**k") from None
    return _channel("kraus", (_nested(array),), [(1.0, operator) for operator in array])


def _complex(operator: Any) -> np.ndarray:
    """A matrix of numbers, or of pairs (re, im) as `Channel.arguments` has them."""
    array = np.asarray(operator)
    return array[..., 0] + 1j * array[..., 1] if array.ndim == 3 else array


def _nested(array: np.ndarray) -> tuple[Any, ...]:
    """The numbers as nested tuples of pairs (re, im), which hash and go into JSON."""
    if array.ndim == 0:
        return (float(array.real), float(array.imag))
    return tuple(_nested(part) for part in array)


# --- Checks ---------------------------------------------------------------------------------------


def _channel(name: str, arguments: tuple[Any, ...], terms: _Operators) -> Channel:
    """The channel of scaled operators, of which those that vanish are left out."""
    kept = [scale * np.asarray(operator, dtype=complex) for scale, operator in terms]
    kept = [operator for operator in kept if operator.any()]
    shapes = {operator.shape for operator in kept}
    dim = next(iter(shapes))[0] if shapes else 0
    if shapes != {(dim, dim)} or dim & (dim - 1) or not 2 <= dim <= 2**MAX_QUBITS:
        raise UsageError(
            f"{name} takes square matrices of one size 2**k, for 1 to {MAX_QUBITS} qubits, not "
            f"{f'arrays of shape {sorted(shapes)}' if shapes else 'none'}"
        )
    array = np.stack(kept)
    total = np.einsum("mba,mbc->ac", array.conj(), array)
    error = float(np.abs(total - np.eye(dim)).max())
    if not error <= _TRACE_TO:
        raise UsageError(
            f"{name} does not preserve the trace: the sum of K+K differs from the identity by "
            f"{error:.2g}"
        )
    return Channel(name, dim.bit_length() - 1, _plain(arguments), array.tobytes())


def _plain(argument: Any) -> Any:
    """The argument with numbers of Python for those of NumPy, which JSON lacks."""
    if isinstance(argument, tuple):
        return tuple([_plain(part) for part in argument])
    return argument.item() if isinstance(argument, np.number) else argument


def is_number(value: Any) -> bool:
    """Whether it is a real number of Python or NumPy."""
    return isinstance(value, (int, float, np.integer, np.floating))


def check_probability(value: Any, what: str, most: float = 1.0) -> None:
    """Raises UsageError for what is no number from 0 to `most`."""
    if not is_number(value) or not 0 <= value <= most * (1 + 1e-12):
        raise UsageError(f"{what} is a number from 0 to {most:.6g}, not {value!r}")


def _count(num_qubits: Any) -> int:
    count = whole(num_qubits)
    if count is None or not 1 <= count <= MAX_QUBITS:
        raise UsageError(f"a channel acts on 1 to {MAX_QUBITS} qubits, not {num_qubits!r}")
    return count


CHANNELS: dict[str, Callable[..., Channel]] = {
    function.__name__: function
    for function in (
        bit_flip,
        phase_flip,
        bit_phase_flip,
        pauli_channel,
        depolarizing,
        amplitude_damping,
        generalized_amplitude_damping,
        phase_damping,
        thermal_relaxation,
        reset_error,
        over_rotation,
        crosstalk_zz,
        unitary_error,
        kraus,
    )
}


def make_channel(name: str, arguments: Sequence[Any]) -> Channel:
    """The channel that the function of that name makes of these arguments.

    Raises:
        UsageError: for another name or arguments that it does not take.
    """
    if name not in CHANNELS:
        raise UsageError(f"there is no channel {name!r}: there are {', '.join(CHANNELS)}")
    try:
        return CHANNELS[name](*arguments)
    except (TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{name} does not take {arguments!r:.60}") from None
