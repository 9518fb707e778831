"""Methods of `Circuit` for gates of any size, and for gates on lists of qubits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from qsim import families
from qsim.errors import UsageError
from qsim.gates import Gate, check_state, controlled, find_gate

if TYPE_CHECKING:
    from qsim.circuit import Circuit
    from qsim.observables import PauliString

Qubits = int | Iterable[int]


class Building:
    """What `Circuit` can add beyond single gates of the table."""

    @property
    def _circuit(self) -> Circuit:
        return cast("Circuit", self)

    def globalphase(self, theta: Any, qubit: int = 0) -> Circuit:
        """Multiply the state by exp(i theta), whatever the qubit; controls make it a phase."""
        return self._circuit.append("globalphase", qubit, [theta])

    def barrier(self, qubits: Qubits | None = None) -> Circuit:
        """A line in drawings across these qubits, all by default; does nothing else."""
        where = self._places(qubits)
        return self._circuit.append(families.barrier(len(where)), where)

    def controlled(
        self,
        gate: str | Gate,
        controls: Qubits,
        qubits: Qubits,
        params: Iterable[Any] = (),
        ctrl_state: int | str | None = None,
    ) -> Circuit:
        """Add a gate under controls.

        Args:
            gate: any gate, by name or as a record.
            controls: qubits that decide, any number.
            qubits: qubits that the gate acts on.
            params: its angles.
            ctrl_state: bits of the controls on which it acts, all 1 by default: a number (lowest
                bit: first control) or a bitstring (rightmost: first control).
        """
        deciding = self._places(controls)
        record = gate if isinstance(gate, Gate) else find_gate(gate)
        state = check_state(ctrl_state, len(deciding))
        if deciding:
            record = controlled(record, len(deciding), state)
        return self._circuit.append(record, [*deciding, *self._places(qubits)], params)

    def mcx(self, controls: Qubits, target: int, ctrl_state: int | str | None = None) -> Circuit:
        """X under any number of controls."""
        return self.controlled("x", controls, target, (), ctrl_state)

    def mcz(self, controls: Qubits, target: int, ctrl_state: int | str | None = None) -> Circuit:
        """Z under any number of controls."""
        return self.controlled("z", controls, target, (), ctrl_state)

    def mcp(
        self, lam: Any, controls: Qubits, target: int, ctrl_state: int | str | None = None
    ) -> Circuit:
        """The phase gate diag(1, exp(i lam)) under any number of controls."""
        return self.controlled("p", controls, target, [lam], ctrl_state)

    def mcrx(
        self, theta: Any, controls: Qubits, target: int, ctrl_state: int | str | None = None
    ) -> Circuit:
        """RX under any number of controls."""
        return self.controlled("rx", controls, target, [theta], ctrl_state)

    def mcry(
        self, theta: Any, controls: Qubits, target: int, ctrl_state: int | str | None = None
    ) -> Circuit:
        """RY under any number of controls."""
        return self.controlled("ry", controls, target, [theta], ctrl_state)

    def mcrz(
        self, theta: Any, controls: Qubits, target: int, ctrl_state: int | str | None = None
    ) -> Circuit:
        """RZ under any number of controls."""
        return self.controlled("rz", controls, target, [theta], ctrl_state)

    def multirz(self, theta: Any, qubits: Qubits | None = None) -> Circuit:
        """exp(-i theta Z...Z / 2) on these qubits, all by default."""
        where = self._places(qubits)
        return self._circuit.append(families.multirz(len(where)), where, [theta])

    def pauli_rotation(
        self, theta: Any, label: str | PauliString, qubits: Qubits | None = None
    ) -> Circuit:
        """exp(-i theta P / 2); the rightmost letter of P acts on the first of the qubits."""
        gate = families.pauli_rotation(getattr(label, "label", label))
        return self._circuit.append(gate, self._places(qubits, gate.num_qubits), [theta])

    def unitary(self, matrix: Any, qubits: Qubits | None = None) -> Circuit:
        """A constant unitary matrix [2**k, 2**k] on k qubits, the first one its lowest bit.

        For one that is trained see `arbitrary_unitary`.
        """
        gate = families.unitary(matrix)
        return self._circuit.append(gate, self._places(qubits, gate.num_qubits))

    def controlled_unitary(
        self,
        matrix: Any,
        controls: Qubits,
        qubits: Qubits,
        ctrl_state: int | str | None = None,
    ) -> Circuit:
        """A constant unitary matrix under any number of controls."""
        return self.controlled(families.unitary(matrix), controls, qubits, (), ctrl_state)

    def diagonal(self, values: Any, qubits: Qubits | None = None) -> Circuit:
        """diag(values), 2**k numbers of modulus 1, on k qubits, the first one the lowest bit."""
        gate = families.diagonal(values)
        return self._circuit.append(gate, self._places(qubits, gate.num_qubits))

    def permutation(self, targets: Sequence[int], qubits: Qubits | None = None) -> Circuit:
        """|b> becomes |targets[b]> for the 2**k basis states of k qubits."""
        gate = families.permutation(targets)
        return self._circuit.append(gate, self._places(qubits, gate.num_qubits))

    def rv(self, vx: Any, vy: Any, vz: Any, qubit: int) -> Circuit:
        """exp(-i (vx X + vy Y + vz Z) / 2): see `qsim.library.rv`."""
        from qsim.library import rv

        return rv(self._circuit, (vx, vy, vz), qubit)

    def arbitrary_unitary(self, angles: Sequence[Any], qubits: Qubits | None = None) -> Circuit:
        """Any unitary matrix, by its angles: see `qsim.library.arbitrary_unitary`."""
        from qsim.library import arbitrary_unitary

        return arbitrary_unitary(self._circuit, angles, self._places(qubits))

    def evolve(
        self,
        hamiltonian: Any,
        time: Any,
        order: int | str = 1,
        steps: int = 1,
        qubits: Qubits | None = None,
    ) -> Circuit:
        """exp(-i H time), exactly or by a product formula: see `qsim.library.evolve`."""
        from qsim.library import evolve

        return evolve(self._circuit, hamiltonian, time, order, steps, self._places(qubits))

    def qft(self, qubits: Qubits | None = None, *, swaps: bool = True) -> Circuit:
        """The quantum Fourier transform of these qubits, all by default: see `qsim.library.qft`."""
        from qsim.library import qft

        where = self._places(qubits)
        return self._circuit.compose(qft(len(where), swaps=swaps), where)

    def prepare_state(self, amplitudes: Any, qubits: Qubits | None = None) -> Circuit:
        """Turn |0...0> of these qubits into a state: see `qsim.library.state_preparation`."""
        from qsim.library import state_preparation

        prepared = state_preparation(amplitudes)
        return self._circuit.compose(prepared, self._places(qubits, prepared.num_qubits))

    def _places(self, qubits: Qubits | None, count: int | None = None) -> tuple[int, ...]:
        """Qubits as a tuple; by default all of the circuit, or one given for a gate on one."""
        if qubits is None:
            total = self._circuit.num_qubits
            if count not in (None, total):
                raise UsageError(f"which {count} of the {total} qubits? Pass qubits=[...]")
            return tuple(range(total))
        return tuple(qubits) if isinstance(qubits, Iterable) else (qubits,)

    def _spread(self, gate: Gate, qubits: tuple[Any, ...], params: tuple[Any, ...]) -> Circuit:
        """One gate for each qubit, or row of qubits, of the lists among the arguments."""
        circuit, columns = self._circuit, [self._places(q) for q in qubits]
        if gate.num_qubits == 1 and len(qubits) == 1:
            rows: list[tuple[int, ...]] = [(q,) for q in columns[0]]
        elif len(qubits) == 1 or len(qubits) != gate.num_qubits:
            rows = [tuple(q for column in columns for q in column)]
        else:
            length = max(map(len, columns))
            if any(len(column) not in (1, length) for column in columns):
                raise UsageError(
                    f"{gate.name} on lists of {' and '.join(str(len(c)) for c in columns)} qubits: "
                    "lists have one length, or are single qubits"
                )
            rows = list(zip(*[c * (length // len(c)) for c in columns], strict=True))
        for row in [circuit._check_qubits(gate, row) for row in rows]:  # all before the first
            circuit.append(gate, row, params)
        return circuit
