"""The same circuit written in other ways before it is placed and routed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from math import pi
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qsim.errors import need

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import CircuitInstruction

SEEDED = frozenset({"reordered"})
"""Variants that another seed makes otherwise."""
PYTKET = frozenset({"peephole", "pauli"})
"""Variants that pytket makes."""
_BASIS = ("u", "cx")
_DIAGONAL = frozenset(
    {"rz", "p", "z", "s", "sdg", "t", "tdg", "u1", "rzz", "cz", "cp", "crz", "cs", "csdg", "ccz"}
)
_MOST_GATES = 80  # CX for pytket: 0.2 s for 56 of them, 0.7 s for 96, 4 s for 200
_EXACT = 1e-9  # quarter turns
_FEW = 3  # gates of two qubits in a row from which on their order matters


class Variant(NamedTuple):
    """A circuit, and the wire where each logical qubit ends: swaps may have been left out."""

    circuit: QuantumCircuit
    ends: tuple[int, ...]


def plain(source: QuantumCircuit, _: int = 0) -> Variant:
    """The circuit as it is."""
    return Variant(source, tuple(range(source.num_qubits)))


def resynthesized(source: QuantumCircuit, _: int = 0) -> Variant:
    """Blocks of two qubits written anew by Qiskit, as if all qubits were coupled."""
    from qiskit.transpiler import generate_preset_pass_manager

    manager = generate_preset_pass_manager(3, basis_gates=list(_BASIS), seed_transpiler=0)
    circuit = manager.run(source)
    ends = _ends(circuit) if circuit.layout else tuple(range(source.num_qubits))
    return Variant(circuit, ends)


def reordered(source: QuantumCircuit, seed: int) -> Variant:
    """Diagonal gates that follow each other, as in QAOA, in another order: they commute.

    They are dealt out at random to layers in which no qubit has two of them, which leaves less
    waiting and less to route than a random order.
    """
    rng = np.random.default_rng(seed)
    circuit = source.copy_empty_like()
    for diagonal, run in _runs(source):
        if diagonal:
            run = _dealt([run[k] for k in rng.permutation(len(run))])
        for step in run:
            circuit.append(step)
    return plain(circuit)


def _dealt(steps: list[CircuitInstruction]) -> list[CircuitInstruction]:
    """Layer by layer, each as full as it gets."""
    dealt = []
    while steps:
        busy: set[Any] = set()
        left = []
        for step in steps:
            if busy.isdisjoint(step.qubits):
                dealt.append(step)
                busy.update(step.qubits)
            else:
                left.append(step)
        steps = left
    return dealt


def peephole(source: QuantumCircuit, _: int = 0) -> Variant:
    """Optimized by pytket's FullPeepholeOptimise (Sivarajah et al., arXiv:2003.10611).

    Raises:
        UsageError: pytket is missing.
    """
    return _by_pytket(source, "FullPeepholeOptimise")


def pauli_simplified(source: QuantumCircuit, _: int = 0) -> Variant:
    """As Pauli rotations, made of few gates by pytket's GreedyPauliSimp (arXiv:2103.08602) first.

    Raises:
        UsageError: pytket is missing.
    """
    return _by_pytket(source, "GreedyPauliSimp", "FullPeepholeOptimise")


def variants(source: QuantumCircuit) -> dict[str, Callable[[QuantumCircuit, int], Variant]]:
    """The ways that there are for a circuit, by name.

    pytket's take numbers, not parameters, and circuits on which they do not take many seconds;
    Pauli rotations those that have few of these for their gates, as Trotterized evolutions do.
    """
    found: dict[str, Callable[[QuantumCircuit, int], Variant]] = {
        "plain": plain,
        "resynthesized": resynthesized,
    }
    wide = (
        sum(len(step.qubits) > 1 for step in run) for diagonal, run in _runs(source) if diagonal
    )
    if max(wide, default=0) >= _FEW:
        found["reordered"] = reordered
    if not source.parameters and pytket_installed():
        written = _in_basis(source)
        if (cx := written.num_nonlocal_gates()) <= _MOST_GATES:
            found["peephole"] = peephole
            if 2 * _rotations(written) < cx:
                found["pauli"] = pauli_simplified
    return found


def pytket_installed() -> bool:
    """Whether circuits can be optimized by pytket."""
    return find_spec("pytket") is not None


def _rotations(written: QuantumCircuit) -> int:
    """Number of one-qubit gates, written as U, that are no Clifford gates."""
    turns = ([float(angle) / (pi / 2) for angle in step.params] for step in written.data)
    return sum(any(abs(turn - round(turn)) > _EXACT for turn in gate) for gate in turns)


def _by_pytket(source: QuantumCircuit, *names: str) -> Variant:
    pytket = need("pytket", extra="tket", purpose="optimizing a circuit by pytket")
    passes = need("pytket.passes", extra="tket", purpose="optimizing a circuit by pytket")
    circuit = _to_pytket(source)
    kinds = pytket.OpType
    passes.AutoRebase({kinds.CX, kinds.Rz, kinds.Rx}).apply(circuit)
    for name in names:
        getattr(passes, name)().apply(circuit)
    # What is left on a wire in the end counts as that of another qubit.
    meant = circuit.implicit_qubit_permutation()
    ends = {qubit.index[0]: wire.index[0] for wire, qubit in meant.items()}
    return Variant(_from_pytket(circuit), tuple(ends[i] for i in range(source.num_qubits)))


def _to_pytket(source: QuantumCircuit) -> Any:
    pytket = need("pytket", extra="tket", purpose="optimizing a circuit by pytket")
    circuit = pytket.Circuit(source.num_qubits)
    index = {qubit: i for i, qubit in enumerate(source.qubits)}
    for step in _in_basis(source).data:
        qubits = [index[q] for q in step.qubits]
        if step.name == "cx":
            circuit.CX(*qubits)
        elif step.name == "u":
            circuit.U3(*[float(a) / pi for a in step.params], *qubits)
    return circuit


def _runs(source: QuantumCircuit) -> Iterator[tuple[bool, list[CircuitInstruction]]]:
    """All gates, by turns those that are not diagonal and those that are, in the longest runs.

    Gates keep their order on every qubit, but not that in which the circuit lists them.
    """
    left, diagonal = list(source.data), False
    while left:
        run, waiting, blocked = [], [], set[Any]()
        for step in left:
            if (step.name in _DIAGONAL) is diagonal and blocked.isdisjoint(step.qubits):
                run.append(step)
            else:
                waiting.append(step)
                blocked.update(step.qubits)
        yield diagonal, run
        left, diagonal = waiting, not diagonal


def _in_basis(source: QuantumCircuit) -> QuantumCircuit:
    from qiskit.transpiler import generate_preset_pass_manager

    return generate_preset_pass_manager(0, basis_gates=list(_BASIS)).run(source)


def _ends(circuit: QuantumCircuit) -> tuple[int, ...]:
    return tuple(circuit.layout.final_index_layout())


def _from_pytket(circuit: Any) -> QuantumCircuit:
    """Its output has gates TK1 and CX; TK1(a, b, c) = Rz(a) Rx(b) Rz(c), in half turns."""
    from qiskit import QuantumCircuit

    result = QuantumCircuit(circuit.n_qubits)
    for command in circuit.get_commands():
        qubits = [qubit.index[0] for qubit in command.qubits]
        name = command.op.type.name
        if name == "TK1":
            first, middle, last = (float(angle) * pi for angle in command.op.params)
            # Rx(b) = Rz(-pi/2) Ry(b) Rz(pi/2), and U(b, x, y) = Rz(x) Ry(b) Rz(y) up to a phase.
            result.u(middle, first - pi / 2, last + pi / 2, *qubits)
        elif name == "CX":
            result.cx(*qubits)
        else:
            raise AssertionError(
                f"FullPeepholeOptimise is documented to give TK1 and CX, not {name}"
            )
    return result
