"""Gates of any size: matrices, lowering, inverses, controls, laziness, equality, mistakes."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import MCXGate, PauliEvolutionGate
from qiskit.quantum_info import Operator, Pauli, random_unitary
from scipy.linalg import expm

from qsim import GATES, Circuit, Gate, PauliString, UsageError, Weight, expval, state
from qsim.families import barrier, diagonal, multirz, pauli_rotation, permutation, unitary
from qsim.gates import controlled
from qsim.interop.qiskit import to_qiskit
from qsim.plan.lowering import StepKind, elementary_gates, lower
from qsim.trig import pauli_matrix

RNG = np.random.default_rng(5)


def haar(num_qubits: int, seed: int = 1) -> np.ndarray:
    return np.asarray(random_unitary(2**num_qubits, seed=seed).data)


def degenerate() -> np.ndarray:
    """A unitary with equal eigenvalues, whose eigenvectors are not the basis states."""
    basis = haar(2, seed=7)
    return basis @ np.diag([1, 1, 1j, 1]) @ basis.conj().T


def phases(num_qubits: int) -> np.ndarray:
    return np.exp(1j * np.random.default_rng(num_qubits).uniform(-3, 3, 2**num_qubits))


FAMILIES: dict[str, Callable[[], Gate]] = {
    "mcx on 5": lambda: controlled("x", 5),
    "mcx with states": lambda: controlled("x", 3, "010"),
    "cx on zero": lambda: controlled("x", 1, 0),
    "mcz": lambda: controlled("z", 4, 0b1011),
    "mcp": lambda: controlled("p", 3),
    "mcrx": lambda: controlled("rx", 2, 0),
    "mcry": lambda: controlled("ry", 4),
    "controlled u3": lambda: controlled("u3", 3, 5),
    "controlled cu": lambda: controlled("cu", 2, 1),
    "controlled cry": lambda: controlled("cry", 2, 2),
    "controlled swap": lambda: controlled("swap", 2),
    "controlled iswap": lambda: controlled("iswap", 2),
    "controlled dcx": lambda: controlled("dcx", 1),
    "controlled rzx": lambda: controlled("rzx", 2),
    "controlled double excitation": lambda: controlled("double_excitation", 1),
    "controlled global phase": lambda: controlled("globalphase", 2, 1),
    "one X": lambda: pauli_rotation("X"),
    "one Z among I": lambda: pauli_rotation("IZI"),
    "identity": lambda: pauli_rotation("II"),
    "odd number of Y": lambda: pauli_rotation("YXZIY"[:4]),
    "even number of Y": lambda: pauli_rotation("YXZIY"),
    "multirz": lambda: multirz(5),
    "controlled pauli rotation": lambda: controlled(pauli_rotation("XZY"), 2, 1),
    "controlled multirz": lambda: controlled(multirz(3), 2),
    "unitary on 1": lambda: unitary(haar(1)),
    "unitary on 3": lambda: unitary(haar(3)),
    "controlled unitary on 1": lambda: controlled(unitary(haar(1)), 3, 2),
    "controlled unitary on 2": lambda: controlled(unitary(haar(2)), 2, 2),
    "controlled unitary, many": lambda: controlled(unitary(haar(2)), 4, 2),
    "controlled unitary, degenerate": lambda: controlled(unitary(degenerate()), 4),
    "diagonal on 1": lambda: diagonal(phases(1)),
    "diagonal on 2": lambda: diagonal(phases(2)),
    "diagonal on 4": lambda: diagonal(phases(4)),
    "sparse diagonal": lambda: diagonal([1, 1, 1, 1, 1, 1, 1, -1j]),
    "parity as a diagonal": lambda: diagonal([1, -1, -1, 1]),
    "controlled diagonal": lambda: controlled(diagonal(phases(3)), 2, 1),
    "affine permutation": lambda: permutation([5, 4, 1, 0, 7, 6, 3, 2]),
    "permutation": lambda: permutation([3, 1, 2, 0, 7, 6, 4, 5]),
    "controlled permutation": lambda: controlled(permutation([3, 1, 2, 0, 7, 6, 4, 5]), 2),
    "controlled affine permutation": lambda: controlled(permutation([3, 2, 0, 1]), 2, 1),
    "barrier": lambda: barrier(3),
}
ALL = pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES)


def angles_of(gate: Gate) -> list[float]:
    return [0.7 + 1.3 * k for k in range(gate.num_params)]


# --- What they are --------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["X", "ZZ", "XIY", "YYXZ", "IZII"])
def test_pauli_rotation_is_the_exponential(label: str) -> None:
    expected = expm(-0.45j * Pauli(label).to_matrix())
    np.testing.assert_allclose(pauli_rotation(label).unitary.at(0.9), expected, atol=1e-14)


@pytest.mark.parametrize("ctrl_state", [None, 0, 5, "110"])
def test_controls_and_their_states_are_those_of_qiskit(ctrl_state: int | str | None) -> None:
    theirs = Operator(MCXGate(3, ctrl_state=ctrl_state)).data
    found = controlled("x", 3, ctrl_state).unitary.at()
    np.testing.assert_allclose(found, theirs, atol=1e-14)


def test_controls_of_controls_come_first(oracle: Any) -> None:
    """controlled(controlled(U, 1, 0), 2, 0b01): qubits 0, 1 are the new controls, 2 the old."""
    inner = controlled("h", 1, 0)
    expected = oracle.controlled(oracle.controlled(GATES["h"].unitary.at(), 1, 0), 2, 0b01)
    found = controlled(inner, 2, 0b01)
    assert found.base is not None
    assert (found.base.gate.name, found.base.num_controls) == ("h", 3)
    np.testing.assert_array_equal(found.unitary.at(), expected)


def test_the_table_is_used_where_it_has_the_gate() -> None:
    assert controlled("x") is GATES["cx"]
    assert controlled("cx") is GATES["ccx"]
    assert controlled("cnot", 3, "111") is GATES["c4x"]
    assert controlled("p", 1) is GATES["cp"]
    assert controlled("x", 1, 0) not in GATES.values()


def test_matrices_are_those_given() -> None:
    matrix, values, targets = haar(3), phases(3), [3, 1, 2, 0, 7, 6, 4, 5]
    np.testing.assert_array_equal(unitary(matrix).unitary.at(), matrix)
    np.testing.assert_array_equal(unitary(torch.tensor(matrix).conj()).unitary.at(), matrix.conj())
    np.testing.assert_array_equal(diagonal(values.tolist()).unitary.at(), np.diag(values))
    moved = permutation(targets).unitary.at()
    for b, target in enumerate(targets):
        assert moved[target, b] == 1


# --- What they all keep ---------------------------------------------------------------------------


@ALL
def test_lowering_multiplies_out(make: Callable[[], Gate], oracle: Any) -> None:
    gate = make()
    angles = angles_of(gate)
    np.testing.assert_allclose(oracle.lowered(gate, angles), gate.unitary.at(*angles), atol=1e-12)


@ALL
def test_inverse_undoes(make: Callable[[], Gate], oracle: Any) -> None:
    gate = make()
    circuit = Circuit(gate.num_qubits).append(gate, range(gate.num_qubits), angles_of(gate))
    product = oracle.unitary_of(circuit.inverse()) @ oracle.unitary_of(circuit)
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-13)


@ALL
def test_reference_engine_applies_the_matrix(make: Callable[[], Gate], oracle: Any) -> None:
    gate = make()
    angles, num_qubits = angles_of(gate), gate.num_qubits + 1
    circuit = Circuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.u3(0.3 + qubit, 0.2 * qubit, -0.7, qubit)
    qubits = [*range(1, num_qubits, 2), *range(0, num_qubits, 2)][: gate.num_qubits]
    before = state(circuit, dtype=torch.complex128).numpy()
    expected = oracle.embed(gate.unitary.at(*angles), qubits, num_qubits) @ before
    after = state(circuit.append(gate, qubits, angles), engine="reference", dtype=torch.complex128)
    np.testing.assert_allclose(after.numpy(), expected, atol=1e-13)


@ALL
def test_qiskit_has_the_same_matrix(make: Callable[[], Gate]) -> None:
    gate = make()
    angles = angles_of(gate)
    circuit = Circuit(gate.num_qubits).append(gate, range(gate.num_qubits), angles)
    found = Operator(to_qiskit(circuit)).data
    np.testing.assert_allclose(found, gate.unitary.at(*angles), atol=1e-12)


@ALL
def test_equal_arguments_give_equal_gates(make: Callable[[], Gate]) -> None:
    gate = make()
    for other in (make(), pickle.loads(pickle.dumps(gate)), copy.deepcopy(gate)):  # noqa: S301
        assert other == gate
        assert hash(other) == hash(gate)
    assert all(gate != other() for other in FAMILIES.values() if other is not make)
    assert gate not in GATES.values()


@ALL
def test_kind_is_what_the_matrix_is(make: Callable[[], Gate]) -> None:
    gate = make()
    matrices = [gate.unitary.at(*[a + shift for a in angles_of(gate)]) for shift in (0, 1, -0.4)]
    off_diagonal = ~np.eye(len(matrices[0]), dtype=bool)
    if gate.kind == "diagonal":
        assert all(np.abs(m[off_diagonal]).max() < 1e-14 for m in matrices)
    elif gate.kind == "permutation":
        assert all(np.isin(m, (0, 1)).all() for m in matrices)
    elif gate.kind == "real":
        assert all(np.abs(m.imag).max() < 1e-14 for m in matrices)
    else:
        assert any(np.abs(m.imag).max() > 1e-3 for m in matrices)


@settings(max_examples=60)
@given(label=st.text("IXYZ", min_size=1, max_size=6))
def test_pauli_rotations_need_one_rotation(label: str, oracle: Any) -> None:
    gate = pauli_rotation(label)
    np.testing.assert_allclose(oracle.lowered(gate, [0.9]), gate.unitary.at(0.9), atol=1e-14)
    factors = [step for step in lower(gate) if step.kind is StepKind.FACTOR]
    names = [elementary_gates()[step.elementary].name for step in factors]
    rotations = [name for name in names if name not in ("s", "sdg")]
    assert len(rotations) == 1
    if set(label) & set("XY") and len(label.replace("I", "")) > 1:
        assert rotations == ["ry"]
        assert len(names) == (1 if label.count("Y") % 2 else 3)


@settings(max_examples=30)
@given(targets=st.permutations(range(8)))
def test_any_permutation_multiplies_out(targets: list[int], oracle: Any) -> None:
    gate = permutation(targets)
    np.testing.assert_allclose(oracle.lowered(gate, []), gate.unitary.at(), atol=1e-14)


@settings(max_examples=30)
@given(data=st.data(), num_qubits=st.integers(1, 4))
def test_affine_permutations_only_relabel(
    data: st.DataObject, num_qubits: int, oracle: Any
) -> None:
    circuit = Circuit(num_qubits)
    for _ in range(data.draw(st.integers(0, 8))):
        qubits = data.draw(st.permutations(range(num_qubits)))
        name = data.draw(st.sampled_from(["x", "cx", "swap"] if num_qubits > 1 else ["x"]))
        circuit.append(name, qubits[: GATES[name].num_qubits])
    gate = permutation(np.argmax(np.abs(oracle.unitary_of(circuit)), axis=0).tolist())
    assert {step.kind for step in lower(gate)} <= {StepKind.X, StepKind.CX, StepKind.SWAP}
    np.testing.assert_array_equal(oracle.lowered(gate, []), gate.unitary.at())


def test_only_what_must_be_is_controlled() -> None:
    """Under controls, conjugations and relabelling that cancel stay as they are."""
    for gate, factors in [
        (controlled(pauli_rotation("XXZ"), 3), [0, 3, 0]),  # s, ry, sdg
        (controlled("double_excitation", 2), [5]),
        (controlled("swap", 3), [4]),
        (controlled(diagonal(phases(2)), 3), [3, 3, 3, 3]),
    ]:
        steps = lower(gate)
        found = [len(step.controls) for step in steps if step.kind is StepKind.FACTOR]
        assert found == factors, gate


# --- Sizes ----------------------------------------------------------------------------------------


def test_large_gates_never_make_their_matrix() -> None:
    gates = [
        controlled("x", 19),
        controlled("ry", 19, 7),
        pauli_rotation("XYZ" * 6),
        multirz(20),
        barrier(20),
        diagonal(np.exp(1j * RNG.uniform(size=2**12))),
        permutation(np.arange(2**14) ^ 77),
    ]
    for gate in gates:
        circuit = Circuit(gate.num_qubits).h(0)
        circuit.append(gate, range(gate.num_qubits), angles_of(gate)).inverse().control()
        assert gate.kind in ("real", "permutation", "diagonal", "dense")
        lower(gate)
        pickle.dumps(circuit)
        if gate.num_params:
            assert gate.unitary.shift_frequencies(0) in [(1.0,), (0.5, 1.0)]
        state(circuit, engine="reference")
        assert "coefficients" not in vars(gate.unitary), gate


def test_large_gates_give_the_known_values() -> None:
    circuit = Circuit(16).x(range(15)).mcx(list(range(15)), 15)
    assert state(circuit)[-1] == 1
    rotated = state(Circuit(16).pauli_rotation(1.1, "Y" * 16), dtype=torch.complex128)
    assert rotated[0].item() == pytest.approx(np.cos(0.55))
    assert rotated[-1].item() == pytest.approx(-1j * np.sin(0.55))  # Y...Y|0> = i^16 |1...1>


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("name", ["mcry", "even number of Y", "controlled pauli rotation", "mcp",
                                  "controlled u3"])  # fmt: skip
def test_gradcheck(name: str, engine: str) -> None:
    gate = FAMILIES[name]()
    circuit = Circuit(gate.num_qubits)
    for qubit in range(gate.num_qubits):
        circuit.u3(0.4 + 0.3 * qubit, 0.9, -0.5, qubit)
    circuit.append(gate, range(gate.num_qubits), [Weight(k) for k in range(gate.num_params)])
    circuit.compose(circuit.copy())
    weights = torch.rand(2, gate.num_params, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: expval(circuit, None, w, engine=engine), weights)


# --- Methods --------------------------------------------------------------------------------------


def test_methods_append_the_gate_to_the_qubits() -> None:
    circuit = Circuit(5)
    circuit.mcx([0, 2], 4, ctrl_state=1).mcz(range(3), 3).mcp(0.1, 1, 0).mcrx(0.2, [1, 2], 0)
    circuit.mcry(0.3, [], 0).mcrz(0.4, [4, 3], 2).multirz(0.5, [1, 3]).multirz(0.6)
    circuit.pauli_rotation(0.7, "XY", [3, 0]).unitary(haar(2), [4, 1])
    circuit.controlled_unitary(haar(1), [4, 1], 0, ctrl_state="01").diagonal([1, 1j], 3)
    circuit.permutation([1, 0, 3, 2], [2, 0]).controlled("u2", 0, [3], [0.1, 0.2]).barrier([1, 2])
    expected = [
        (controlled("x", 2, 1), (0, 2, 4), ()),
        (controlled("z", 3), (0, 1, 2, 3), ()),
        (GATES["cp"], (1, 0), (0.1,)),
        (controlled("rx", 2), (1, 2, 0), (0.2,)),
        (GATES["ry"], (0,), (0.3,)),
        (controlled("rz", 2), (4, 3, 2), (0.4,)),
        (multirz(2), (1, 3), (0.5,)),
        (multirz(5), (0, 1, 2, 3, 4), (0.6,)),
        (pauli_rotation("XY"), (3, 0), (0.7,)),
        (unitary(haar(2)), (4, 1), ()),
        (controlled(unitary(haar(1)), 2, 1), (4, 1, 0), ()),
        (diagonal([1, 1j]), (3,), ()),
        (permutation([1, 0, 3, 2]), (2, 0), ()),
        (GATES["cu2"], (0, 3), (0.1, 0.2)),
        (barrier(2), (1, 2), ()),
    ]
    assert list(circuit.operations) == expected


def test_evolution_of_a_pauli_is_qiskits() -> None:
    theirs = QuantumCircuit(3)
    theirs.append(PauliEvolutionGate(Pauli("XY"), time=0.35), [2, 0])
    ours = Circuit(3).pauli_rotation(0.7, "XY", [2, 0])
    np.testing.assert_allclose(
        state(ours, dtype=torch.complex128).numpy(), Operator(theirs).data[:, 0], atol=1e-14
    )


# --- Mistakes -------------------------------------------------------------------------------------


def test_a_pauli_rotation_takes_a_pauli_string() -> None:
    assert Circuit(2).pauli_rotation(0.3, PauliString("XY")) == Circuit(2).pauli_rotation(0.3, "XY")


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "no letters": (lambda: pauli_rotation(""), "letters I, X, Y and Z, not ''"),
    "other letters": (lambda: pauli_rotation("XA"), "not 'XA'"),
    "not square": (lambda: unitary(np.eye(4)[:2]), r"\[2\*\*k, 2\*\*k\], not \[2, 4\]"),
    "three states": (lambda: unitary(np.eye(3)), r"not \[3, 3\]"),
    "one state": (lambda: unitary(np.eye(1)), r"not \[1, 1\]"),
    "not unitary": (lambda: unitary([[1, 0], [0, 1.1]]), "not unitary: .* by 0.21"),
    "NaN": (lambda: unitary([[1, 0], [0, float("nan")]]), "not unitary"),
    "too large": (lambda: unitary(np.eye(2**11)), "up to 10 qubits, not 11"),
    "words": (lambda: unitary([["a", "b"]]), "made of numbers, not"),
    "gradient": (
        lambda: unitary(torch.eye(2, requires_grad=True)),
        r"wants a gradient: .*\.arbitrary_unitary",
    ),
    "three phases": (lambda: diagonal([1, 1, 1]), r"2\*\*k values .* not \[3\]"),
    "modulus": (lambda: diagonal([1, 0.5]), "modulus 1: these are off by 0.5"),
    "missing state": (lambda: permutation([0, 1, 1, 3]), "every number from 0 to 2"),
    "three targets": (lambda: permutation([0, 2, 1]), "not 3 numbers"),
    "controlled barrier": (lambda: controlled(barrier(2)), "a barrier takes no controls"),
    "no controls": (lambda: controlled("x", 0), "one control or more, not 0"),
    "state too high": (lambda: controlled("x", 2, 4), "from 0 to 3 or a string of 2 bits, not 4"),
    "state too short": (lambda: controlled("x", 2, "1"), "string of 2 bits, not '1'"),
    "state of letters": (lambda: controlled("x", 2, "1a"), "string of 2 bits, not '1a'"),
    "state without controls": (lambda: Circuit(2).mcx([], 0, ctrl_state=1), "state of 0 controls"),
    "unknown gate": (lambda: Circuit(3).controlled("xyz", 0, 1), "no gate 'xyz'"),
    "repeated qubit": (lambda: Circuit(3).mcx([0, 1], 1), r"3 different qubits, not \(0, 1, 1\)"),
    "qubits unsaid": (lambda: Circuit(3).pauli_rotation(1, "XX"), "which 2 of the 3 qubits"),
    "qubits too few": (lambda: Circuit(3).unitary(np.eye(4), [0]), "acts on 2 qubits, not 1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_sentence(mistake: str) -> None:
    make, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as error:
        make()
    assert "\n" not in str(error.value)


def test_pauli_matrix_of_the_definition() -> None:
    np.testing.assert_array_equal(pauli_matrix("XZY"), Pauli("XZY").to_matrix())
