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


def linear(num_qubits: int, width: int = 2) -> Sites:
    """(0, 1), (1, 2), ..., (n-2, n-1)."""
    return [tuple(range(q, q + width)) for q in range(num_qubits - width + 1)]


def reverse_linear(num_qubits: int, width: int = 2) -> Sites:
    """(n-2, n-1), ..., (1, 2), (0, 1): as CX the same matrix as "full", with fewer gates."""
    return linear(num_qubits, width)[::-1]


def ring(num_qubits: int, step: int = 1) -> Sites:
    """(0, 1), (1, 2), ..., (n-1, 0); or with `step` 2: (0, 2), (1, 3), ..., (n-1, 1)."""
    return [(q, (q + step) % num_qubits) for q in range(num_qubits)]


def circular(num_qubits: int, width: int = 2) -> Sites:
    """(n-1, 0), (0, 1), ..., (n-2, n-1): Qiskit's order; on two qubits there is one pair."""
    closing = range(num_qubits - width + 1, num_qubits) if num_qubits > width else ()
    wrapped = [tuple((q + k) % num_qubits for k in range(width)) for q in closing]
    return [*wrapped, *linear(num_qubits, width)]


def sca(num_qubits: int, width: int = 2, layer: int = 0) -> Sites:
    """Shifted-circular-alternating: "circular", one place later and turned round in every layer.

    Qiskit's variant of circuit 14 of Sim et al., arXiv:1905.10876.
    """
    pairs = list(circular(num_qubits, width))
    cut = -layer % num_qubits
    shifted = pairs[cut:] + pairs[:cut]
    return [pair[::-1] for pair in shifted] if layer % 2 else shifted


def full(num_qubits: int, width: int = 2) -> Sites:
    """(0, 1), (0, 2), ..., (n-2, n-1): every pair."""
    return list(combinations(range(num_qubits), width))


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


_ANY_WIDTH = (linear, reverse_linear, circular, sca, full)
PATTERNS: dict[str, Callable[..., Sites]] = {
    function.__name__: function
    for function in (each, ring, *_ANY_WIDTH, even, odd, pairwise, butterfly, ring32)
}
"""Where the gates of a layer go, by name."""

Pattern: TypeAlias = str | Sequence[Sequence[int]]
"""A name in `PATTERNS`, or the qubits of every gate, as in ((0, 1), (2, 3))."""
Entanglement: TypeAlias = Pattern | Sequence[Pattern] | Callable[[int], Pattern | Sequence[Pattern]]
"""A pattern for all gates, one for each of them, or a function that gives either for layer 0, 1,
..., as Qiskit's `n_local` takes them."""


def places(pattern: Pattern, num_qubits: int, gate: str, width: int, layer: int = 0) -> Sites:
    """Qubits of every gate on `width` qubits in that pattern, in the layer of that number.

    Raises:
        UsageError: if gate and pattern, or pattern and number of qubits, do not fit together.
    """
    if not isinstance(pattern, str):
        return [tuple(qubits) for qubits in pattern]
    function = named(PATTERNS, pattern, "pattern")
    needed = 1 if function is each else max(2, width) if function in _ANY_WIDTH else 2
    if width != needed:
        raise UsageError(
            f"pattern {pattern!r} takes gates on {needed} qubits, but {gate} acts on {width}"
        )
    if num_qubits < needed:
        raise UsageError(f"pattern {pattern!r} needs at least {needed} qubits, got {num_qubits}")
    if function is sca:
        return sca(num_qubits, width, layer)
    return function(num_qubits, width) if function in _ANY_WIDTH else function(num_qubits)


def entangled(
    gates: Sequence[str], entanglement: Entanglement, num_qubits: int, layer: int
) -> list[Layer]:
    """The gates, each over its pattern in the layer of that number.

    Raises:
        UsageError: as `places`, or if there are not as many patterns as gates.
    """
    given: Any = entanglement(layer) if callable(entanglement) else entanglement
    if isinstance(given, str) or not len(given) or isinstance(given[0][0], int):
        given = [given] * len(gates)
    if len(given) != len(gates):
        raise UsageError(
            f"{len(gates)} entangling gates take one pattern, or one each, not {len(given)}"
        )
    return [
        Layer(gate, tuple(places(pattern, num_qubits, gate, find_gate(gate).num_qubits, layer)))
        for gate, pattern in zip(gates, given, strict=True)
    ]


@dataclass(frozen=True)
class Layer:
    """One gate repeated over the qubits.

    Attributes:
        gate: name in the gate table.
        pattern: "each" puts a one-qubit gate on every qubit in order, the others of `PATTERNS` put
            two-qubit gates on pairs, and "linear", "reverse_linear", "circular" and "full" also
            larger gates; or the qubits of every gate, as in ((0, 1), (2, 3)).
    """

    gate: str
    pattern: str | tuple[tuple[int, ...], ...] = "each"

    def sites(self, num_qubits: int) -> tuple[tuple[int, ...], ...]:
        """Qubits of every gate of the full layer, in the order in which front sampling keeps them.

        Raises:
            UsageError: if gate and pattern, or pattern and number of qubits, do not fit together.
        """
        width = find_gate(self.gate).num_qubits
        return tuple(places(self.pattern, num_qubits, self.gate, width))

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
