"""Circuit: gates on qubits, whose angles are numbers, weights, inputs, parameters or tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from qsim.building import Building
from qsim.conversions import Conversions
from qsim.deriving import Deriving
from qsim.dynamic.building import DynamicBuilding
from qsim.errors import UsageError
from qsim.gates import ALIASES, GATES, Gate, find_gate
from qsim.instructions import Instruction
from qsim.operations import Operation, Register
from qsim.parameters import (
    Angle,
    Expression,
    Input,
    Symbol,
    Weight,
    as_angle,
    names_of,
    symbols_of,
    whole,
)
from qsim.registers import Registers

__all__ = ["Angle", "Circuit", "Input", "Operation", "Register", "Symbol", "Weight"]


Kept = TypeVar("Kept")


class Circuit(Building, DynamicBuilding, Registers, Deriving, Conversions):
    """A quantum circuit. Every gate of `qsim.GATES` is a method: parameters first, then qubits.

    Qubits are numbers, or lists, ranges, slices of registers: a gate on one qubit goes on every
    qubit of a list; lists of equal length for a gate on several qubits give one gate for each row.

    Args:
        num_qubits: number of qubits; qubit 0 is the least significant bit of a basis state.
        num_weights: length of the weights tensor; by default the highest Weight index + 1.
        num_inputs: number of input features; by default the highest Input index + 1.
        num_clbits: number of classical bits; by default the highest one in use + 1. They are 0
            until something is measured into them.

    Example:
        >>> Circuit(2).h([0, 1]).cx(0, 1).ry(Weight(0), 1)
        Circuit(2 qubits, 1 weight, 0 inputs: h 0; h 1; cx 0,1; ry(w[0]) 1)
    """

    if TYPE_CHECKING:  # the methods made from the gate table below

        def __getattr__(self, name: str) -> Callable[..., Circuit]: ...

    def __init__(
        self,
        num_qubits: int,
        num_weights: int | None = None,
        num_inputs: int | None = None,
        num_clbits: int | None = None,
    ) -> None:
        self.num_qubits = whole(num_qubits) or 0
        if self.num_qubits < 1:
            raise UsageError(f"a circuit has one qubit or more, not {num_qubits!r}")
        for size in (num_weights, num_inputs, num_clbits):
            if size is not None and (whole(size) is None or size < 0):
                raise UsageError(
                    f"a number of weights, inputs or classical bits is 0 or more, not {size!r}"
                )
        self._operations: list[Operation[Gate | Instruction]] = []
        self._instructions = 0
        self._declared = {"weight": num_weights, "input": num_inputs, "clbit": num_clbits}
        self._used = dict.fromkeys(self._declared, 0)
        self._expressions: dict[Expression, None] = {}
        self._names: set[str] = set()
        self._registers: dict[str, Register] = {}
        self._classical_registers: dict[str, Register] = {}
        self._changed()

    def _changed(self) -> None:
        """Forget what was derived from the operations."""
        self._program: Any = None
        self._kept: dict[Hashable, Any] = {}

    @property
    def operations(self) -> tuple[Operation[Gate | Instruction], ...]:
        """Everything that happens, in order."""
        return tuple(self._operations)

    @property
    def is_unitary(self) -> bool:
        """Whether there are gates alone: no channels, measurements or resets."""
        return not self._instructions

    @property
    def gates(self) -> tuple[Operation[Gate], ...]:
        """The operations of a unitary circuit.

        Raises:
            UsageError: if there is anything but gates.
        """
        if self._instructions:
            other = next(op for op in self._operations if isinstance(op.gate, Instruction))
            raise UsageError(f"this takes a circuit of gates alone, but the circuit has {other}")
        return cast("tuple[Operation[Gate], ...]", self.operations)

    @property
    def num_weights(self) -> int:
        return self._size("weight")

    @property
    def num_inputs(self) -> int:
        return self._size("input")

    @property
    def num_clbits(self) -> int:
        return self._size("clbit")

    def _size(self, source: str) -> int:
        declared = self._declared[source]
        return self._used[source] if declared is None else declared

    @property
    def declared(self) -> dict[str, int]:
        """The sizes that were declared, as arguments of a circuit, such as num_weights."""
        return {f"num_{k}s": size for k, size in self._declared.items() if size is not None}

    @property
    def expressions(self) -> Iterable[Expression]:
        """Angles that are neither numbers nor affine in one symbol, each once."""
        return self._expressions.keys()

    @property
    def parameters(self) -> set[str]:
        """Names of the parameters without a value."""
        return set(self._names)

    # --- Building ---------------------------------------------------------------------------------

    def append(
        self,
        name: str | Gate | Instruction,
        qubits: int | Iterable[int],
        params: Iterable[Any] = (),
    ) -> Circuit:
        """Add one gate or instruction and return the circuit.

        Args:
            name: a gate of the table, by name or alias, or a gate or an instruction as a record.
            qubits: the qubits it acts on, controls first.
            params: its angles in radians: numbers, Weight(i), Input(i), Parameter("name"), tensors
                (scalar, or [batch] with one angle for each sample), or polynomials of these.

        Raises:
            UsageError: for an unknown gate, a wrong number of qubits or angles, a qubit out of
                range or repeated, a non-finite angle, or a symbol beyond the declared size.
        """
        if isinstance(name, Gate | Instruction):
            gate: Gate | Instruction = name
        else:
            gate = GATES.get(name) or find_gate(name)
        where = self._check_qubits(gate, (qubits,) if whole(qubits) is not None else qubits)
        if not isinstance(params, Iterable):
            raise UsageError(f"angles of {gate.name} come as a list, not {params!r}")
        angles = tuple([self._angle(gate, p) for p in params])
        if len(angles) != len(gate.params):
            raise UsageError(
                f"{gate.name} takes {len(gate.params)} angles ({', '.join(gate.params)}), "
                f"not {len(angles)}"
            )
        for angle in angles:
            if type(angle) is Symbol:
                if angle.index >= self._used[angle.source]:
                    self._used[angle.source] = angle.index + 1
            elif type(angle) is Expression:
                self._use(angle)
        if isinstance(gate, Instruction):
            self._admit(gate)
        self._operations.append(Operation(gate, where, angles))
        self._program = None
        if self._kept:
            self._kept = {}
        return self

    def _admit(self, instruction: Instruction) -> None:
        """Take the classical bits of an instruction, and what its bodies read, into account."""
        for bit in instruction.clbits:
            self._check_declared("clbit", bit, instruction.name)
        used = [bit + 1 for bit in instruction.clbits]
        self._used["clbit"] = max([self._used["clbit"], *used])
        for body in instruction.bodies:
            self._take_symbols(body, f"the body of {instruction.name}")
        self._instructions += 1

    def _check_qubits(self, gate: Gate | Instruction, qubits: Any) -> tuple[int, ...]:
        given = tuple(qubits)
        size = self.num_qubits
        for qubit in given:  # the usual case, without a detour
            if type(qubit) is not int or not 0 <= qubit < size:
                break
        else:
            if len(given) == gate.num_qubits == len(set(given)):
                return given
        checked = tuple([whole(qubit) for qubit in given])
        if len(given) != gate.num_qubits:
            fitting = f"{gate.num_qubits} qubit{'' if gate.num_qubits == 1 else 's'}"
            raise UsageError(f"{gate.name} acts on {fitting}, not {len(given)}: {given}")
        for qubit in checked:
            if qubit is None or not 0 <= qubit < size:
                wrong = given[checked.index(qubit)]
                raise UsageError(
                    f"{gate.name} on qubit {wrong!r}: a circuit of {size} qubits "
                    f"has qubits 0 to {size - 1}"
                )
        if len(set(checked)) != len(checked):
            raise UsageError(f"{gate.name} needs {len(given)} different qubits, not {given}")
        return checked  # type: ignore[return-value]

    def _angle(self, gate: Gate | Instruction, value: Any) -> Angle:
        angle = as_angle(value, gate.name)
        if type(angle) is Symbol:
            self._check_declared(angle.source, angle.index, gate.name)
        elif type(angle) is Expression:
            for symbol in symbols_of(angle):
                self._check_declared(symbol.source, symbol.index, gate.name)
        return angle

    def _check_declared(self, source: str, position: int, user: str) -> None:
        declared = self._declared[source]
        if declared is not None and position >= declared:
            noun = "classical bit" if source == "clbit" else source
            raise UsageError(
                f"{user} uses {noun} {position}, "
                f"but the circuit was declared with {declared} {noun}s"
            )

    def _use(self, expression: Expression) -> None:
        self._expressions[expression] = None
        self._names |= names_of(expression)
        for symbol in symbols_of(expression):
            self._used[symbol.source] = max(self._used[symbol.source], symbol.index + 1)

    # --- Circuits from circuits -------------------------------------------------------------------

    def compose(
        self,
        other: Circuit,
        qubits: int | Iterable[int] | None = None,
        clbits: Iterable[int] | None = None,
    ) -> Circuit:
        """Append the gates of a circuit that reads the same weights and inputs; returns self.

        Args:
            other: the circuit to append.
            qubits: where its qubits 0, 1, ... go; by default onto the same numbers.
            clbits: where its classical bits go, likewise.

        Raises:
            UsageError: if it does not fit, on its qubits or in its weights and inputs.
        """
        where = None if qubits is None else self._places(qubits)
        if not isinstance(other, Circuit):
            raise UsageError(f"a circuit is composed with another Circuit, not {other!r}")
        if other.num_qubits > self.num_qubits:
            raise UsageError(
                f"a circuit of {other.num_qubits} qubits does not fit into one of {self.num_qubits}"
            )
        if where is not None:
            self._check_places(other, where)
        if clbits is not None:
            other = other._on_clbits(tuple(clbits))
        self._take_symbols(other, "the other circuit")
        self._instructions += other._instructions
        if where is None:
            self._operations.extend(other.operations)
        else:
            self._operations.extend(
                Operation(gate, tuple([where[q] for q in at]), params)
                for gate, at, params in other.operations
            )
        self._changed()
        return self

    def _take_symbols(self, other: Circuit, user: str) -> None:
        """Let the circuit read what another one reads."""
        for source, used in other._used.items():
            self._check_declared(source, used - 1, user)
            self._used[source] = max(self._used[source], used)
        self._expressions.update(other._expressions)
        self._names |= other._names

    def _are_places(self, where: tuple[Any, ...]) -> bool:
        right = [whole(q) is not None and 0 <= q < self.num_qubits for q in where]
        return all(right) and len(set(where)) == len(where)

    def _check_places(self, other: Circuit, where: tuple[Any, ...]) -> None:
        if len(where) != other.num_qubits or not self._are_places(where):
            raise UsageError(
                f"a circuit of {other.num_qubits} qubits goes onto as many different qubits from "
                f"0 to {self.num_qubits - 1}, not {where}"
            )

    def _on_clbits(self, where: tuple[Any, ...]) -> Circuit:
        """The circuit with classical bit `where[k]` for bit k."""
        right = [whole(bit) is not None and bit >= 0 for bit in where]
        if len(where) != self.num_clbits or not all(right) or len(set(where)) != len(where):
            raise UsageError(
                f"a circuit of {self.num_clbits} classical bits goes onto as many different ones, "
                f"not {where}"
            )
        moved = Circuit(self.num_qubits)
        for gate, qubits, params in self._operations:
            acting = gate.with_clbits(where) if isinstance(gate, Instruction) else gate
            moved.append(acting, qubits, params)
        return moved

    def copy(self) -> Circuit:
        """A circuit of its own with the same gates."""
        return self._empty().compose(self)

    __copy__ = copy

    def _empty(self, num_qubits: int | None = None) -> Circuit:
        empty = Circuit(num_qubits or self.num_qubits, *self._declared.values())
        if num_qubits is None:
            empty._registers = dict(self._registers)
            empty._classical_registers = dict(self._classical_registers)
            empty._used["clbit"] = self._used["clbit"]
        return empty

    def kept(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """What `make` made under this key, until a gate is added."""
        if key not in self._kept:
            self._kept[key] = make()
        found: Kept = self._kept[key]
        return found

    # --- Looking at it ----------------------------------------------------------------------------

    def count_ops(self) -> dict[str, int]:
        """How often each gate occurs, most frequent first; bodies are not counted."""
        return dict(Counter(op.gate.name for op in self._operations).most_common())

    def depth(self) -> int:
        """Length of the longest chain of operations that share qubits or classical bits.

        Barriers are no gates; what has bodies counts once.
        """
        level: dict[int, int] = dict.fromkeys(range(self.num_qubits), 0)
        for gate, qubits, _ in self._operations:
            bits = gate.clbits if isinstance(gate, Instruction) else ()
            places = [*qubits, *[-1 - bit for bit in bits]]
            reached = max(level.get(q, 0) for q in places) + (gate.name != "barrier")
            level.update(dict.fromkeys(places, reached))
        return max(level.values())

    def draw(self, output: str = "text", **options: Any) -> Any:
        """A drawing by Qiskit's drawer: "text", or "mpl" for a matplotlib figure.

        Args:
            output: "text" or "mpl".
            options: what `qiskit.QuantumCircuit.draw` takes besides, such as fold=80.

        Raises:
            UsageError: for another output, or if Qiskit, matplotlib or pylatexenc is missing.
        """
        from qsim.interop.drawing import draw

        return draw(self, output, options)

    def __len__(self) -> int:
        return len(self._operations)

    def __eq__(self, other: object) -> bool:
        """Whether the same gates follow one another; a tensor as an angle equals itself only."""
        return (
            isinstance(other, Circuit)
            and self.num_qubits == other.num_qubits
            and self.num_weights == other.num_weights
            and self.num_inputs == other.num_inputs
            and self.num_clbits == other.num_clbits
            and self._operations == other._operations
        )

    __hash__ = None  # type: ignore[assignment]  # circuits grow

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_program": None, "_kept": {}}

    def __repr__(self) -> str:
        counts = [
            (self.num_qubits, "qubit"),
            (self.num_weights, "weight"),
            (self.num_inputs, "input"),
            *([(self.num_clbits, "classical bit")] if self.num_clbits else []),
        ]
        sizes = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
        shown = "; ".join(map(str, self._operations[:12]))
        more = len(self._operations) - 12
        return f"Circuit({sizes}: {shown}{f'; ... {more} more' if more > 0 else ''})"


def _method(gate: Gate) -> Callable[..., Circuit]:
    count = len(gate.params)

    def add(self: Circuit, *arguments: Any) -> Circuit:
        params, qubits = arguments[:count], arguments[count:]
        if not qubits:
            raise UsageError(f"{usage}, not with {len(arguments)} arguments")
        for qubit in qubits:
            if type(qubit) is not int and whole(qubit) is None:
                return self._spread(gate, qubits, params)
        return self.append(gate, qubits, params)

    arguments = ", ".join([*gate.params, "qubits"])
    usage = f"{gate.name} is called as {gate.name}({arguments})"
    add.__name__, add.__qualname__ = gate.name, f"Circuit.{gate.name}"
    add.__doc__ = f"Add {gate.name}({arguments}): angles in radians, controls first."
    return add


for _gate in GATES.values():
    if _gate.name not in vars(Building):
        setattr(Circuit, _gate.name, _method(_gate))
for _alias, _name in ALIASES.items():
    setattr(Circuit, _alias, getattr(Circuit, _name))
