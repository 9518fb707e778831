"""Pauli strings and their sums: what circuits are measured in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Complex, Real
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from qsim.errors import UsageError
from qsim.gradients import transforms
from qsim.memory import check_bytes
from qsim.strings import Strings
from qsim.sums import sum_by_index

_LETTERS = frozenset("IXYZ")
_X_BITS = str.maketrans("IXYZ", "0110")
_Z_BITS = str.maketrans("IXYZ", "0011")
_CODES = str.maketrans("IXYZ", "\0\1\2\3")
# Letter a times letter b is i**_PHASE[a, b] times letter _PRODUCT[a, b], in the order I, X, Y, Z.
_PRODUCT = np.array([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]], dtype=np.uint8)
_PHASE = np.array([[0, 0, 0, 0], [0, 0, 1, 3], [0, 3, 0, 1], [0, 1, 3, 0]])
_POWERS = np.array([1, 1j, -1, -1j])


class _Operator:
    """Arithmetic of Pauli strings and sums; every result is a PauliSum."""

    def _sum(self) -> PauliSum:
        raise NotImplementedError

    def __add__(self, other: Any) -> PauliSum:
        mine, theirs = self._sum(), self._operand(other)
        return PauliSum(
            (*mine.strings, *theirs.strings),
            torch.cat(_alike(mine.coefficients, theirs.coefficients)),
        )

    def __sub__(self, other: Any) -> PauliSum:
        return self + (-1 * self._operand(other))

    def __rsub__(self, other: Any) -> PauliSum:
        return -1 * self + other

    def __neg__(self) -> PauliSum:
        return self * -1

    def __mul__(self, other: Any) -> PauliSum:
        if isinstance(other, _Operator):
            return _product(self._sum(), self._operand(other))
        mine = self._sum()
        factor = _numbers([other]).to(mine.coefficients.device)
        return PauliSum(mine.strings, mine.coefficients * factor)

    def __truediv__(self, divisor: Any) -> PauliSum:
        return self * (1 / divisor)

    def __radd__(self, other: Any) -> PauliSum:
        return self + other

    def __rmul__(self, factor: Any) -> PauliSum:
        return self * factor

    __array_ufunc__ = None  # NumPy's numbers leave the arithmetic to this class

    def _operand(self, other: Any) -> PauliSum:
        """Another operator on as many qubits; a number stands for that many identities."""
        mine = self._sum()
        if not isinstance(other, _Operator):
            return PauliSum([PauliString("I" * mine.num_qubits)], _numbers([other]))
        theirs = other._sum()
        if theirs.num_qubits != mine.num_qubits:
            raise UsageError(
                f"operators on {mine.num_qubits} and {theirs.num_qubits} qubits do not combine: "
                "write I for the qubits that are left alone"
            )
        return theirs


@dataclass(frozen=True)
class PauliString(_Operator):
    """A product of Pauli operators, a letter a qubit; the rightmost acts on qubit 0, as in Qiskit.

    Sums and products of strings and numbers are Pauli sums: 0.5 * PauliString("ZZ") + 1.

    Example:
        >>> PauliString("ZIX").x_mask, PauliString("ZIX").z_mask
        (1, 4)
    """

    label: str

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) or not self.label or not _LETTERS.issuperset(self.label):
            raise UsageError(
                f"a Pauli string is made of the letters I, X, Y and Z, not {self.label!r}"
            )

    @classmethod
    def z(cls, qubit: int, num_qubits: int) -> PauliString:
        """Z on one of `num_qubits` qubits."""
        if not 0 <= qubit < num_qubits:
            raise UsageError(f"Z on qubit {qubit}: {num_qubits} qubits are 0 to {num_qubits - 1}")
        return cls("I" * (num_qubits - 1 - qubit) + "Z" + "I" * qubit)

    @classmethod
    def from_sparse(cls, letters: str, qubits: Sequence[int], num_qubits: int) -> PauliString:
        """Letter k on qubit `qubits[k]`, I elsewhere: ("ZX", [0, 3], 4) is XIIZ.

        Raises:
            UsageError: if letters and qubits differ in number, or a qubit is repeated or not there.
        """
        where = check_qubits(qubits, num_qubits) if len(qubits) else ()
        if len(letters) != len(where):
            raise UsageError(f"{letters!r} on qubits {list(where)}: one letter for each qubit")
        label = ["I"] * num_qubits
        for letter, qubit in zip(letters, where, strict=True):
            label[num_qubits - 1 - qubit] = letter
        return cls("".join(label))

    @property
    def num_qubits(self) -> int:
        return len(self.label)

    @property
    def x_mask(self) -> int:
        """Bits of the qubits that are flipped (X or Y)."""
        return int(self.label.translate(_X_BITS), 2)

    @property
    def z_mask(self) -> int:
        """Bits of the qubits whose sign counts (Z or Y)."""
        return int(self.label.translate(_Z_BITS), 2)

    @property
    def num_y(self) -> int:
        return self.label.count("Y")

    def times(self, other: PauliString) -> tuple[complex, PauliString]:
        """The product as (phase, string): X times Y is (1j, Z). `*` takes real ones only."""
        self._operand(other)
        codes = _codes([self, other])
        phase = _POWERS[_PHASE[codes[0], codes[1]].sum() % 4]
        return complex(phase), PauliString(_label(_PRODUCT[codes[0], codes[1]]))

    def _sum(self) -> PauliSum:
        return PauliSum([(1.0, self)])


class PauliSum(_Operator):
    """A sum of Pauli strings with real coefficients: an observable, or a Hamiltonian.

    Immutable; strings that occur twice are added up. Sums, differences and products of sums,
    strings and numbers are sums again, as long as they are Hermitian.

    Args:
        terms: pairs (coefficient, string), or a mapping from strings to coefficients; or only
            strings, where `coefficients` has the numbers. A string is a PauliString or its label.
        coefficients: real [terms]. A tensor that wants a gradient gets one from `expval`.

    Raises:
        UsageError: for no terms, strings of different lengths, and coefficients that are complex,
            not finite, or of another number.

    Example:
        >>> print(0.5 * PauliString("ZZ") + PauliSum({"XI": 0.25, "IX": 0.25}))
        0.5*ZZ + 0.25*XI + 0.25*IX
    """

    __slots__ = ("_given", "_placed", "_places", "_strings")

    def __init__(
        self,
        terms: Mapping[Any, Any] | Iterable[Any],
        coefficients: Tensor | Sequence[float] | np.ndarray | None = None,
    ) -> None:
        if coefficients is None:
            pairs = _pairs(terms)
            strings = [_string(string) for _, string in pairs]
            given = _numbers([number for number, _ in pairs])
        else:
            strings = [_string(string) for string in terms]
            given = _numbers(coefficients)
        if not strings:
            raise UsageError("a PauliSum has one term or more, not none")
        if given.shape != (len(strings),):
            raise UsageError(
                f"coefficients of shape {list(given.shape)} do not fit {len(strings)} strings: "
                f"they are [{len(strings)}]"
            )
        lengths = sorted({len(string.label) for string in strings})
        if len(lengths) > 1:
            raise UsageError(f"the strings of a PauliSum act on equally many qubits, not {lengths}")
        places: dict[PauliString, int] = {}
        index = [places.setdefault(string, len(places)) for string in strings]
        self._strings = Strings(places)
        self._given = given
        self._placed: dict[torch.device, Tensor] = {}
        self._places = torch.tensor(index) if len(places) < len(index) else None

    @classmethod
    def from_sparse(
        cls, terms: Iterable[tuple[str, Sequence[int], float]], num_qubits: int
    ) -> PauliSum:
        """From (letters, qubits, coefficient): ("ZX", [0, 3], 0.5) is 0.5 Z on 0 and X on 3."""
        given = list(terms)
        return cls(
            [PauliString.from_sparse(letters, qubits, num_qubits) for letters, qubits, _ in given],
            _numbers([number for _, _, number in given]),
        )

    @property
    def strings(self) -> Strings:
        """Its strings, each once."""
        return self._strings

    @property
    def coefficients(self) -> Tensor:
        """Their coefficients, real [strings]; part of the graph of the tensor that was given."""
        if self._places is None:
            return self._given
        places = self._places.to(self._given.device)
        return sum_by_index(self._given, places, len(self.strings))

    def coefficients_on(self, device: torch.device) -> Tensor:
        """The same in double precision on a device, where constants stay once they are there.

        Copying them in every step would wait for a GPU, and no CUDA graph could hold the step.
        """
        given = self._given
        if given.requires_grad or given.device == device:
            return self.coefficients.to(device, torch.float64)
        if device not in self._placed:
            self._placed[device] = self.coefficients.to(device, torch.float64)
        return self._placed[device]

    @property
    def terms(self) -> tuple[tuple[float, PauliString], ...]:
        """Pairs (coefficient, string)."""
        return tuple(zip(self.coefficients.detach().tolist(), self.strings, strict=True))

    @property
    def num_qubits(self) -> int:
        return self.strings[0].num_qubits

    def simplify(self, tolerance: float = 1e-12) -> PauliSum:
        """Without the terms whose coefficient is at most `tolerance` in size."""
        numbers = self.coefficients
        kept = (numbers.detach().abs() > tolerance).nonzero().flatten()
        if not len(kept):
            return PauliSum([(0.0, "I" * self.num_qubits)])
        return PauliSum([self.strings[k] for k in kept.tolist()], numbers[kept])

    def matrix(self) -> np.ndarray:
        """The dense matrix, complex128 [2**n, 2**n]; for few qubits.

        Raises:
            UsageError: if it does not fit into memory.
        """
        check_bytes(16 * 4**self.num_qubits, f"the matrix of {self.num_qubits} qubits")
        columns = np.arange(2**self.num_qubits)
        matrix = np.zeros((len(columns), len(columns)), dtype=complex)
        for number, string in self.terms:
            signs = 1 - 2.0 * (np.bitwise_count(columns & string.z_mask) & 1)
            matrix[columns ^ string.x_mask, columns] += number * 1j**string.num_y * signs
        return matrix

    def _sum(self) -> PauliSum:
        return self

    def __eq__(self, other: object) -> bool:
        """Whether it is the same operator: zeros and the order of terms do not count."""
        if not isinstance(other, PauliSum):
            return NotImplemented
        mine, theirs = ({p: c for c, p in s.simplify(0.0).terms} for s in (self, other))
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]  # coefficients may be trained

    def __len__(self) -> int:
        return len(self.strings)

    def __str__(self) -> str:
        text = " + ".join(f"{number:.6g}*{string.label}" for number, string in self.terms)
        return text.replace("+ -", "- ")

    def __repr__(self) -> str:
        shown = [(number, string.label) for number, string in self.terms[:6]]
        more = f" and {len(self) - 6} more" if len(self) > 6 else ""
        return f"PauliSum({shown}{more})"


Observable: TypeAlias = PauliString | PauliSum
Observables: TypeAlias = Iterable[Observable] | None


@cache
def all_z(num_qubits: int) -> tuple[PauliString, ...]:
    """Z on each qubit in turn: the usual read-out of a classifier."""
    return tuple(PauliString.z(q, num_qubits) for q in range(num_qubits))


def check_observables(observables: Observables, num_qubits: int) -> tuple[Observable, ...]:
    """The observables to measure, Z on every qubit by default.

    Raises:
        UsageError: if one acts on another number of qubits than the circuit.
    """
    if observables is None:
        return all_z(num_qubits)
    if isinstance(observables, (str, _Operator)) or not isinstance(observables, Iterable):
        raise UsageError(
            f"observables come as a list of PauliString or PauliSum, not one {observables!r}"
        )
    given = tuple(observables)
    for observable in given:
        if not isinstance(observable, (PauliString, PauliSum)):
            raise UsageError(
                "an observable is a PauliSum, or a PauliString such as PauliString('IZ'), "
                f"not {observable!r}"
            )
        if observable.num_qubits != num_qubits:
            name = observable.label if isinstance(observable, PauliString) else "a PauliSum"
            raise UsageError(
                f"observable {name} acts on {observable.num_qubits} qubits, "
                f"but the circuit has {num_qubits}"
            )
    return given


def check_qubits(qubits: Iterable[int] | int, num_qubits: int) -> tuple[int, ...]:
    """The qubits as a tuple.

    Raises:
        UsageError: if there are none, or one is repeated or out of range.
    """
    given = tuple(qubits) if isinstance(qubits, Iterable) else (qubits,)
    for qubit in given:
        if isinstance(qubit, bool) or not hasattr(qubit, "__index__"):
            raise UsageError(f"a qubit is a whole number, not {qubit!r}")
        if not 0 <= qubit < num_qubits:
            raise UsageError(
                f"there is no qubit {qubit}: {num_qubits} qubits are 0 to {num_qubits - 1}"
            )
    if not given or len(set(given)) != len(given):
        raise UsageError(f"qubits are one or more different ones, not {list(given)}")
    return tuple(int(qubit) for qubit in given)


def _pairs(terms: Mapping[Any, Any] | Iterable[Any]) -> list[tuple[Any, Any]]:
    if isinstance(terms, Mapping):
        return [(number, string) for string, number in terms.items()]
    pairs: list[Any] = [terms] if isinstance(terms, (str, _Operator)) else list(terms)
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise UsageError(
                "a PauliSum is made of pairs such as (0.5, PauliString('ZZ')), of a dict such as "
                f"{{'ZZ': 0.5}}, or of strings and their coefficients, not of {pair!r}"
            )
    return pairs


def _string(value: Any) -> PauliString:
    if isinstance(value, PauliString):
        return value
    if isinstance(value, str):
        return PauliString(value)
    raise UsageError(
        f"a term of a PauliSum has a PauliString or a label such as 'ZZ': not {value!r}"
    )


def _numbers(values: Any) -> Tensor:
    """Coefficients as a real tensor; the very one where it wants a gradient."""
    if not isinstance(values, Tensor):
        listed = list(values)
        if any(isinstance(value, Tensor) for value in listed):
            values = torch.stack([torch.as_tensor(v, dtype=_precision(v)) for v in listed])
        else:
            values = torch.tensor([_number(value) for value in listed], dtype=torch.float64)
    if values.is_complex():
        raise UsageError(
            f"coefficients are real, not {values.dtype}: an observable is Hermitian, so take "
            "coefficients.real if that is meant"
        )
    if not values.requires_grad:
        values = values.to(torch.float64, copy=True)
    if not transforms.active() and not bool(values.detach().isfinite().all()):
        raise UsageError("coefficients of a PauliSum are finite numbers, but one is not")
    return values


def _precision(value: Any) -> torch.dtype:
    return torch.complex128 if torch.as_tensor(value).is_complex() else torch.float64


def _number(value: Any) -> float:
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Complex):
        if complex(value).imag:
            raise UsageError(
                f"a coefficient is real, not {value}: only Hermitian sums are observables"
            )
        return complex(value).real
    raise UsageError(f"a coefficient is a real number, not {value!r}")


def _alike(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(first.dtype, second.dtype)
    device = first.device if first.requires_grad else second.device
    return first.to(device, dtype), second.to(device, dtype)


def _codes(strings: Sequence[PauliString]) -> np.ndarray:
    """Letters as numbers, I X Y Z = 0 1 2 3: uint8 [strings, qubits]."""
    text = "".join(string.label for string in strings).translate(_CODES)
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8).reshape(len(strings), -1).copy()


def _label(codes: np.ndarray) -> str:
    return "".join("IXYZ"[code] for code in codes)


def _product(first: PauliSum, second: PauliSum) -> PauliSum:
    """All products of their strings, whose imaginary parts must cancel."""
    left, right = _codes(first.strings)[:, None], _codes(second.strings)[None]
    letters = _PRODUCT[left, right].reshape(-1, first.num_qubits)
    phases = _POWERS[_PHASE[left, right].sum(-1).reshape(-1) % 4]
    mine, theirs = _alike(first.coefficients, second.coefficients)
    numbers = (mine[:, None] * theirs).flatten()
    labels = [_label(row) for row in letters]
    real, imaginary = (
        PauliSum(labels, numbers * torch.as_tensor(part).to(numbers))
        for part in (phases.real, phases.imag)
    )
    largest = float(imaginary.coefficients.detach().abs().max())
    if largest > 1e-12 * float(numbers.detach().abs().max()):
        worst = imaginary.strings[int(imaginary.coefficients.detach().abs().argmax())]
        raise UsageError(
            f"the product is not Hermitian, because its factors do not commute: {worst.label} gets "
            "an imaginary coefficient, and only Hermitian sums are observables"
        )
    return real
