"""Layers, what encoders, templates and design spaces are made of: one gate repeated over qubits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations, count, islice
from typing import Any, TypeAlias, TypeVar

from qsim import Circuit, Weight
from qsim.errors import UsageError
from qsim.gates import find_gate
from qsim.parameters import whole

Sites: TypeAlias = Sequence[tuple[int, ...]]
Found = TypeVar("Found")


def each(num_qubits: int) -> Sites:
    """(0,), (1,), ..., (n-1,)."""
    return [(q,) for q in range(num_qubits)]


def linear(num_qubits: int) -> Sites:
    """(0, 1), (1, 2), ..., (n-2, n-1)."""
    return [(q, q + 1) for q in range(num_qubits - 1)]


def reverse_linear(num_qubits: int) -> Sites:
    """(n-2, n-1), ..., (1, 2), (0, 1): as CX the same matrix as "full", with fewer gates."""
    return linear(num_qubits)[::-1]


def ring(num_qubits: int, step: int = 1) -> Sites:
    """(0, 1), (1, 2), ..., (n-1, 0); or with `step` 2: (0, 2), (1, 3), ..., (n-1, 1)."""
    return [(q, (q + step) % num_qubits) for q in range(num_qubits)]


def circular(num_qubits: int) -> Sites:
    """(n-1, 0), (0, 1), ..., (n-2, n-1): Qiskit's order; on two qubits there is one pair."""
    closing = [(num_qubits - 1, 0)] if num_qubits > 2 else []
    return [*closing, *linear(num_qubits)]


def full(num_qubits: int) -> Sites:
    """(0, 1), (0, 2), ..., (n-2, n-1): every pair."""
    return list(combinations(range(num_qubits), 2))


def even(num_qubits: int) -> Sites:
    """(0, 1), (2, 3), ..."""
    return linear(num_qubits)[::2]


def odd(num_qubits: int) -> Sites:
    """(1, 2), (3, 4), ..."""
    return linear(num_qubits)[1::2]


def pairwise(num_qubits: int) -> Sites:
    """(0, 1), (2, 3), ..., then (1, 2), (3, 4), ..."""
    return [*even(num_qubits), *odd(num_qubits)]


def butterfly(num_qubits: int) -> Sites:
    """(0, n-1), (1, n-2), ..."""
    return [(q, num_qubits - 1 - q) for q in range(num_qubits // 2)]


def ring32(num_qubits: int) -> Sites:
    """32 pairs around the ring, whatever the number of qubits."""
    return [(k % num_qubits, (k + 1) % num_qubits) for k in range(32)]


PATTERNS: dict[str, Callable[[int], Sites]] = {
    function.__name__: function
    for function in (
        *(each, linear, reverse_linear, ring, circular, full),
        *(even, odd, pairwise, butterfly, ring32),
    )
}
"""Where the gates of a layer go, by name."""


@dataclass(frozen=True)
class Layer:
    """One gate repeated over the qubits.

    Attributes:
        gate: name in the gate table.
        pattern: "each" puts a one-qubit gate on every qubit in order, the others of `PATTERNS` put
            two-qubit gates on pairs; or the qubits of every gate, as in ((0, 1), (2, 3)).
    """

    gate: str
    pattern: str | tuple[tuple[int, ...], ...] = "each"

    def sites(self, num_qubits: int) -> tuple[tuple[int, ...], ...]:
        """Qubits of every gate of the full layer, in the order in which front sampling keeps them.

        Raises:
            UsageError: if gate and pattern, or pattern and number of qubits, do not fit together.
        """
        if not isinstance(self.pattern, str):
            return self.pattern
        places = named(PATTERNS, self.pattern, "pattern")
        needed = 1 if self.pattern == "each" else 2
        given = find_gate(self.gate).num_qubits
        if given != needed:
            raise UsageError(
                f"pattern {self.pattern!r} takes gates on {needed} qubits, "
                f"but {self.gate} acts on {given}"
            )
        if num_qubits < needed:
            raise UsageError(
                f"pattern {self.pattern!r} needs at least {needed} qubits, got {num_qubits}"
            )
        return tuple(places(num_qubits))

    def to_json(self) -> list[Any]:
        """[gate, pattern], JSON-able."""
        return [self.gate, self.pattern]

    @classmethod
    def from_json(cls, value: Sequence[Any]) -> Layer:
        """The layer of `to_json`. Raises TypeError or ValueError if it is none."""
        gate, pattern = value
        return cls(gate, pattern if isinstance(pattern, str) else tuple(map(tuple, pattern)))


def add_layers(circuit: Circuit, layers: Iterable[Layer], angles: Iterator[Any]) -> Circuit:
    """Append layers to the circuit, whose gates take the next of the angles; returns the circuit.

    Raises:
        UsageError: for an unknown gate or pattern, qubits out of range, or too few angles.
    """
    for layer in layers:
        gate = find_gate(layer.gate)
        for qubits in layer.sites(circuit.num_qubits):
            circuit.append(gate, qubits, list(islice(angles, gate.num_params)))
    return circuit


def new_weights(circuit: Circuit) -> Iterator[Any]:
    """Weights that the circuit does not have yet, in order."""
    return map(Weight, count(circuit.num_weights))


def times(value: int, what: str, least: int = 0) -> int:
    """The value as a number of repetitions. Raises UsageError if it is none."""
    number = whole(value)
    if number is None or number < least:
        raise UsageError(f"the number of {what} is {least} or more, not {value!r}")
    return number


def named(table: Mapping[str, Found], name: str, kind: str) -> Found:
    """The entry of that name. Raises UsageError with the nearest names, if there is none."""
    if name in table:
        return table[name]
    near = get_close_matches(str(name), table, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(table)}"
    raise UsageError(f"there is no {kind} {name!r}; {hint}")
