"""From what was measured to what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compile.execution.links import Answer, Piece
from compile.execution.mitigation import Mitigation
from compile.execution.programs import Program
from qsim.errors import UsageError, need
from qsim.gradients.rules import Function, find_rule
from qsim.observables import Observable, PauliString, PauliSum
from qsim.results import combine, layout
from qsim.strings import Strings

Measured = tuple[Piece, Answer]
_ALL_ROWS = 2**62  # no chunks: every shift of a gradient belongs to one pub


@dataclass(frozen=True)
class Gradient:
    """A derivative that is wanted.

    Attributes:
        method: "shift", "finite-difference" or "spsa", as in `qsim`.
        point: weights and inputs side by side, float64 [batch, columns].
        wanted: columns in which it is wanted.
        frequencies: of expectation values in each column.
        seed: of random directions.
    """

    method: str
    point: Tensor
    wanted: tuple[int, ...]
    frequencies: tuple[tuple[float, ...], ...]
    seed: int

    def rows(self, outputs: int) -> Tensor:
        """Where the values have to be known: float64 [rows, columns]."""
        asked: list[Tensor] = []

        def values(rows: Tensor) -> Tensor:
            asked.append(rows)
            return rows.new_zeros(len(rows), outputs)

        self._jacobian(values, outputs)
        return torch.cat(asked) if asked else self.point[:0]

    def jacobian(self, values: Tensor) -> Tensor:
        """From the values [rows, outputs] of `rows`: [batch, outputs, wanted columns]."""
        return self._jacobian(lambda _: values, values.shape[1])[..., list(self.wanted)]

    def _jacobian(self, values: Any, outputs: int) -> Tensor:
        rule = find_rule(self.method)
        assert rule is not None
        function = Function(
            values, self.point, list(self.wanted), outputs, list(self.frequencies), True, _ALL_ROWS
        )
        return rule.jacobian(function, torch.Generator().manual_seed(self.seed))


@dataclass(frozen=True)
class Question:
    """What was asked for.

    Attributes:
        num_qubits: logical ones.
        samples: number of samples, and None for one without a batch dimension.
        observables: to estimate; None asks for what was read.
        gradient: the derivative of their values, rather than the values.
    """

    num_qubits: int
    samples: int | None
    observables: tuple[Observable, ...] | None = None
    gradient: Gradient | None = None

    @property
    def strings(self) -> Strings:
        assert self.observables is not None
        return layout(self.observables).strings

    def answer(
        self, program: Program, measured: list[Measured], mitigation: Mitigation
    ) -> Tensor | list[dict[str, int]] | dict[str, int]:
        """Expectation values, their derivatives, or counts; see `Executor`."""
        if self.observables is None:
            counts = _counts(measured, 0, self.num_qubits)
            return counts[0] if self.samples is None else _repeated(counts, self.samples)
        if program.primitive == "estimator":
            strings = _estimated(measured, len(program.pubs[0].values), len(self.strings))
        else:
            strings = _from_bits(program, measured, self.strings, self.num_qubits, mitigation)
        values = combine(torch.as_tensor(strings), self.observables)
        if self.gradient is None:
            found = _for_each(values, 1 if self.samples is None else self.samples)
        else:
            rows = self.gradient.rows(len(self.observables))
            found = self.gradient.jacobian(_for_each(values, len(rows)))
        return (found[0] if self.samples is None else found).float()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, but for the point of a gradient."""
        gradient = self.gradient
        return {
            "num_qubits": self.num_qubits,
            "samples": self.samples,
            "observables": None
            if self.observables is None
            else [_observable_to_json(observable) for observable in self.observables],
            "gradient": gradient
            and {
                "method": gradient.method,
                "wanted": list(gradient.wanted),
                "frequencies": [list(f) for f in gradient.frequencies],
                "seed": gradient.seed,
            },
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any], point: Tensor | None) -> Question:
        """The inverse of `to_dict`."""
        observables, gradient = value["observables"], value["gradient"]
        return cls(
            value["num_qubits"],
            value["samples"],
            None if observables is None else tuple(map(_observable_from_json, observables)),
            None
            if gradient is None or point is None
            else Gradient(
                gradient["method"],
                point,
                tuple(gradient["wanted"]),
                tuple(tuple(f) for f in gradient["frequencies"]),
                gradient["seed"],
            ),
        )


def _observable_to_json(observable: Observable) -> Any:
    if isinstance(observable, PauliString):
        return observable.label
    return [[number, string.label] for number, string in observable.terms]


def _observable_from_json(value: Any) -> Observable:
    if isinstance(value, str):
        return PauliString(value)
    return PauliSum([(number, label) for number, label in value])


def _for_each(values: Tensor, rows: int) -> Tensor:
    """Values of one row for all, where nothing tells these apart."""
    return values.expand(rows, -1) if len(values) == 1 else values


def _repeated(counts: list[dict[str, int]], samples: int) -> list[dict[str, int]]:
    return counts * samples if len(counts) == 1 else counts


def _estimated(measured: Iterable[Measured], rows: int, strings: int) -> np.ndarray:
    """Values of an estimator, [rows, strings]."""
    found = np.full((rows, strings), np.nan)
    for piece, answer in measured:
        evs = answer["evs"]
        found[piece.start : piece.start + len(evs)] = evs
    return found


def _from_bits(
    program: Program,
    measured: list[Measured],
    strings: Strings,
    num_qubits: int,
    mitigation: Mitigation,
) -> np.ndarray:
    """Expectation values of strings from what was read in each basis, [rows, strings]."""
    rows = len(program.pubs[0].values) if program.pubs else 1
    found = np.ones((rows, len(strings)))
    correct = mitigation.readout == "m3"
    matrices = _confusion(measured, len(program.pubs), num_qubits) if correct else None
    for pub, setting in enumerate(strings.settings):
        supports = [_qubits(support) for support in setting.supports]
        if matrices is None:
            values = _mean_parities(measured, pub, rows, supports, num_qubits)
        else:
            values = _corrected(_counts(measured, pub, num_qubits), supports, matrices)
        found[:, setting.indices.numpy()] = values
    return found


def _qubits(mask: int) -> list[int]:
    return [q for q in range(mask.bit_length()) if mask >> q & 1]


def _pieces(measured: Iterable[Measured], pub: int) -> Iterator[tuple[int, np.ndarray]]:
    """First row and packed bits [rows, shots, bytes] of what was read for a pub."""
    return ((piece.start, answer["bits"]) for piece, answer in measured if piece.pub == pub)


def _unpacked(packed: np.ndarray, num_bits: int) -> np.ndarray:
    """Bits [..., bits] of bytes [..., bytes], which hold bit 0 last."""
    return np.unpackbits(packed, axis=-1)[..., ::-1][..., :num_bits]


def _mean_parities(
    measured: Iterable[Measured], pub: int, rows: int, supports: list[list[int]], num_bits: int
) -> np.ndarray:
    """Mean of (-1)**(sum of the bits of a support) over all shots of a row, [rows, supports]."""
    odd, shots = np.zeros((rows, len(supports))), np.zeros((rows, 1))
    for start, packed in _pieces(measured, pub):
        bits, chosen = _unpacked(packed, num_bits), slice(start, start + len(packed))
        for k, qubits in enumerate(supports):
            odd[chosen, k] += (bits[..., qubits].sum(-1) & 1).sum(-1)
        shots[chosen] += packed.shape[1]
    return 1 - 2 * odd / shots


def _counts(measured: Iterable[Measured], pub: int, num_bits: int) -> list[dict[str, int]]:
    """How often each bitstring was read in each row, most frequent first; qubit 0 is rightmost."""
    found: dict[int, dict[str, int]] = {}
    for start, packed in _pieces(measured, pub):
        bits = _unpacked(packed, num_bits)[..., ::-1]
        for row, shots in enumerate(bits, start):
            counts = found.setdefault(row, {})
            for read, number in zip(*np.unique(shots, axis=0, return_counts=True), strict=True):
                key = "".join(map(str, read))
                counts[key] = counts.get(key, 0) + int(number)
    return [
        dict(sorted(found[row].items(), key=lambda item: (-item[1], item[0])))
        for row in sorted(found)
    ]


def _confusion(measured: list[Measured], num_pubs: int, num_qubits: int) -> list[np.ndarray]:
    """Probability of reading each bit (rows) in each basis state (columns), a matrix a qubit."""
    ones = []
    for pub in (num_pubs - 2, num_pubs - 1):
        single = [[q] for q in range(num_qubits)]
        ones.append((1 - _mean_parities(measured, pub, 1, single, num_qubits)[0]) / 2)
    return [
        np.array([[1 - a, 1 - b], [a, b]], dtype=np.float32) for a, b in zip(*ones, strict=True)
    ]


def _corrected(
    counts: list[dict[str, int]], supports: list[list[int]], matrices: list[np.ndarray]
) -> np.ndarray:
    """Expectation values [rows, supports] after the readout errors are inverted by mthree."""
    mthree = need("mthree", extra="mitigation", purpose="correcting readout errors by m3")
    mitigator = mthree.M3Mitigation()
    mitigator.cals_from_matrices(matrices)
    num_qubits = len(matrices)
    operators = [
        "".join("Z" if q in qubits else "I" for q in reversed(range(num_qubits)))
        for qubits in supports
    ]
    quasi = mitigator.apply_correction(counts, list(range(num_qubits)))
    return np.array([[row.expval(operator) for operator in operators] for row in quasi])


def check_rule(method: str) -> None:
    """Raise UsageError for what is no way to get gradients from shots."""
    if not isinstance(method, str) or find_rule(method) is None:
        raise UsageError(
            f"a device gives gradients by 'shift', 'finite-difference' or 'spsa', not {method!r}"
        )
