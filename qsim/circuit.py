"""Circuit: gates on qubits, whose angles are numbers, trainable weights or batched inputs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from qsim.errors import UsageError
from qsim.gates import ALIASES, GATES, Gate, find_gate

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Symbol:
    """The angle scale * source[index] + offset, in radians; source is "weight" or "input"."""

    source: str
    index: int
    scale: float = 1.0
    offset: float = 0.0

    def __mul__(self, factor: float) -> Symbol:
        number = self._number(factor, "*")
        return replace(self, scale=self.scale * number, offset=self.offset * number)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Symbol:
        return self * (1 / divisor)

    def __add__(self, number: float) -> Symbol:
        return replace(self, offset=self.offset + self._number(number, "+"))

    __radd__ = __add__

    def __sub__(self, number: float) -> Symbol:
        return self + (-number)

    def __rsub__(self, number: float) -> Symbol:
        return -self + number

    def __neg__(self) -> Symbol:
        return self * -1.0

    def _number(self, other: Any, operator: str) -> float:
        if isinstance(other, Symbol):
            raise UsageError(
                f"an angle is affine in one symbol, but {self} {operator} {other} has two: "
                "use two rotations, or feed the result as an input"
            )
        return float(other)

    def __str__(self) -> str:
        name = f"{'w' if self.source == 'weight' else 'x'}[{self.index}]"
        factor = {1.0: "", -1.0: "-"}.get(self.scale, f"{self.scale:.4g}*")
        return f"{factor}{name}" + (f"{self.offset:+.4g}" if self.offset else "")


def _whole(value: Any) -> int | None:
    """A Python int of any whole number, None of anything else."""
    return None if isinstance(value, bool) or not hasattr(value, "__index__") else index(value)


def _symbol(source: str, position: int) -> Symbol:
    number = _whole(position)
    if number is None or number < 0:
        raise UsageError(f"a {source} index is a whole number from 0 on, not {position!r}")
    return Symbol(source, number)


def Weight(position: int) -> Symbol:
    """Trainable angle number `position` of the weights tensor."""
    return _symbol("weight", position)


def Input(position: int) -> Symbol:
    """Angle from column `position` of the inputs tensor [batch, features]."""
    return _symbol("input", position)


Angle: TypeAlias = float | Symbol


class Operation(NamedTuple):
    """A gate on qubits with its angles."""

    gate: Gate
    qubits: tuple[int, ...]
    params: tuple[Angle, ...]

    def __str__(self) -> str:
        angles = ", ".join(f"{p:.4g}" if isinstance(p, float) else str(p) for p in self.params)
        return (
            f"{self.gate.name}{f'({angles})' if angles else ''} {','.join(map(str, self.qubits))}"
        )


class Circuit:
    """A quantum circuit. Every gate of `qsim.GATES` is a method: parameters first, then qubits.

    Args:
        num_qubits: number of qubits; qubit 0 is the least significant bit of a basis state.
        num_weights: length of the weights tensor; by default the highest Weight index + 1.
        num_inputs: number of input features; by default the highest Input index + 1.

    Example:
        >>> Circuit(2).h(0).cx(0, 1).ry(Weight(0), 1)
        Circuit(2 qubits, 1 weight, 0 inputs: h 0; cx 0,1; ry(w[0]) 1)
    """

    def __init__(
        self, num_qubits: int, num_weights: int | None = None, num_inputs: int | None = None
    ) -> None:
        self.num_qubits = _whole(num_qubits) or 0
        if self.num_qubits < 1:
            raise UsageError(f"a circuit has one qubit or more, not {num_qubits!r}")
        for size in (num_weights, num_inputs):
            if size is not None and (_whole(size) is None or size < 0):
                raise UsageError(f"a number of weights or inputs is 0 or more, not {size!r}")
        self._operations: list[Operation] = []
        self._declared = {"weight": num_weights, "input": num_inputs}
        self._used = {"weight": 0, "input": 0}
        self._program: Any = None

    @property
    def operations(self) -> tuple[Operation, ...]:
        return tuple(self._operations)

    @property
    def num_weights(self) -> int:
        return self._size("weight")

    @property
    def num_inputs(self) -> int:
        return self._size("input")

    def _size(self, source: str) -> int:
        declared = self._declared[source]
        return self._used[source] if declared is None else declared

    def append(
        self, name: str | Gate, qubits: int | Iterable[int], params: Iterable[Angle] = ()
    ) -> Circuit:
        """Add one gate and return the circuit.

        Args:
            name: a gate of the table, by name or alias.
            qubits: the qubits it acts on, controls first.
            params: its angles in radians: numbers, Weight(i), Input(i), or a * Weight(i) + b.

        Raises:
            UsageError: for an unknown gate, a wrong number of qubits or angles, a qubit out of
                range or repeated, a non-finite angle, or a symbol beyond the declared size.
        """
        gate = name if isinstance(name, Gate) else GATES.get(name) or find_gate(name)
        where = self._check_qubits(gate, (qubits,) if _whole(qubits) is not None else qubits)
        if not isinstance(params, Iterable):
            raise UsageError(f"angles of {gate.name} come as a list, not {params!r}")
        angles = tuple([self._angle(gate, p) for p in params])
        if len(angles) != len(gate.params):
            raise UsageError(
                f"{gate.name} takes {len(gate.params)} angles ({', '.join(gate.params)}), "
                f"not {len(angles)}"
            )
        for angle in angles:
            if isinstance(angle, Symbol):
                self._used[angle.source] = max(self._used[angle.source], angle.index + 1)
        self._operations.append(Operation(gate, where, angles))
        self._program = None
        return self

    def _check_qubits(self, gate: Gate, qubits: Any) -> tuple[int, ...]:
        given = tuple(qubits)
        checked = tuple([_whole(qubit) for qubit in given])
        if len(given) != gate.num_qubits:
            raise UsageError(
                f"{gate.name} acts on {gate.num_qubits} qubits, not {len(given)}: {given}"
            )
        for qubit in checked:
            if qubit is None or not 0 <= qubit < self.num_qubits:
                wrong = given[checked.index(qubit)]
                raise UsageError(
                    f"{gate.name} on qubit {wrong!r}: a circuit of {self.num_qubits} qubits "
                    f"has qubits 0 to {self.num_qubits - 1}"
                )
        if len(set(checked)) != len(checked):
            raise UsageError(f"{gate.name} needs {len(given)} different qubits, not {given}")
        return checked  # type: ignore[return-value]

    def _angle(self, gate: Gate, value: Any) -> Angle:
        if isinstance(value, Symbol):
            declared = self._declared[value.source]
            if declared is not None and value.index >= declared:
                raise UsageError(
                    f"{gate.name} uses {value.source} {value.index}, "
                    f"but the circuit was declared with {declared} {value.source}s"
                )
            if not (math.isfinite(value.scale) and math.isfinite(value.offset)):
                raise UsageError(f"an angle of {gate.name} is {value}: its numbers must be finite")
            return value
        if getattr(value, "requires_grad", False):
            raise UsageError(
                f"an angle of {gate.name} wants a gradient: use Weight(i) and pass it as weights"
            )
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise UsageError(
                f"an angle of {gate.name} is a number, Weight(i) or Input(i), not {value!r}"
            ) from None
        if not math.isfinite(number):
            raise UsageError(
                f"an angle of {gate.name} is {number}: angles are finite numbers in radians"
            )
        return number

    def bind(self, weights: Tensor | None = None, inputs: Tensor | None = None) -> Circuit:
        """A copy with weights [num_weights], inputs [num_inputs] or both replaced by numbers."""
        values = {
            source: _numbers(source, tensor, self._size(source))
            for source, tensor in (("weight", weights), ("input", inputs))
            if tensor is not None
        }
        kept = {k: None if k in values else size for k, size in self._declared.items()}
        bound = Circuit(self.num_qubits, kept["weight"], kept["input"])
        for gate, qubits, params in self._operations:
            bound.append(gate, qubits, [_substitute(p, values) for p in params])
        return bound

    def compose(self, other: Circuit) -> Circuit:
        """Append the gates of a circuit on the same qubits, weights and inputs; returns self."""
        if other.num_qubits > self.num_qubits:
            raise UsageError(
                f"a circuit of {other.num_qubits} qubits does not fit into one of {self.num_qubits}"
            )
        for gate, qubits, params in other.operations:
            self.append(gate, qubits, params)
        return self

    def inverse(self) -> Circuit:
        """The circuit that undoes this one, from gates of the table."""
        undone = self._empty()
        for gate, qubits, params in reversed(self._operations):
            for step, where, angles in expand(gate.inverse, gate, qubits, params):
                undone.append(step, where, angles)
        return undone

    def copy(self) -> Circuit:
        """A circuit of its own with the same gates."""
        return self._empty().compose(self)

    __copy__ = copy

    def _empty(self) -> Circuit:
        return Circuit(self.num_qubits, self._declared["weight"], self._declared["input"])

    def count_ops(self) -> dict[str, int]:
        """How often each gate occurs, most frequent first."""
        return dict(Counter(op.gate.name for op in self._operations).most_common())

    def depth(self) -> int:
        """Length of the longest chain of gates that share qubits."""
        level = [0] * self.num_qubits
        for _, qubits, _ in self._operations:
            reached = 1 + max(level[q] for q in qubits)
            for q in qubits:
                level[q] = reached
        return max(level)

    def __len__(self) -> int:
        return len(self._operations)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Circuit)
            and self.num_qubits == other.num_qubits
            and self.num_weights == other.num_weights
            and self.num_inputs == other.num_inputs
            and self._operations == other._operations
        )

    __hash__ = None  # type: ignore[assignment]  # circuits grow

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_program": None}

    def __repr__(self) -> str:
        counts = [
            (self.num_qubits, "qubit"),
            (self.num_weights, "weight"),
            (self.num_inputs, "input"),
        ]
        sizes = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
        shown = "; ".join(map(str, self._operations[:12]))
        more = len(self._operations) - 12
        return f"Circuit({sizes}: {shown}{f'; ... {more} more' if more > 0 else ''})"


def _numbers(source: str, tensor: Tensor, size: int) -> list[float]:
    if not hasattr(tensor, "dim"):
        raise UsageError(f"binding takes {source}s as a tensor, not {tensor!r}")
    if tensor.dim() != 1 or len(tensor) != size:
        raise UsageError(
            f"binding takes {source}s of shape [{size}], not {list(tensor.shape)}: "
            "bind one sample at a time"
        )
    return [float(value) for value in tensor.detach().cpu().tolist()]


def _substitute(param: Angle, values: dict[str, list[float]]) -> Angle:
    if isinstance(param, Symbol) and param.source in values:
        return param.scale * values[param.source][param.index] + param.offset
    return param


@lru_cache(maxsize=1024)
def _template(builder: Callable[..., Circuit], num_qubits: int, num_params: int) -> Circuit:
    """A decomposition written out once: its angles are Weight(k) for parameter k of the gate."""
    return builder(Circuit(num_qubits), *[Weight(k) for k in range(num_params)])


def expand(
    builder: Callable[..., Circuit], gate: Gate, qubits: Sequence[int], params: Sequence[Angle]
) -> Iterable[Operation]:
    """What `builder` (a gate's decomposition or inverse) makes of it on these qubits and angles."""
    for step, where, angles in _template(builder, gate.num_qubits, gate.num_params).operations:
        filled = tuple(
            a.scale * params[a.index] + a.offset if isinstance(a, Symbol) else a for a in angles
        )
        yield Operation(step, tuple(qubits[q] for q in where), filled)


def _method(gate: Gate) -> Callable[..., Circuit]:
    count = len(gate.params)

    def add(self: Circuit, *arguments: Any) -> Circuit:
        return self.append(gate, arguments[count:], arguments[:count])

    add.__name__ = gate.name
    what = f"Add {gate.name}"
    add.__doc__ = (
        f"{what}({', '.join([*gate.params, 'qubits'])}): angles in radians, controls first."
    )
    return add


for _gate in GATES.values():
    setattr(Circuit, _gate.name, _method(_gate))
for _alias, _name in ALIASES.items():
    setattr(Circuit, _alias, getattr(Circuit, _name))
