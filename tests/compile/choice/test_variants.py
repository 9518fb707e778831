"""Variants of a circuit: the same unitary, with fewer gates where there are some to save."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import PermutationGate
from qiskit.quantum_info import Operator

from compile.choice.variants import pauli_simplified, peephole, plain, resynthesized, variants
from qsim import Circuit, library
from qsim.interop.qiskit import to_qiskit

MAKERS = {
    "plain": plain,
    "resynthesized": resynthesized,
    "peephole": peephole,
    "pauli": pauli_simplified,
}
needs_pytket = pytest.mark.skipif(find_spec("pytket") is None, reason="needs pytket")


def same(source: QuantumCircuit, circuit: QuantumCircuit, ends: tuple[int, ...]) -> bool:
    """Whether the circuit does what the source does, if wire i is moved to ends[i] afterwards."""
    moved = source.copy()
    origin = {end: start for start, end in enumerate(ends)}
    moved.append(PermutationGate([origin[k] for k in range(len(ends))]), range(len(ends)))
    return Operator(moved).equiv(Operator(circuit), rtol=1e-7, atol=1e-9)


@needs_pytket
@pytest.mark.parametrize("name", MAKERS)
def test_variants_do_the_same(name: str, random_circuit: Callable[..., Circuit]) -> None:
    sources = [to_qiskit(random_circuit(seed, 4)) for seed in range(6)]
    swapped = QuantumCircuit(3)
    swapped.h(0)
    swapped.cx(0, 1)
    swapped.swap(0, 2)
    swapped.swap(1, 2)
    moved = False
    for source in (*sources, swapped, to_qiskit(library.qft(4))):
        circuit, ends = MAKERS[name](source, 0)
        assert same(source, circuit, ends)
        moved |= ends != tuple(range(source.num_qubits))
    assert moved or name == "plain"  # swaps are left out somewhere


@needs_pytket
def test_pauli_rotations_share_their_gates() -> None:
    """A double excitation: eight Pauli rotations of 6 CX each."""
    circuit = Circuit(4)
    for k, label in enumerate(["XXXY", "XXYX", "XYXX", "YXXX", "YYYX", "YYXY", "YXYY", "XYYY"]):
        circuit.pauli_rotation(0.1 * (-1) ** k, label)
    source = to_qiskit(circuit)
    gates = {}
    for name, make in variants(source).items():
        made = make(source, 0)
        assert same(source, *made)
        gates[name] = made.circuit.count_ops().get("cx", 0)
    assert gates["pauli"] < gates["peephole"] < gates["resynthesized"]


def test_open_parameters_stay_open() -> None:
    source = QuantumCircuit(2)
    angle = Parameter("a")
    source.rx(angle, 0)
    source.cx(0, 1)
    source.cx(0, 1)
    source.ry(2 * angle, 1)
    known = variants(source)
    assert list(known) == ["plain", "resynthesized"]
    circuit, ends = known["resynthesized"](source, 0)
    assert "cx" not in circuit.count_ops()
    bound = [c.assign_parameters([0.3]) for c in (source, circuit)]
    assert same(*bound, ends)


def test_global_phase_of_many_gates_is_dropped() -> None:
    source = QuantumCircuit(1)
    source.global_phase = np.pi / 3
    source.t(0)
    for make in variants(source).values():
        assert same(source, *make(source, 0))


def test_gates_that_commute_are_reordered() -> None:
    source = QuantumCircuit(4)
    source.h(range(4))
    for k, (a, b) in enumerate([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)]):
        source.rzz(0.1 + k, a, b)
        if k == 3:
            source.ry(0.2, 3)  # in between, where the gates of other qubits need not wait
    source.rx(0.4, range(4))
    source.cz(0, 3)
    make = variants(source)["reordered"]
    made = [make(source, seed).circuit for seed in range(4)]
    assert all(same(source, circuit, (0, 1, 2, 3)) for circuit in made)
    assert len({tuple(str(step.params) for step in circuit.data) for circuit in made}) > 1
    assert make(source, 2).circuit == made[2]
    chain = QuantumCircuit(2)
    chain.rzz(0.1, 0, 1)
    chain.rx(0.2, 0)
    chain.rzz(0.1, 0, 1)
    assert "reordered" not in variants(chain)


@needs_pytket
def test_pytket_is_spared_large_circuits() -> None:
    source = QuantumCircuit(2)
    for k in range(81):
        source.cx(k % 2, 1 - k % 2)
    assert not variants(source).keys() & {"peephole", "pauli"}


@needs_pytket
def test_few_rotations_for_many_gates_are_simplified() -> None:
    source = QuantumCircuit(3)
    for angle in (0.1, 0.2):  # a rotation about ZZZ, then one about XXX
        source.cx(0, 1)
        source.cx(1, 2)
        source.rz(angle, 2)
        source.cx(1, 2)
        source.cx(0, 1)
        source.h(range(3))
    assert "pauli" in variants(source)
    source.ry(0.1, [0, 1])
    assert "pauli" not in variants(source)
