"""Derivatives: adjoint, shifts, differences and SPSA agree; Hessians, metrics, natural gradient."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qsim import (
    Circuit,
    Input,
    Parameter,
    PauliString,
    PauliSum,
    QuantumNaturalGradient,
    UsageError,
    Weight,
    expval,
    finite_differences,
    hessian,
    hessian_vector_product,
    jacobian,
    metric_tensor,
    parameter_shift,
    spsa,
    state,
)
from qsim.gradients import shifted
from qsim.gradients.metric import matrix_shifts
from qsim.gradients.rules import FiniteDifference, Spsa, shift_rule

DOUBLE = torch.float64


def circuit() -> Circuit:
    """Shared and scaled weights, controlled rotations, gates of several angles."""
    built = Circuit(3).h(0).ry(Input(0) * 2, 1).rx(Weight(0), 0).cx(0, 1)
    built.crx(2 * Weight(1) + 0.3, 1, 2).u3(Weight(2), Weight(0), Input(1), 2)
    return built.p(Weight(1), 0).rxx(-0.5 * Weight(2), 0, 2).cu(Input(0), 0.2, Weight(0), 1.1, 2, 1)


W = torch.tensor([0.4, -1.1, 0.9], dtype=DOUBLE)
X = torch.tensor([[0.3, 1.2], [1.0, -0.4]], dtype=DOUBLE)
VALUE = [PauliSum({"ZZI": 0.5, "XXY": 0.3, "IIZ": -0.7}), PauliString("XYZ")]


# --- First derivatives ----------------------------------------------------------------------------


@settings(max_examples=40)
@given(data=st.data(), batch=st.sampled_from([None, 1, 3]))
def test_adjoint_shift_and_differences_agree(
    data: st.DataObject,
    batch: int | None,
    circuits: Callable[..., st.SearchStrategy[Circuit]],
    tensors: Callable[..., st.SearchStrategy[tuple[Tensor, Tensor]]],
    observables: Callable[..., st.SearchStrategy[list[PauliString]]],
) -> None:
    drawn = data.draw(circuits(1, 4, max_steps=8))
    weights, inputs = data.draw(tensors(DOUBLE, batch))
    strings = data.draw(observables(drawn.num_qubits))
    numbers = torch.linspace(-1, 1, len(strings), dtype=DOUBLE)
    measured = [*strings, PauliSum(strings, numbers)]
    for wrt in ("weights", "inputs"):
        exact = jacobian(drawn, measured, weights, inputs, wrt=wrt)
        rows = [] if batch is None else [batch]
        assert list(exact.shape) == [*rows, len(measured), 3]
        shift = parameter_shift(drawn, measured, weights, inputs, wrt=wrt)
        torch.testing.assert_close(shift, exact, atol=1e-10, rtol=0)
        close = finite_differences(drawn, measured, weights, inputs, wrt=wrt)
        torch.testing.assert_close(close, exact, atol=1e-7, rtol=0)


@pytest.mark.parametrize("gradient", ["shift", "finite-difference", FiniteDifference(1e-4)])
def test_rules_join_autograd(gradient: str) -> None:
    def slopes(rule: str) -> tuple[Tensor, ...]:
        given = [
            t.clone().requires_grad_() for t in (W, X, torch.tensor([0.5, -1.0], dtype=DOUBLE))
        ]
        value = [PauliSum(["ZZI", "XXY"], given[2]), *VALUE]
        found = expval(circuit(), value, 0.5 * given[0], given[1], gradient=rule)
        return torch.autograd.grad((found**2 * torch.arange(1, 7).view(2, 3)).sum(), given)

    for ours, theirs in zip(slopes(gradient), slopes("adjoint"), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_rules_differentiate_only_what_wants_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    plain = shifted.Unrolled.rows
    monkeypatch.setattr(
        shifted.Unrolled, "rows", lambda self, a: rows.append(len(a)) or plain(self, a)
    )
    weights = torch.tensor([0.3], requires_grad=True)
    built = Circuit(1).rx(Weight(0), 0).ry(Input(0), 0).ry(Input(0), 0)
    expval(built, None, weights, torch.rand(5, 1), gradient="shift").sum().backward()
    assert rows == [5, 10]  # the values, and both shifts of the one weight


def test_rows_in_chunks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parameter_shift(circuit(), VALUE, W, X)
    metric = metric_tensor(circuit(), W, X)
    monkeypatch.setattr(shifted, "_AT_A_TIME", 2**3 * 5)
    monkeypatch.setattr("qsim.gradients.metric._AT_A_TIME", 2**3 * 5)
    torch.testing.assert_close(parameter_shift(circuit(), VALUE, W, X), whole)
    torch.testing.assert_close(metric_tensor(circuit(), W, X), metric)


def test_shifts_start_from_the_initial_state_of_each_sample() -> None:
    start = torch.eye(8, dtype=torch.complex128)[[3, 5]]
    for options in ({"initial_state": start}, {"initial_state": start[0]}):
        exact = jacobian(circuit(), VALUE, W, X, **options)
        torch.testing.assert_close(parameter_shift(circuit(), VALUE, W, X, **options), exact)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True), st.floats(-3, 3))
def test_shift_rules_are_exact_for_any_frequencies(numbers: list[int], angle: float) -> None:
    frequencies = tuple(sorted(n / 4 for n in numbers))

    def function(t: float) -> float:
        return sum(math.cos(w * t + k) for k, w in enumerate(frequencies))

    slope = -sum(w * math.sin(w * angle + k) for k, w in enumerate(frequencies))
    found = sum(c * (function(angle + s) - function(angle - s)) for s, c in shift_rule(frequencies))
    assert found == pytest.approx(slope, abs=1e-8)


def test_shift_rules_of_the_paper() -> None:
    """Two and four terms: arXiv:2107.12390, equations 2 and 9."""
    np.testing.assert_allclose(shift_rule((1.0,)), [(math.pi / 2, 0.5)])
    plus, minus = (math.sqrt(2) + 1) / (4 * math.sqrt(2)), (math.sqrt(2) - 1) / (4 * math.sqrt(2))
    np.testing.assert_allclose(
        shift_rule((0.5, 1.0)), [(math.pi / 2, plus), (3 * math.pi / 2, -minus)], atol=1e-12
    )


# --- Shots ----------------------------------------------------------------------------------------


def estimates(gradient: str | Spsa, shots: int | None, runs: int, seed: int) -> Tensor:
    """Jacobians of the first sample, [runs, observables, weights]; each row is its own run."""
    generator = torch.Generator().manual_seed(seed)
    inputs = X[:1].expand(runs, -1)
    return jacobian(
        circuit(), VALUE, W, inputs, gradient=gradient, shots=shots, generator=generator
    )


@pytest.mark.parametrize(
    ("gradient", "shots", "bias"),
    [("shift", 100, 0.0), (FiniteDifference(0.2), 100, 0.03), (Spsa(0.1), None, 0.01)],
)
def test_estimated_gradients_are_unbiased(
    gradient: str | Spsa, shots: int | None, bias: float
) -> None:
    found = estimates(gradient, shots, 1000, seed=5)
    exact = jacobian(circuit(), VALUE, W, X)[0]
    error = found.std(0) / math.sqrt(len(found))
    assert (found.std(0) > 0).any()
    assert ((found.mean(0) - exact).abs() <= 4.5 * error + bias + 1e-12).all()


def test_spsa_averages_directions() -> None:
    one, many = (
        estimates(Spsa(directions=1), None, 300, 1),
        estimates(Spsa(directions=9), None, 300, 1),
    )
    torch.testing.assert_close(
        one.var(0).sum() / many.var(0).sum(), torch.tensor(9.0).double(), rtol=0.2, atol=0
    )
    found = spsa(circuit(), VALUE, W, X, directions=2, generator=torch.Generator().manual_seed(1))
    assert found.shape == (2, 2, 3)


def test_training_with_shots_lowers_the_energy() -> None:
    torch.manual_seed(0)
    value = PauliSum({"ZZ": -1.0, "XI": -0.6, "IX": -0.6})
    built = Circuit(2).ry(Weight(0), 0).ry(Weight(1), 1).cx(0, 1).ry(Weight(2), 0).ry(Weight(3), 1)
    ground = float(np.linalg.eigvalsh(value.matrix())[0])
    for gradient in ("shift", "spsa"):
        weights = torch.full((4,), 0.3, requires_grad=True)
        optimizer = torch.optim.Adam([weights], lr=0.1)
        for _ in range(80):
            optimizer.zero_grad()
            expval(built, [value], weights, shots=200, gradient=gradient).sum().backward()
            optimizer.step()
        assert expval(built, [value], weights).item() < ground + 0.1


# --- Second derivatives ---------------------------------------------------------------------------


def double_backward(weights: Tensor, inputs: Tensor, row: int, k: int) -> Tensor:
    def value(w: Tensor) -> Tensor:
        return expval(circuit(), VALUE, w, inputs, engine="reference")[row, k]

    found: Tensor = torch.autograd.functional.hessian(value, weights)
    return found


def test_hessians_are_those_of_double_backward() -> None:
    found = hessian(circuit(), VALUE, W, X)
    assert found.shape == (2, 2, 3, 3)
    for row in range(2):
        for k in range(2):
            torch.testing.assert_close(found[row, k], double_backward(W, X, row, k))
    torch.testing.assert_close(hessian(circuit(), VALUE, W, X[0]), found[0])


def test_hessians_of_inputs_are_differences_of_gradients() -> None:
    found = hessian(circuit(), VALUE, W, X, wrt="inputs")
    step = 1e-5
    for j in range(2):
        move = torch.zeros_like(X)
        move[:, j] = step
        up, down = (jacobian(circuit(), VALUE, W, X + s * move, wrt="inputs") for s in (1, -1))
        torch.testing.assert_close(found[:, :, j], (up - down) / (2 * step), atol=1e-8, rtol=0)


@pytest.mark.parametrize("vector", [torch.tensor([1.0, -2.0, 0.5]), torch.randn(2, 3)])
def test_products_with_hessians(vector: Tensor) -> None:
    found = hessian_vector_product(circuit(), VALUE, vector, W, X)
    rows = vector.double().expand(2, 3)
    expected = torch.einsum("bkij,bj->bki", hessian(circuit(), VALUE, W, X), rows)
    torch.testing.assert_close(found, expected)


def test_weights_that_no_gate_reads_have_derivatives_zero() -> None:
    built = Circuit(1, num_weights=2).rx(Weight(0), 0)
    weights = torch.tensor([0.3, 0.7])
    for gradient in ("adjoint", "shift", "finite-difference"):
        assert jacobian(built, None, weights, gradient=gradient)[0, 1].abs() < 1e-3
    assert hessian(built, None, weights)[0, 1].tolist() == [0, 0]
    assert metric_tensor(built, weights)[1].tolist() == [0, 0]
    still = Circuit(1, num_weights=2).h(0)
    for derive in (jacobian, parameter_shift, hessian):
        assert derive(still, None, weights).abs().max() == 0
    assert metric_tensor(still, weights).abs().max() == 0
    assert jacobian(built, [], weights).shape == (0, 2)


def test_expressions_and_named_parameters_have_all_derivatives() -> None:
    built = circuit().rx(Weight(0) * Weight(1) + Parameter("theta"), 0).ry(Weight(2) * Input(1), 2)
    options = {"values": {"theta": torch.tensor(0.7, dtype=DOUBLE)}}
    exact = jacobian(built, VALUE, W, X, **options)
    torch.testing.assert_close(parameter_shift(built, VALUE, W, X, **options), exact)
    found = hessian(built, VALUE, W, X, **options)
    expected = torch.autograd.functional.hessian(
        lambda w: expval(built, VALUE, w, X, engine="reference", **options)[1, 0], W
    )
    torch.testing.assert_close(found[1, 0], expected)
    for gradient in ("shift", "finite-difference", "adjoint"):
        theta = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)
        values = expval(built, VALUE, W, X, values={"theta": theta}, gradient=gradient)
        (slope,) = torch.autograd.grad(values[1, 0], theta)
        torch.testing.assert_close(slope, exact_slope(built, 0.7), atol=1e-6, rtol=0)


def exact_slope(built: Circuit, theta: float) -> Tensor:
    up, down = (
        expval(built, VALUE, W, X, values={"theta": theta + sign * math.pi / 2})[1, 0]
        for sign in (1, -1)
    )
    return (up - down) / 2


# --- Metric and natural gradients -----------------------------------------------------------------


def metric_by_definition(built: Circuit, weights: Tensor, inputs: Tensor | None) -> Tensor:
    def parts(w: Tensor) -> Tensor:
        return torch.view_as_real(state(built, w, inputs, engine="reference"))

    slopes = torch.autograd.functional.jacobian(parts, weights).movedim(1, -1).contiguous()
    tangents = torch.view_as_complex(slopes)  # [2**n, weights]
    along = tangents.mH @ state(built, weights, inputs)
    return (tangents.mH @ tangents - along[:, None] * along.conj()).real


@settings(max_examples=30)
@given(data=st.data())
def test_metrics_are_those_of_the_definition(
    data: st.DataObject,
    circuits: Callable[..., st.SearchStrategy[Circuit]],
    tensors: Callable[..., st.SearchStrategy[tuple[Tensor, Tensor]]],
) -> None:
    drawn = data.draw(circuits(1, 3, max_steps=8))
    weights, inputs = data.draw(tensors(DOUBLE, None))
    expected = metric_by_definition(drawn, weights, inputs)
    found = metric_tensor(drawn, weights, inputs)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    diagonal = metric_tensor(drawn, weights, inputs, mode="diagonal")
    torch.testing.assert_close(diagonal, expected.diagonal().diag(), atol=1e-10, rtol=0)


def test_metrics_of_batches() -> None:
    found = metric_tensor(circuit(), W, X)
    for row in range(2):
        torch.testing.assert_close(found[row], metric_by_definition(circuit(), W, X[row]))
    assert metric_tensor(circuit(), W, X, wrt="inputs").shape == (2, 2, 2)


def test_blocks_are_layers() -> None:
    """The block-diagonal metric of Stokes et al., arXiv:1909.02108: one block for each layer."""
    built = Circuit(3)
    for layer in range(2):
        for q in range(3):  # rx and ry of a qubit follow one another, those of others do not
            built.rx(Weight(6 * layer + q), q).ry(Weight(6 * layer + 3 + q), q)
        built.cx(0, 1).cx(1, 2)
    weights = torch.rand(12, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    full = metric_tensor(built, weights)
    mask = torch.block_diag(*[torch.ones(3, 3, dtype=DOUBLE)] * 4)
    found = metric_tensor(built, weights, mode="block-diagonal")
    torch.testing.assert_close(found, full * mask)
    assert (full * (1 - mask)).abs().max() > 1e-3


@settings(max_examples=40)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=5, unique=True), st.floats(-3, 3))
def test_shifts_of_matrices_are_exact(numbers: list[int], angle: float) -> None:
    frequencies = tuple(sorted(n / 2 for n in numbers))
    found = sum(
        c * np.exp(1j * np.multiply(frequencies, angle + s)) for s, c in matrix_shifts(frequencies)
    )
    exact = 1j * np.asarray(frequencies) * np.exp(1j * np.multiply(frequencies, angle))
    np.testing.assert_allclose(found + 0 * exact, exact, atol=1e-7)


NUM = 4
ENERGY = PauliSum.from_sparse(
    [
        *[("ZZ", pair, -1.0) for pair in pairwise(range(NUM))],
        *[("X", [q], -0.8) for q in range(NUM)],
    ],
    NUM,
)


def ansatz() -> Circuit:
    built = Circuit(NUM)
    for layer in range(2):
        for q in range(NUM):
            built.ry(Weight(8 * layer + q), q).rz(Weight(8 * layer + 4 + q), q)
        for q in range(NUM - 1):
            built.cx(q, q + 1)
    return built


def steps_to_ground(make: Callable[[Tensor], torch.optim.Optimizer]) -> int:
    ground = float(np.linalg.eigvalsh(ENERGY.matrix())[0])
    generator = torch.Generator().manual_seed(1)
    weights = torch.rand(16, dtype=DOUBLE, generator=generator).requires_grad_()
    optimizer = make(weights)
    for step in range(200):
        optimizer.zero_grad()
        energy = expval(ansatz(), [ENERGY], weights)[0]
        if energy.item() < ground + 0.02:
            return step
        energy.backward()
        optimizer.step()
    return 200


def test_natural_gradients_need_fewer_steps() -> None:
    plain = steps_to_ground(lambda w: torch.optim.SGD([w], lr=0.05))
    found = {
        mode: steps_to_ground(lambda w: QuantumNaturalGradient([w], ansatz(), 0.05, mode=mode))  # noqa: B023
        for mode in ("full", "diagonal")
    }
    assert found["full"] < plain / 5
    assert found["diagonal"] < plain


def test_a_natural_step_solves_with_the_metric() -> None:
    weights = W.clone().view(3, 1).requires_grad_()

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = expval(circuit(), VALUE, weights.flatten(), X).sum()
        value.backward()
        return value

    optimizer = QuantumNaturalGradient(
        [weights], lambda: metric_tensor(circuit(), weights.flatten(), X), lr=0.1, damping=0.01
    )
    before = optimizer.step(loss)
    metric = metric_tensor(circuit(), W, X).mean(0) + 0.01 * torch.eye(3, dtype=DOUBLE)
    slope = jacobian(circuit(), VALUE, W, X).sum((0, 1))
    expected = W - 0.1 * torch.linalg.solve(metric, slope)
    torch.testing.assert_close(weights.detach().flatten(), expected)
    assert before.item() == pytest.approx(expval(circuit(), VALUE, W, X).sum().item())


def test_natural_gradients_are_saved_without_their_metrics(tmp_path: Path) -> None:
    weights = W.clone().requires_grad_()
    metric = lambda: metric_tensor(circuit(), weights, X)  # noqa: E731
    optimizer = QuantumNaturalGradient([weights], metric, lr=0.1, damping=0.02)
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    other = QuantumNaturalGradient([weights], ansatz(), lr=0.3)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    (group,) = other.param_groups
    assert (group["lr"], group["damping"], group["metric"]) == (0.1, 0.02, ansatz())
    assert optimizer.param_groups[0]["metric"] is metric


def test_groups_have_metrics_and_rates_of_their_own() -> None:
    first, second, idle = (torch.tensor([0.3], requires_grad=True) for _ in range(3))
    one = Circuit(1).ry(Weight(0), 0)  # its metric is 1/4
    optimizer = QuantumNaturalGradient(
        [
            {"params": [first], "metric": one},
            {"params": second, "metric": lambda: torch.eye(1) / 2, "lr": 0.2},
            {"params": [idle], "metric": one},
        ],
        lr=0.1,
        damping=0.0,
    )
    (3 * first + 5 * second).sum().backward()
    optimizer.step()
    assert first.item() == pytest.approx(0.3 - 0.1 * 4 * 3, abs=1e-5)
    assert second.item() == pytest.approx(0.3 - 0.2 * 2 * 5, abs=1e-5)
    assert idle.item() == pytest.approx(0.3)


# --- Mistakes -------------------------------------------------------------------------------------

LEAF = torch.zeros(1, requires_grad=True)
ONE = Circuit(1).rx(Weight(0), 0)


def stepped(metric: object, damping: float = 0.0) -> None:
    leaf = torch.zeros(1, requires_grad=True)
    leaf.sum().backward()
    QuantumNaturalGradient([leaf], metric, damping=damping).step()  # type: ignore[arg-type]


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "unknown gradient": (
        lambda: expval(ONE, None, LEAF, gradient="backprop"),
        "no gradient 'backprop': use adjoint, shift, finite-difference, spsa",
    ),
    "gradient a number": (lambda: jacobian(ONE, None, LEAF, gradient=3), "or a rule, not 3"),  # type: ignore[arg-type]
    "negative step": (
        lambda: finite_differences(ONE, None, LEAF, step=-1.0),
        r"steps are positive .* FiniteDifference\(step=-1.0\)",
    ),
    "no directions": (lambda: spsa(ONE, None, LEAF, directions=0), "directions 1 or more"),
    "half a direction": (
        lambda: spsa(ONE, None, LEAF, directions=1.5),  # type: ignore[arg-type]
        "directions 1 or more",
    ),
    "shots without rule": (lambda: jacobian(ONE, None, LEAF, shots=10), "no adjoint gradient"),
    "no shots": (lambda: parameter_shift(ONE, None, LEAF, shots=0), "from 1 on, not 0"),
    "generators": (
        lambda: parameter_shift(ONE, None, LEAF, shots=1, generator=[torch.Generator()] * 2),
        "2 generators do not fit a batch of 1",
    ),
    "by something else": (
        lambda: jacobian(ONE, None, LEAF, wrt="angles"),
        "'weights' or 'inputs', not 'angles'",
    ),
    "by inputs that are not there": (
        lambda: hessian(ONE, None, LEAF, wrt="inputs"),
        "no inputs to differentiate",
    ),
    "vector": (
        lambda: hessian_vector_product(ONE, None, torch.ones(2), LEAF),
        r"shape \[1\] or \[1, 1\], not \[2\]",
    ),
    "vector a list": (
        lambda: hessian_vector_product(ONE, None, [1.0], LEAF),  # type: ignore[arg-type]
        r"shape \[1\] or \[1, 1\], not list",
    ),
    "mode": (lambda: metric_tensor(ONE, LEAF, mode="half"), "diagonal, not 'half'"),
    "initial state": (
        lambda: expval(
            ONE,
            None,
            LEAF,
            initial_state=torch.tensor([1, 0j], requires_grad=True),
            gradient="shift",
        ),
        "initial_state wants a gradient, which only gradient='adjoint' has",
    ),
    "no metric": (lambda: stepped(None), "a circuit or a function as its metric, not .* None"),
    "two tensors": (
        lambda: QuantumNaturalGradient([torch.zeros(1), torch.zeros(1)], ONE),
        "is one tensor, .* not 2 tensors: give each tensor a group of its own",
    ),
    "metric of another shape": (
        lambda: stepped(lambda: torch.eye(2)),
        r"shape \[2, 2\] does not fit 1 weights: it is \[1, 1\]",
    ),
    "singular metric": (lambda: stepped(lambda: torch.zeros(1, 1)), "singular.*larger damping"),
    "negative damping": (lambda: stepped(ONE, -1.0), "damping 0 or more, not 0.05 and -1.0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_sentence(mistake: str) -> None:
    attempt, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as error:
        attempt()
    assert "\n" not in str(error.value)
