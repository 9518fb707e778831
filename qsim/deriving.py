"""Methods of `Circuit` that make other circuits of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from qsim.errors import UsageError
from qsim.gates import Gate, controlled, fill
from qsim.instructions import Instruction
from qsim.parameters import Angle, Atom, Symbol, as_angle, check_names, substitute, whole

if TYPE_CHECKING:
    from torch import Tensor

    from qsim.circuit import Circuit
    from qsim.operations import Operation


class Deriving:
    """What `Circuit` can be turned into."""

    @property
    def _circuit(self) -> Circuit:
        return cast("Circuit", self)

    def inverse(self) -> Circuit:
        """The circuit that undoes this one, which has gates alone."""
        undone = self._circuit._empty()
        for gate, qubits, params in reversed(self._circuit.gates):
            for step, where, angles in gate.undone:
                undone.append(step, [qubits[q] for q in where], fill(angles, params))
        return undone

    def control(self, count: int = 1, ctrl_state: int | str | None = None) -> Circuit:
        """This circuit, which has gates alone, under controls, with its global phase.

        The controls are the first `count` qubits of the result; qubit q of this circuit becomes
        qubit q + count, as for gates. `ctrl_state` as for `controlled`.
        """
        if not whole(count) or count < 1:
            raise UsageError(f"a controlled circuit has one control or more, not {count!r}")
        result = self._circuit._empty(self._circuit.num_qubits + count)
        controls = range(count)
        for gate, qubits, params in self._circuit.gates:
            where = [q + count for q in qubits]
            if gate.name == "barrier":
                result.append(gate, where)
            else:
                result.append(controlled(gate, count, ctrl_state), [*controls, *where], params)
        return result

    def repeat(self, times: int) -> Circuit:
        """This circuit `times` times in a row, 0 or more."""
        count = whole(times)
        if count is None or count < 0:
            raise UsageError(f"a circuit is repeated 0 times or more, not {times!r}")
        result = self._circuit._empty()
        result.compose(self._circuit)
        result._operations *= count
        result._instructions *= count
        return result

    def power(self, exponent: int) -> Circuit:
        """This circuit to a whole power: repeated, and inverted if it is negative."""
        count = whole(exponent)
        if count is None:
            raise UsageError(
                f"the power of a circuit is a whole number, not {exponent!r}: "
                "for roots take the matrix of the circuit to that power as a unitary"
            )
        return self.repeat(count) if count >= 0 else self.inverse().repeat(-count)

    # --- Values -----------------------------------------------------------------------------------

    def bind(self, weights: Tensor | None = None, inputs: Tensor | None = None) -> Circuit:
        """A copy with weights [num_weights], inputs [num_inputs] or both replaced by numbers."""
        values = {
            source: _numbers(source, tensor, self._circuit._size(source))
            for source, tensor in (("weight", weights), ("input", inputs))
            if tensor is not None
        }

        def number(atom: Atom) -> float | None:
            known = isinstance(atom, Symbol) and atom.source in values
            return values[atom.source][atom.index] if known else None  # type: ignore[union-attr]

        kept = {k: None if k in values else size for k, size in self._circuit._declared.items()}
        empty = self._circuit._empty()
        empty._declared = kept
        return self._rewritten(empty, number)

    def assign(self, values: Mapping[str, Any]) -> Circuit:
        """A copy with named parameters replaced by numbers, tensors or other angles.

        Args:
            values: by name; names that are left out stay parameters.

        Raises:
            UsageError: for a name that the circuit does not have, or a value that is no angle.
        """
        check_names(self._circuit, values)
        angles = {name: as_angle(v, f"parameter {name}") for name, v in values.items()}
        return self._rewritten(
            self._circuit._empty(), lambda atom: angles.get(getattr(atom, "name", ""))
        )

    def replaced(self, symbols: Mapping[Angle, Angle]) -> Circuit:
        """A copy in which these angles stand for the others, with weights and inputs for them."""
        result = self._circuit._empty()
        result._declared = dict.fromkeys(result._declared)
        for gate, qubits, params in self._circuit._operations:
            acting = _inside(gate, lambda body: body.replaced(symbols))
            result.append(acting, qubits, [symbols.get(p, p) for p in params])
        for source in self._circuit._declared:
            result._declared[source] = max(self._circuit._size(source), result._used[source])
        return result

    def with_operations(
        self, operations: Iterable[Operation[Gate | Instruction]], num_qubits: int
    ) -> Circuit:
        """A circuit of operations that are right already and read no more than this one."""
        circuit = self._circuit
        result = _new(num_qubits, circuit.num_weights, circuit.num_inputs)
        result._operations = list(operations)
        result._instructions = sum(isinstance(op.gate, Instruction) for op in result._operations)
        result._used, result._names = dict(circuit._used), set(circuit._names)
        result._expressions = dict(circuit._expressions)
        return result

    def _rewritten(self, empty: Circuit, lookup: Callable[[Atom], Any]) -> Circuit:
        for gate, qubits, params in self._circuit._operations:
            acting = _inside(gate, lambda body: body._rewritten(_new(body.num_qubits), lookup))
            empty.append(acting, qubits, [substitute(p, lookup) for p in params])
        return empty


def _new(num_qubits: int, *declared: int | None) -> Circuit:
    from qsim.circuit import Circuit

    return Circuit(num_qubits, *declared)


def _inside(gate: Gate | Instruction, change: Callable[[Circuit], Circuit]) -> Gate | Instruction:
    """The same, with the circuits changed that it may run."""
    return gate.with_bodies(change) if isinstance(gate, Instruction) else gate


def _numbers(source: str, tensor: Tensor, size: int) -> list[float]:
    if not hasattr(tensor, "dim"):
        raise UsageError(f"binding takes {source}s as a tensor, not {tensor!r}")
    if tensor.dim() != 1 or len(tensor) != size:
        raise UsageError(
            f"binding takes {source}s of shape [{size}], not {list(tensor.shape)}: "
            "bind one sample at a time"
        )
    return [float(value) for value in tensor.detach().cpu().tolist()]
