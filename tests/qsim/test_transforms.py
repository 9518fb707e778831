"""torch.func, torch.compile and DataParallel around circuits."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from qsim import (
    Circuit,
    Input,
    Parameter,
    PauliString,
    PauliSum,
    UsageError,
    Weight,
    expval,
    jacobian,
    metric_tensor,
    run,
    samples,
    state,
)
from qsim.gradients import transforms

BOTH = pytest.mark.parametrize("engine", ["cpu", "reference"])
DOUBLE = torch.float64
W = torch.tensor([0.4, -1.1, 0.9], dtype=DOUBLE)
X = torch.tensor([[0.3, 1.2], [1.0, -0.4], [0.1, 0.2], [2.0, 1.0]], dtype=DOUBLE)
VALUE = [PauliSum({"ZZI": 0.5, "XXY": 0.3, "IIZ": -0.7}), PauliString("XYZ")]


def circuit() -> Circuit:
    built = Circuit(3).ry(Input(0), 0).rx(Weight(0), 1).cx(0, 1).crx(2 * Weight(1), 1, 2)
    return built.u3(Weight(2), Weight(0), Input(1), 2).cx(2, 0).h(0)


def values(weights: Tensor, inputs: Tensor, engine: str = "auto") -> Tensor:
    return expval(circuit(), VALUE, weights, inputs, engine=engine)


@BOTH
def test_vmap_is_the_batch(engine: str) -> None:
    many = torch.stack([W, 2 * W, W + 1])

    def run_one(weights: Tensor, inputs: Tensor) -> Tensor:
        return values(weights, inputs, engine)

    torch.testing.assert_close(vmap(run_one, (None, 0))(W, X), values(W, X))
    torch.testing.assert_close(vmap(run_one, (None, 1))(W, X.T), values(W, X))
    each = torch.stack([values(row, X) for row in many])
    torch.testing.assert_close(vmap(run_one, (0, None))(many, X), each)
    torch.testing.assert_close(vmap(run_one, (0, None), out_dims=1)(many, X), each.transpose(0, 1))
    nested = vmap(vmap(run_one, (None, 0)), (0, None))(many, X)
    torch.testing.assert_close(nested, each)
    pairs = vmap(run_one)(many, X[:3])
    torch.testing.assert_close(pairs, values(many, X[:3]))


@BOTH
def test_vmap_over_states(engine: str) -> None:
    starts = torch.eye(8, dtype=torch.complex128)[[1, 4]]

    def run_one(start: Tensor, inputs: Tensor) -> Tensor:
        return state(circuit(), W, inputs, initial_state=start, engine=engine)

    expected = torch.stack([run_one(start, X) for start in starts])
    torch.testing.assert_close(vmap(run_one, (0, None))(starts, X), expected)


@BOTH
def test_gradients_and_jacobians(engine: str) -> None:
    def run_one(weights: Tensor, inputs: Tensor) -> Tensor:
        return values(weights, inputs, engine)

    exact = jacobian(circuit(), VALUE, W, X)
    torch.testing.assert_close(jacrev(run_one)(W, X), exact)
    torch.testing.assert_close(jacfwd(run_one)(W, X), exact)
    torch.testing.assert_close(grad(lambda w: run_one(w, X).sum())(W), exact.sum((0, 1)))
    per_sample = vmap(grad(lambda w, x: run_one(w, x)[0]), (None, 0))(W, X)
    torch.testing.assert_close(per_sample, exact[:, 0])
    _, pull = vjp(run_one, W, X)
    torch.testing.assert_close(pull(torch.ones(4, 2, dtype=DOUBLE))[0], exact.sum((0, 1)))
    inputs = jacobian(circuit(), VALUE, W, X, wrt="inputs")
    torch.testing.assert_close(pull(torch.ones(4, 2, dtype=DOUBLE))[1], inputs.sum(1))


@BOTH
def test_forward_mode(engine: str) -> None:
    tangents = torch.randn_like(W), torch.randn_like(X)
    out, found = jvp(lambda w, x: values(w, x, engine), (W, X), tangents)
    torch.testing.assert_close(out, values(W, X))
    expected = jacobian(circuit(), VALUE, W, X) @ tangents[0]
    slopes = jacobian(circuit(), VALUE, W, X, wrt="inputs")
    expected += torch.einsum("bkj,bj->bk", slopes, tangents[1])
    torch.testing.assert_close(found, expected)


@BOTH
@pytest.mark.parametrize(
    "transform", [hessian, lambda f: jacrev(jacrev(f)), lambda f: jacrev(jacfwd(f))]
)
def test_second_derivatives(engine: str, transform: Callable[..., Callable[..., Tensor]]) -> None:
    def loss(weights: Tensor) -> Tensor:
        return values(weights, X, engine).pow(2).sum()

    expected = torch.autograd.functional.hessian(
        lambda w: values(w, X, "reference").pow(2).sum(), W
    )
    torch.testing.assert_close(transform(loss)(W), expected)


def test_other_results() -> None:
    def loss(weights: Tensor, inputs: Tensor) -> Tensor:
        found = run(circuit(), weights, inputs)
        return found.variance(VALUE).sum() + found.purity([0]) + found.probabilities([1])[0]

    found = vmap(grad(loss), (None, 0))(W, X)
    for row in range(4):
        weights = W.clone().requires_grad_()
        (expected,) = torch.autograd.grad(loss(weights, X[row]), weights)
        torch.testing.assert_close(found[row], expected)


def test_coefficients() -> None:
    def energy(numbers: Tensor) -> Tensor:
        return expval(circuit(), [PauliSum(["ZZI", "XXY"], numbers)], W, X).sum()

    found = grad(energy)(torch.tensor([0.5, 1.0], dtype=DOUBLE))
    strings = [PauliString("ZZI"), PauliString("XXY")]
    expected = expval(circuit(), strings, W, X).sum(0)
    torch.testing.assert_close(found, expected)
    many = torch.tensor([[0.5, 1.0], [2.0, -1.0]], dtype=DOUBLE)
    torch.testing.assert_close(vmap(energy)(many), many @ expected)
    torch.testing.assert_close(vmap(grad(energy))(many), expected.expand(2, -1))


def test_angles_that_are_expressions() -> None:
    built = circuit().rx(Weight(0) * Weight(1) + Parameter("theta"), 0).ry(Weight(2) * Input(1), 2)
    theta = torch.tensor(0.7, dtype=DOUBLE)

    def run_one(weights: Tensor, inputs: Tensor) -> Tensor:
        return expval(built, VALUE, weights, inputs, values={"theta": theta})

    exact = jacobian(built, VALUE, W, X, values={"theta": theta})
    torch.testing.assert_close(vmap(run_one, (None, 0))(W, X), run_one(W, X))
    torch.testing.assert_close(vmap(jacrev(run_one), (None, 0))(W, X), exact)
    torch.testing.assert_close(jacfwd(run_one)(W, X), exact)
    with pytest.raises(UsageError, match="not finite"):
        vmap(run_one, (None, 0))(W, X * float("inf"))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.circuit = circuit()
        self.weights = nn.Parameter(W.float())
        self.head = nn.Linear(2, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        values = expval(self.circuit, VALUE, self.weights, torch.tanh(inputs))
        return torch.relu(self.head(values))


def test_functional_call_of_a_model() -> None:
    model, inputs = Model(), X.float()
    parameters = {k: p.detach() for k, p in model.named_parameters()}

    def loss(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(model, parameters, (row,)).sum()

    found = vmap(grad(loss), (None, 0))(parameters, inputs)
    for row in range(4):
        model.zero_grad()
        model(inputs[row]).sum().backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(found[name][row], parameter.grad)


def assert_same(wrapped: nn.Module, model: nn.Module) -> None:
    inputs = X.float()
    expected = model(inputs)
    slopes = torch.autograd.grad(expected.sum(), list(model.parameters()))
    found = wrapped(inputs)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad(found.sum(), list(model.parameters())), slopes, strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_compile_breaks_its_graph_at_circuits() -> None:
    from torch._dynamo.testing import CompileCounter

    model, counter = Model(), CompileCounter()
    assert_same(torch.compile(model, backend=counter), model)
    assert counter.frame_count == 2  # before the circuit, and after it: nothing of its inside


def test_data_parallel() -> None:
    model = Model()
    assert_same(nn.DataParallel(model), model)


def dual() -> Tensor:
    with forward_ad.dual_level():
        return values(forward_ad.make_dual(W, torch.ones_like(W)), X)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "dual tensors": (dual, "no dual tensors of torch.autograd.forward_ad: use torch.func.jvp"),
    "shots": (
        lambda: grad(lambda w: expval(circuit(), None, w, X, shots=5, gradient="shift").sum())(W),
        "does not work inside torch.func",
    ),
    "rules": (
        lambda: grad(lambda w: expval(circuit(), None, w, X, gradient="shift").sum())(W),
        "does not work inside torch.func",
    ),
    "forward mode twice": (
        lambda: jacfwd(jacfwd(lambda w: values(w, X).sum()))(W),
        "no forward-mode derivative of a forward-mode derivative: use torch.func.hessian",
    ),
    "metric": (
        lambda: vmap(lambda x: metric_tensor(circuit(), W, x))(X),
        "does not work inside torch.func",
    ),
    "samples": (
        lambda: vmap(lambda x: samples(circuit(), 5, W, x))(X),
        "does not work inside torch.func",
    ),
    "NaN": (lambda: grad(lambda w: values(w, X).sum())(W * float("nan")), "not finite"),
    "NaN under vmap": (lambda: vmap(lambda x: values(W, x))(X * float("inf")), "not finite"),
    "norm": (
        lambda: vmap(lambda s: state(circuit(), W, X[0], initial_state=s))(
            torch.ones(2, 8, dtype=torch.complex128)
        ),
        "initial_state has norm 2.82843",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_work_says_so(name: str) -> None:
    attempt, sentence = REFUSED[name]
    with pytest.raises(UsageError, match=sentence):
        attempt()


def test_states_in_transforms() -> None:
    """A state that was run once is read by the engine, which starts from it."""

    def read(weights: Tensor, inputs: Tensor) -> Tensor:
        return run(circuit(), weights, inputs).expval(VALUE)

    torch.testing.assert_close(read(W, X), values(W, X))
    torch.testing.assert_close(vmap(read, (None, 0))(W, X), values(W, X))
    torch.testing.assert_close(jacrev(read)(W, X), jacobian(circuit(), VALUE, W, X))
    torch.testing.assert_close(hessian(read)(W, X), hessian(values)(W, X))


def test_without_the_private_names_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients and vmap go on; forward mode, which could be wrong in silence, is refused."""
    expected = values(W, X)
    slopes = jacrev(values)(W, X)
    monkeypatch.setattr(transforms, "_are_active", None)
    monkeypatch.setattr(transforms, "_levels", None)
    assert not transforms.active()
    assert vmap(lambda row: row * transforms.active())(torch.ones(2)).tolist() == [1, 1]
    torch.testing.assert_close(values(W, X), expected)
    torch.testing.assert_close(vmap(values, (None, 0))(W, X), expected)
    torch.testing.assert_close(jacrev(values)(W, X), slopes)
    with pytest.raises(UsageError, match=r"no forward-mode derivatives with PyTorch .*: use"):
        jvp(lambda w: values(w, X), (W,), (W,))
    with pytest.raises(UsageError, match=r"does not work inside torch\.func"):
        vmap(lambda w: samples(circuit(), 5, w, X[0]))(torch.stack([W, W]))
