"""Time evolution, Fourier transform, state preparation, RV, random circuits."""

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit.library import RVGate
from qiskit.quantum_info import Operator, SparsePauliOp, random_statevector
from scipy.linalg import expm
from scipy.stats import unitary_group

from qsim import (
    GATES,
    Circuit,
    Input,
    Parameter,
    PauliString,
    UsageError,
    Weight,
    expval,
    qft,
    random_circuit,
    state,
    state_preparation,
)


@dataclass(frozen=True)
class Sum:
    """Anything with terms is a sum of Pauli strings."""

    terms: tuple[tuple[float, PauliString], ...]


TERMS = (
    (0.7, PauliString("XXI")),
    (-0.4, PauliString("IZZ")),
    (0.25, PauliString("YIX")),
    (0.5, PauliString("III")),
    (0.3, PauliString("ZII")),
)
MATRIX = SparsePauliOp([p.label for _, p in TERMS], [c for c, _ in TERMS]).to_matrix()


# --- Time evolution -------------------------------------------------------------------------------


def error(oracle: Any, order: int | str, steps: int, time: float = 0.8) -> float:
    circuit = Circuit(3).evolve(Sum(TERMS), time, order=order, steps=steps)
    return float(np.abs(oracle.unitary_of(circuit) - expm(-1j * time * MATRIX)).max())


def test_exact_evolution_is_the_exponential(oracle: Any) -> None:
    assert error(oracle, "exact", 1) < 1e-13


@pytest.mark.parametrize("order", [1, 2, 4])
def test_product_formulas_converge_with_their_order(order: int, oracle: Any) -> None:
    """Twice the steps: 2**order times less error."""
    coarse, fine = error(oracle, order, 8), error(oracle, order, 16)
    assert coarse < 0.1
    assert coarse / fine == pytest.approx(2**order, rel=0.15)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_terms_that_commute_are_exact(order: int, oracle: Any) -> None:
    terms = [(0.3, PauliString("ZZI")), (0.9, PauliString("IZZ")), (-0.2, PauliString("III"))]
    matrix = SparsePauliOp([p.label for _, p in terms], [c for c, _ in terms]).to_matrix()
    circuit = Circuit(3).evolve(terms, 1.3, order=order)
    expected = expm(-1.3j * matrix)
    np.testing.assert_allclose(oracle.unitary_of(circuit), expected, atol=1e-13)


def test_evolution_under_a_string_on_chosen_qubits(oracle: Any) -> None:
    found = Circuit(4).evolve(PauliString("XY"), 0.35, qubits=[2, 0])
    assert found == Circuit(4).pauli_rotation(0.7, "XY", [2, 0])


def test_time_may_be_trained() -> None:
    time = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    symbolic = Circuit(3).h([0, 1, 2]).evolve(Sum(TERMS), Parameter("t") * Input(0), 2, 3)
    numeric = Circuit(3).h([0, 1, 2]).evolve(Sum(TERMS), 0.4 * 0.9, 2, 3)
    strings = [PauliString("ZXY")]
    inputs = torch.tensor([0.9], dtype=torch.float64)
    found = expval(symbolic, strings, inputs=inputs, values={"t": time})
    torch.testing.assert_close(found, expval(numeric, strings, dtype=torch.complex128))
    assert torch.autograd.gradcheck(
        lambda t: expval(symbolic, strings, inputs=inputs, values={"t": t}), time
    )
    assert Circuit(3).evolve(Sum(TERMS), Weight(0)).num_weights == 1


# --- Rotation about a vector ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "vector",
    [(0.3, -0.9, 0.5), (0, 0, 0), (1.2, 0, 0), (0, math.pi, 0), (0, 0, -2.5), (4, -3, 2)],
)
def test_rv_is_qiskits_with_its_phase(vector: tuple[float, ...], oracle: Any) -> None:
    circuit = Circuit(1).rv(*vector, 0)
    expected = RVGate(*vector).to_matrix()
    np.testing.assert_allclose(oracle.unitary_of(circuit), expected, atol=1e-13)


@pytest.mark.parametrize("vector", [(0.3, -0.9, 0.5), (0, 0, 0), (1.2, 0, 0), (0, 0, 2), (0, 1, 0)])
def test_rv_has_gradients_everywhere_that_one_writes_down(vector: tuple[float, ...]) -> None:
    circuit = Circuit(1).u3(0.4, 0.3, 0.9, 0).rv(Weight(0), Weight(1), Input(0), 0)
    weights = torch.tensor(vector[:2], dtype=torch.float64, requires_grad=True)
    inputs = torch.tensor(vector[2:], dtype=torch.float64, requires_grad=True)
    strings = [PauliString(p) for p in "XYZ"]
    assert torch.autograd.gradcheck(
        lambda w, x: expval(circuit, strings, w, x), (weights, inputs), atol=1e-7
    )


# --- Any unitary matrix ---------------------------------------------------------------------------


def trained(num_qubits: int, count: int) -> Circuit:
    return Circuit(num_qubits).arbitrary_unitary([Weight(i) for i in range(count)])


@pytest.mark.parametrize(("num_qubits", "count"), [(1, 3), (2, 15), (3, 72)])
def test_angles_move_a_unitary_matrix_in_all_directions(num_qubits: int, count: int) -> None:
    """4**n - 1 of them, besides the phase."""
    weights = torch.rand(count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start = torch.eye(2**num_qubits, dtype=torch.complex128)

    def parts(w: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(state(trained(num_qubits, count), w, initial_state=start))

    slopes = torch.autograd.functional.jacobian(parts, weights).reshape(-1, count)
    assert torch.linalg.matrix_rank(slopes, atol=1e-8) == 4**num_qubits - 1


@pytest.mark.parametrize(("num_qubits", "count"), [(1, 3), (2, 15)])
def test_training_reaches_any_unitary_matrix(num_qubits: int, count: int) -> None:
    target = torch.from_numpy(unitary_group.rvs(2**num_qubits, random_state=3))
    circuit = trained(num_qubits, count).compose(Circuit(num_qubits).unitary(target.mH))
    weights = torch.rand(count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start = torch.eye(2**num_qubits, dtype=torch.complex128)
    optimizer = torch.optim.LBFGS(
        [weights.requires_grad_()], max_iter=200, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        trace = state(circuit, weights, initial_state=start).diagonal().sum()
        value = 1 - trace.abs() / 2**num_qubits
        value.backward()
        return value

    optimizer.step(loss)
    assert loss().item() < 1e-8


# --- Fourier transform ----------------------------------------------------------------------------


@pytest.mark.parametrize("num_qubits", [1, 2, 3, 5])
def test_qft_is_the_fourier_transform(num_qubits: int, oracle: Any) -> None:
    size = 2**num_qubits
    expected = np.array(
        [[cmath.exp(2j * math.pi * j * k / size) for j in range(size)] for k in range(size)]
    ) / math.sqrt(size)
    np.testing.assert_allclose(oracle.unitary_of(qft(num_qubits)), expected, atol=1e-13)
    back = oracle.unitary_of(qft(num_qubits).inverse())
    np.testing.assert_allclose(back, expected.conj().T, atol=1e-13)
    reversed_bits = [int(f"{k:0{num_qubits}b}"[::-1], 2) for k in range(size)]
    unordered = oracle.unitary_of(qft(num_qubits, swaps=False))
    np.testing.assert_allclose(unordered[reversed_bits], expected, atol=1e-13)


def test_qft_as_a_method_goes_on_chosen_qubits() -> None:
    assert Circuit(4).qft([3, 1]) == Circuit(4).compose(qft(2), [3, 1])
    assert Circuit(3).qft(swaps=False) == qft(3, swaps=False)


# --- State preparation ----------------------------------------------------------------------------


@pytest.mark.parametrize("num_qubits", [1, 2, 4, 6])
@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_random_states_are_prepared_with_their_phase(num_qubits: int, engine: str) -> None:
    wanted = np.asarray(random_statevector(2**num_qubits, seed=num_qubits).data)
    found = state(state_preparation(wanted), engine=engine, dtype=torch.complex128)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-13)


@settings(max_examples=40)
@given(
    parts=st.lists(st.sampled_from([0, 0, 1, -1, 1j, 0.5, -2j]), min_size=8, max_size=8).filter(any)
)
def test_sparse_states_are_prepared(parts: list[complex]) -> None:
    wanted = np.array(parts) / np.linalg.norm(parts)
    found = state(Circuit(3).prepare_state(torch.tensor(wanted)), dtype=torch.complex128)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-13)


def test_real_positive_states_need_no_phases() -> None:
    circuit = Circuit(4).prepare_state([0.6, 0, 0, 0.8], [2, 0])
    assert set(circuit.count_ops()) <= {"ry", "cx"}
    found = state(circuit, dtype=torch.complex128)
    assert found[0].item() == pytest.approx(0.6)
    assert found[0b101].item() == pytest.approx(0.8)


# --- Random circuits ------------------------------------------------------------------------------


def test_random_circuits_follow_their_seed() -> None:
    first, same, other = (random_circuit(4, 10, seed=seed) for seed in (1, 1, 2))
    assert first == same != other
    assert 1 <= first.depth() <= 10
    found = state(first, dtype=torch.complex128)
    assert found.abs().square().sum() == pytest.approx(1)


def test_random_circuits_keep_to_their_gates() -> None:
    circuit = random_circuit(3, 20, seed=0, gates=["h", "cnot", GATES["rz"]])
    assert set(circuit.count_ops()) == {"h", "cx", "rz"}
    assert circuit.depth() == 20
    pairs = random_circuit(5, 4, seed=0, gates=["cx"])
    assert pairs.count_ops() == {"cx": 8}
    assert len(random_circuit(3, 0, seed=0)) == 0
    assert max(len(op.qubits) for op in random_circuit(1, 5, seed=3).operations) == 1


def test_whole_library_agrees_with_qiskit() -> None:
    from qsim.interop.qiskit import to_qiskit

    circuit = random_circuit(5, 6, seed=4).qft([0, 2]).prepare_state([0, 1j], 3)
    circuit.evolve(PauliString("XYZII"), 0.4).rv(0.1, 0.2, 0.3, 4)
    found = state(circuit, dtype=torch.complex128).numpy()
    np.testing.assert_allclose(found, Operator(to_qiskit(circuit)).data[:, 0], atol=1e-12)


# --- Mistakes -------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "too few angles": (
        lambda: Circuit(2).arbitrary_unitary([Weight(0)]),
        "on 2 qubits takes 15 angles, not 1",
    ),
    "no seed": (lambda: random_circuit(2, 2, seed=-1), "whole number from 0 on, not -1"),
    "a word as seed": (lambda: random_circuit(2, 2, seed="a"), "from 0 on, not 'a'"),  # type: ignore[arg-type]
    "no hamiltonian": (lambda: Circuit(1).evolve(3, 1), "a Hamiltonian is .* not 3"),
    "a label": (lambda: Circuit(1).evolve("X", 1), "a Hamiltonian is .* not 'X'"),
    "another size": (
        lambda: Circuit(2).evolve(PauliString("X"), 1),
        "on 2 qubits takes no term PauliString",
    ),
    "order 3": (lambda: Circuit(1).evolve(PauliString("X"), 1, 3), "1, 2, 4 or .exact., not 3"),
    "no steps": (lambda: Circuit(1).evolve(PauliString("X"), 1, steps=0), "1 step or more, not 0"),
    "exact with a symbol": (
        lambda: Circuit(1).evolve(PauliString("X"), Weight(0), "exact"),
        "takes numbers as coefficients and time",
    ),
    "exact on many": (
        lambda: Circuit(11).evolve(PauliString("X" * 11), 1.0, "exact"),
        "up to 10 qubits, not 11",
    ),
    "three amplitudes": (lambda: state_preparation([1, 0, 0]), r"2\*\*k amplitudes"),
    "a matrix of amplitudes": (lambda: state_preparation(np.eye(2)), r"not the shape \[2, 2\]"),
    "norm": (lambda: state_preparation([1, 1]), "norm 1, not 1.41421: divide"),
    "not finite": (lambda: state_preparation([1, math.nan]), "norm 1, not nan"),
    "negative depth": (lambda: random_circuit(2, -1, seed=0), "0 layers or more, not -1"),
    "no gate fits": (lambda: random_circuit(1, 1, seed=0, gates=["cx"]), "fits on 1 qubits"),
    "unknown gate": (lambda: random_circuit(1, 1, seed=0, gates=["xyz"]), "no gate 'xyz'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_sentence(mistake: str) -> None:
    make, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as error:
        make()
    assert "\n" not in str(error.value)
