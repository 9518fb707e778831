"""What a state can be asked for, against Qiskit and against dense matrices."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import quantum_info as qi
from torch import Tensor

import qsim.memory
from qsim import (
    Circuit,
    Input,
    PauliString,
    PauliSum,
    State,
    UsageError,
    Weight,
    covariance,
    entropy,
    expval,
    fidelity,
    metric_tensor,
    probabilities,
    purity,
    reduced_density_matrix,
    run,
    state,
    variance,
)

BOTH = pytest.mark.parametrize("engine", ["cpu", "reference"])
BATCH, QUBITS = 3, 4


def random_states(num_qubits: int = QUBITS, batch: int = BATCH, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(batch, 2**num_qubits, 2, dtype=torch.float64, generator=generator)
    psi = torch.view_as_complex(parts)
    return psi / psi.norm(dim=1, keepdim=True)


def mixing(num_qubits: int = QUBITS) -> Circuit:
    """Weights, inputs and entanglement on every qubit."""
    circuit = Circuit(num_qubits)
    for q in range(num_qubits):
        circuit.ry(Input(0) * (q + 1), q).rx(Weight(q), q).crz(
            Weight(0) * 2, q, (q + 1) % num_qubits
        )
        circuit.cx(q, (q + 1) % num_qubits)
    return circuit


WEIGHTS = torch.linspace(0.3, 1.7, QUBITS, dtype=torch.float64)
INPUTS = torch.tensor([[0.2], [1.1], [-0.7]], dtype=torch.float64)
SUBSETS = st.lists(st.integers(0, QUBITS - 1), min_size=1, unique=True)
SUMS = st.lists(
    st.tuples(st.floats(-1, 1), st.text("IXYZ", min_size=QUBITS, max_size=QUBITS)),
    min_size=1,
    max_size=40,  # more strings than qubits share an X mask: the transform is used
).map(PauliSum)


@settings(max_examples=25)
@given(qubits=SUBSETS, seed=st.integers(0, 99))
def test_parts_of_states_are_those_of_qiskit(qubits: list[int], seed: int) -> None:
    psi = random_states(seed=seed)
    ours = State(psi)
    rest = [q for q in range(QUBITS) if q not in qubits]
    for row in range(BATCH):
        theirs = qi.Statevector(psi[row].numpy())
        part = qi.partial_trace(theirs, rest)  # its qubits are those left, in ascending order
        order = sorted(qubits)
        if qubits == order:
            np.testing.assert_allclose(
                ours.reduced_density_matrix(qubits)[row].numpy(), part.data, atol=1e-12
            )
        np.testing.assert_allclose(
            ours.probabilities(qubits)[row].numpy(), theirs.probabilities(qubits), atol=1e-12
        )
        assert ours.purity(qubits)[row].item() == pytest.approx(part.purity().real, abs=1e-12)
        assert ours.entropy(qubits)[row].item() == pytest.approx(qi.entropy(part, base=2), abs=1e-9)
        assert ours.entropy(qubits, math.e)[row].item() == pytest.approx(
            qi.entropy(part, base=math.e), abs=1e-9
        )
        diagonal = ours.reduced_density_matrix(qubits)[row].diagonal().real
        torch.testing.assert_close(diagonal, ours.probabilities(qubits)[row])


@settings(max_examples=25)
@given(first=SUMS, second=SUMS, seed=st.integers(0, 99))
def test_observables_are_those_of_dense_matrices(
    first: PauliSum, second: PauliSum, seed: int
) -> None:
    psi, string = random_states(seed=seed), PauliString("XYZI")
    matrices = [torch.as_tensor(s.matrix()) for s in (first, second, PauliSum([(1, string)]))]

    def mean(matrix: Tensor) -> Tensor:
        return torch.einsum("bi,ij,bj->b", psi.conj(), matrix, psi).real

    means = torch.stack([mean(m) for m in matrices], 1)
    products = torch.stack(
        [torch.stack([mean(a @ b + b @ a) / 2 for b in matrices], 1) for a in matrices], 1
    )
    expected = products - means[:, :, None] * means[:, None, :]
    found, observables = State(psi), [first, second, string]
    torch.testing.assert_close(found.expval(observables), means)
    torch.testing.assert_close(found.covariance(observables), expected, atol=1e-9, rtol=1e-6)
    torch.testing.assert_close(
        found.variance(observables), expected.diagonal(dim1=1, dim2=2), atol=1e-9, rtol=1e-6
    )


@BOTH
def test_sums_are_the_sums_of_their_strings(engine: str) -> None:
    labels = ["ZZII", "XIXI", "IYYX", "IIIZ"]
    numbers = torch.tensor([0.5, -1.5, 2.0, 0.25], dtype=torch.float64)
    strings = [PauliString(label) for label in labels]
    alone = expval(mixing(), strings, WEIGHTS, INPUTS, engine=engine)
    mixed = [PauliSum(labels, numbers), strings[2], PauliSum({"ZZII": 2.0, "XXXX": 0.0})]
    found = expval(mixing(), mixed, WEIGHTS, INPUTS, engine=engine)
    expected = torch.stack([alone @ numbers, alone[:, 2], 2 * alone[:, 0]], 1)
    torch.testing.assert_close(found, expected)


def results(psi: State) -> dict[str, Tensor]:
    value = PauliSum({"ZZII": 0.5, "XIXY": -1.5, "IYYX": 2.0})
    return {
        "expval": psi.expval([value]),
        "variance": psi.variance([value]),
        "covariance": psi.covariance([value, PauliString("IZIX")]),
        "probabilities": psi.probabilities([2, 0]),
        "reduced_density_matrix": psi.reduced_density_matrix([1, 3]).abs(),
        "purity": psi.purity([1]),
        "entropy": psi.entropy([1, 2]),
        "fidelity": psi.fidelity(random_states(seed=7)),
    }


@pytest.mark.parametrize("name", results(State(random_states())))
def test_results_are_differentiable(name: str) -> None:
    def loss(weights: Tensor, inputs: Tensor) -> Tensor:
        found = results(run(mixing(), weights, inputs))[name]
        return (found * torch.arange(1.0, found.numel() + 1).view(found.shape)).sum()

    given = WEIGHTS.clone().requires_grad_(), INPUTS.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, given)


@BOTH
def test_functions_are_the_methods_of_one_run(engine: str) -> None:
    circuit, options = mixing(), {"engine": engine}
    found, call = run(circuit, WEIGHTS, INPUTS, **options), (WEIGHTS, INPUTS)
    observables = [PauliSum({"ZZII": 0.5, "XIXY": -1.5}), PauliString("IZII")]
    pairs = [
        (state(circuit, *call, **options), found.amplitudes),
        (expval(circuit, observables, *call, **options), found.expval(observables)),
        (variance(circuit, observables, *call, **options), found.variance(observables)),
        (covariance(circuit, observables, *call, **options), found.covariance(observables)),
        (probabilities(circuit, *call, qubits=[2, 0], **options), found.probabilities([2, 0])),
        (
            reduced_density_matrix(circuit, [1, 2], *call, **options),
            found.reduced_density_matrix([1, 2]),
        ),
        (purity(circuit, [0], *call, **options), found.purity([0])),
        (entropy(circuit, [0], *call, base=3, **options), found.entropy([0], 3)),
        (fidelity(circuit, found, *call, **options), torch.ones(BATCH, dtype=torch.float64)),
    ]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs)


def test_shapes_follow_the_batch() -> None:
    many, one = State(random_states()), State(random_states()[0])
    value = [PauliString("ZIII"), PauliString("IXII")]
    for found, rows in ((many, [BATCH]), (one, [])):
        assert list(found.expval(value).shape) == [*rows, 2]
        assert list(found.variance(value).shape) == [*rows, 2]
        assert list(found.covariance(value).shape) == [*rows, 2, 2]
        assert list(found.covariance([]).shape) == [*rows, 0, 0]
        assert list(found.variance([]).shape) == [*rows, 0]
        assert list(found.probabilities().shape) == [*rows, 16]
        assert list(found.probabilities([1]).shape) == [*rows, 2]
        assert list(found.reduced_density_matrix([1, 2]).shape) == [*rows, 4, 4]
        assert list(found.purity([1]).shape) == rows
        assert list(found.entropy([1]).shape) == rows
        assert list(found.fidelity(found).shape) == rows
    assert list(many.fidelity(one).shape) == list(one.fidelity(many).shape) == [BATCH]


def test_entropy_of_what_is_not_entangled_is_zero_and_has_a_gradient() -> None:
    weights = torch.zeros(1, requires_grad=True)
    found = entropy(Circuit(2).ry(Weight(0), 0).cx(0, 1), [0], weights)
    found.backward()
    assert found.item() == pytest.approx(0, abs=1e-6)
    assert weights.grad is not None
    assert math.isfinite(weights.grad.item())


# --- Initial states -------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("batched", [False, True])
def test_initial_states_are_those_of_qiskit(engine: str, batched: bool) -> None:
    circuit = Circuit(QUBITS).h(0).cx(0, 2).ry(0.7, 3).rxx(0.4, 1, 3)
    operator = torch.as_tensor(
        np.stack([state(circuit, initial_state=row, engine=engine) for row in torch.eye(16) + 0j]).T
    ).to(torch.complex128)
    start = random_states() if batched else random_states()[0]
    found = state(circuit, initial_state=start, engine=engine)
    torch.testing.assert_close(found, start @ operator.T, atol=1e-6, rtol=1e-5)
    assert found.dtype == torch.complex128
    torch.testing.assert_close(
        expval(circuit, initial_state=State(start), engine=engine), State(found).expval()
    )


@BOTH
def test_two_circuits_in_a_row_are_one(engine: str) -> None:
    first, second = mixing(), mixing().inverse()
    middle = run(first, WEIGHTS, INPUTS, engine=engine)
    found = probabilities(second, WEIGHTS, INPUTS, initial_state=middle, engine=engine)
    torch.testing.assert_close(found[:, 0], torch.ones(BATCH, dtype=torch.float64))


@BOTH
def test_initial_states_have_gradients(engine: str) -> None:
    value = [PauliSum({"ZZII": 0.5, "XIXY": -1.5}), PauliString("IZII")]

    def values(parts: Tensor, weights: Tensor) -> Tensor:
        psi = torch.view_as_complex(parts)
        start = psi / psi.norm(dim=-1, keepdim=True)
        return expval(mixing(), value, weights, INPUTS, initial_state=start, engine=engine)

    for start in (random_states(), random_states()[0]):
        parts = torch.view_as_real(start).clone().requires_grad_()
        assert torch.autograd.gradcheck(values, (parts, WEIGHTS.clone().requires_grad_()))


# --- Mistakes -------------------------------------------------------------------------------------

ONE = Circuit(1).rx(Weight(0), 0)
W = torch.zeros(1)


def start(tensor: object) -> Tensor:
    return state(ONE, W, initial_state=tensor)  # type: ignore[arg-type]


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "norm": (
        lambda: start(torch.tensor([1, 1 + 0j])),
        "has norm 1.41421, .* divide it by its norm",
    ),
    "norm NaN": (lambda: start(torch.tensor([1, float("nan") + 0j])), "has norm nan"),
    "norm of a row": (
        lambda: start(torch.tensor([[1, 0j], [0.5, 0]])),
        "initial_state has norm 0.5",
    ),
    "shape": (
        lambda: start(torch.eye(4)[0] + 0j),
        r"shape \[4\] .* 1 qubits.*\[2\] or \[batch, 2\]",
    ),
    "dimensions": (lambda: start(torch.ones(1, 1, 2) + 0j), r"shape \[1, 1, 2\] does not fit"),
    "real": (lambda: start(torch.tensor([1.0, 0])), "complex torch tensor, not torch.float32"),
    "a list": (lambda: start([1, 0]), "State or a complex torch tensor, not list"),
    "another batch": (
        lambda: state(ONE, torch.zeros(3, 1), initial_state=torch.eye(2) + 0j),
        "weights are a batch of 3, initial_state of 2",
    ),
    "another device": (
        lambda: start((torch.eye(2)[0] + 0j).to("meta")),
        r"weights and initial_state are on different devices: \['cpu', 'meta'\]",
    ),
    "named parameters": (lambda: state(ONE, W, values={"a": 1.0}), "no parameter 'a'"),
    "no qubits": (lambda: run(ONE, W).purity([]), r"one or more different ones, not \[\]"),
    "qubit out of range": (lambda: purity(ONE, [1], W), "no qubit 1: 1 qubits are 0 to 0"),
    "qubit negative": (lambda: entropy(ONE, [-1], W), "no qubit -1"),
    "qubit a word": (lambda: entropy(ONE, ["a"], W), "whole number, not 'a'"),  # type: ignore[list-item]
    "qubit repeated": (
        lambda: probabilities(ONE, W, qubits=[0, 0]),
        r"different ones, not \[0, 0\]",
    ),
    "base": (lambda: entropy(ONE, [0], W, base=1), "above 1, such as 2 or math.e, not 1"),
    "fidelity of sizes": (
        lambda: fidelity(ONE, torch.eye(4)[0] + 0j, W),
        r"shape \[2\] and \[4\] have no fidelity",
    ),
    "fidelity of batches": (
        lambda: State(torch.eye(2) + 0j).fidelity(State(torch.eye(2)[[0, 0, 1]] + 0j)),
        r"shape \[2, 2\] and \[3, 2\] have no fidelity",
    ),
    "amplitudes of no qubits": (lambda: State(torch.ones(1) + 0j), r"shape \[1\] are no states"),
    "amplitudes of no power": (lambda: State(torch.ones(6) + 0j), r"shape \[6\] are no states"),
    "amplitudes real": (lambda: State(torch.ones(2)), "complex torch tensor, not torch.float32"),
    "density matrix": (
        lambda: State(torch.zeros(2**20, dtype=torch.complex64)).reduced_density_matrix(range(20)),
        "density matrix of 20 qubits takes 8,796,093,022,208 bytes, but this machine has",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_sentence(mistake: str) -> None:
    attempt, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as error:
        attempt()
    assert "\n" not in str(error.value)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'precision'"):
        purity(ONE, [0], W, precision=2)  # type: ignore[call-arg]


# --- Memory ---------------------------------------------------------------------------------------


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which 26 qubits fit in single precision, and nothing surely does."""
    monkeypatch.setattr(qsim.memory, "machine_bytes", lambda: 2**29)
    monkeypatch.setattr(qsim.memory, "_SURELY_FITS", 0)


@pytest.mark.usefixtures("small_machine")
def test_memory_is_refused_before_it_is_taken() -> None:
    def refused(attempt: Callable[[], object]) -> str:
        with pytest.raises(UsageError) as error:
            attempt()
        return str(error.value)

    single = refused(lambda: state(Circuit(27).h(0)))
    assert "1 sample of 27 qubits, 1 state each, need 1,073,741,824 bytes" in single
    assert "machine has 536,870,912: up to 26 qubits fit" in single
    batch = refused(lambda: state(Circuit(20).h(0), inputs=torch.zeros(65, 0)))
    assert "65 samples of 20 qubits, 1 state each, need 545,259,520 bytes" in batch
    assert "up to 19 qubits or 64 samples fit" in batch
    assert "1,073,741,824" in refused(lambda: state(Circuit(26).h(0), dtype=torch.complex128))


@pytest.mark.usefixtures("small_machine")
def test_a_gradient_needs_two_more_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qsim.memory, "machine_bytes", lambda: 3 * 8 * 2**4 - 1)
    circuit, weights = Circuit(4).rx(Weight(0), 0), torch.zeros(1)
    expval(circuit, None, weights)
    weights.requires_grad_()
    with pytest.raises(UsageError, match="3 states each for the gradient, need 384"):
        expval(circuit, None, weights)
    with torch.no_grad():
        expval(circuit, None, weights)


@pytest.mark.usefixtures("small_machine")
def test_the_reference_engine_holds_states_for_every_angle(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, weights = Circuit(4).h(range(4)), torch.zeros(1, requires_grad=True)
    for qubit in range(10):
        circuit.rx(Weight(0), qubit % 4).pauli_rotation(Weight(0), "XY", [0, 1])
    needed = (6 + 10 + 2 * 10) * 8 * 2**4
    monkeypatch.setattr(qsim.memory, "machine_bytes", lambda: needed - 1)
    sentence = f"36 states each for the gradient, need {needed:,} bytes"
    with pytest.raises(UsageError, match=sentence):
        expval(circuit, None, weights, engine="reference")
    first = torch.autograd.grad(expval(circuit, None, weights).sum(), weights, create_graph=False)
    assert len(first) == 1
    with pytest.raises(UsageError, match=sentence):  # a second derivative takes the same way
        torch.autograd.grad(expval(circuit, None, weights).sum(), weights, create_graph=True)
    with torch.no_grad():
        expval(circuit, None, weights, engine="reference")
    monkeypatch.setattr(qsim.memory, "machine_bytes", lambda: needed)
    expval(circuit, None, weights, engine="reference")


@pytest.mark.usefixtures("small_machine")
def test_metrics_and_matrices_beyond_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qsim.memory, "machine_bytes", lambda: 4 * 8 * 2**4)
    circuit, weights = mixing(), WEIGHTS.float()
    inputs = INPUTS[0].float()
    with pytest.raises(UsageError, match="6 states each because the metric holds all derivatives"):
        metric_tensor(circuit, weights, inputs)
    assert metric_tensor(circuit, weights, inputs, mode="diagonal").shape == (4, 4)
