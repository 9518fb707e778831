"""Angles: polynomials of weights, inputs, names and tensors; their values and gradients."""

import copy
import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qsim import Circuit, Expression, Input, Parameter, Symbol, UsageError, Weight, expval, state
from qsim.columns import resolve
from qsim.interop.qiskit import to_qiskit
from qsim.plan.program import program_of

ENGINES = pytest.mark.parametrize("engine", ["cpu", "reference"])
A, B = Parameter("a"), Parameter("b")


def double(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def angle_of(circuit: Circuit, **call: object) -> Tensor:
    """theta of RY(theta)|0>, in [0, pi]: from <Z> = cos(theta)."""
    return torch.acos(expval(circuit, **call)[..., 0])  # type: ignore[arg-type]


# --- Polynomials ----------------------------------------------------------------------------------


def test_equal_polynomials_are_equal() -> None:
    w, x = Weight(0), Input(1)
    assert w * x == x * w
    assert (w + x) * (w - x) == w**2 - x * x
    assert A + B + 1 == 1 + B + A
    assert 2 * (A + w) / 2 == w + A
    assert hash(A * B) == hash(B * A)
    assert A * B != A + B
    assert Parameter("a") == A != B


def test_polynomials_become_as_simple_as_they_are() -> None:
    assert Weight(0) + Weight(1) - Weight(1) == Weight(0)
    assert isinstance(2 * Weight(0) + A - A + 0.5, Symbol)
    assert A - A + 3 == 3.0
    assert Weight(0) + Weight(0) == 2 * Weight(0)
    assert 0 * A == 0
    assert np.float64(2) * A == A * 2 == A + A


def test_polynomials_show_what_they_are() -> None:
    assert str(2 * Weight(0) * Input(1) - A + 0.5) == "-a+2*w[0]*x[1]+0.5"
    assert str(Circuit(1).rx(A * Weight(0), 0).operations[0]) == "rx(a*w[0]) 0"
    assert "tensor[3]" in str(Circuit(1).rx(torch.rand(3), 0))


def test_polynomials_pickle() -> None:
    angle = 2 * Weight(0) * Input(1) - A**2
    assert pickle.loads(pickle.dumps(angle)) == copy.deepcopy(angle) == angle  # noqa: S301


@settings(max_examples=80)
@given(
    build=st.recursive(
        st.sampled_from(["w0", "w1", "x0", "x1", "a", "b", "0.7", "-1.3"]),
        lambda inner: st.tuples(st.sampled_from("+-*"), inner, inner),
        max_leaves=6,
    )
)
def test_values_and_gradients_are_those_of_torch(build: object) -> None:
    """The same formula once in angles, once in tensors."""
    weights, inputs = double(0.3, -0.8).requires_grad_(), double(0.5, 1.7).requires_grad_()
    a, b = double(0.9)[0].requires_grad_(), double(-0.4)[0].requires_grad_()
    leaves = [weights, inputs, a, b]
    angles = {"w0": Weight(0), "w1": Weight(1), "x0": Input(0), "x1": Input(1), "a": A, "b": B}
    tensors = {"w0": weights[0], "w1": weights[1], "x0": inputs[0], "x1": inputs[1], "a": a, "b": b}

    def formula(node: object, values: dict) -> object:
        if isinstance(node, str):
            return values[node] if node in values else float(node)
        operator, left, right = node  # type: ignore[misc]
        x, y = formula(left, values), formula(right, values)
        return {"+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y}[operator]()

    circuit = Circuit(1, 2, 2).rx(0.4, 0).ry(formula(build, angles), 0)
    given_values = {name: tensors[name] for name in circuit.parameters}
    found = expval(circuit, None, weights, inputs, values=given_values)
    wanted = math.cos(0.4) * torch.cos(
        torch.as_tensor(formula(build, tensors), dtype=torch.float64)
    )
    torch.testing.assert_close(found[0], wanted, atol=1e-12, rtol=0)
    if wanted.requires_grad:
        grads = [
            torch.autograd.grad(v, leaves, allow_unused=True, materialize_grads=True)
            for v in (found.sum(), wanted)
        ]
        torch.testing.assert_close(grads[0], grads[1], atol=1e-12, rtol=0)


# --- Values ---------------------------------------------------------------------------------------


@ENGINES
def test_named_parameters_get_values(engine: str) -> None:
    circuit = Circuit(1).ry(2 * A + B, 0)
    call = {"engine": engine, "dtype": torch.complex128}
    for values in ({"a": 0.3, "b": 0.1}, {"a": double(0.3)[0], "b": 0.1}):
        found = angle_of(circuit, values=values, **call)
        torch.testing.assert_close(found, torch.tensor(0.7, dtype=torch.float64))
    batched = angle_of(circuit, values={"a": double(0.1, 0.2, 0.3), "b": 0.1}, **call)
    torch.testing.assert_close(batched, double(0.3, 0.5, 0.7))
    assert circuit.parameters == {"a", "b"}


@ENGINES
def test_tensors_keep_their_graph(engine: str) -> None:
    scalar = double(0.4)[0].requires_grad_()
    batch = double(0.1, 0.2).requires_grad_()
    circuit = Circuit(1).ry(scalar, 0).ry(batch, 0).ry(scalar, 0)
    found = angle_of(circuit, engine=engine)
    torch.testing.assert_close(found, double(0.9, 1.0))
    found.sum().backward()
    torch.testing.assert_close(scalar.grad, double(4)[0])
    torch.testing.assert_close(batch.grad, double(1, 1))
    with torch.no_grad():
        scalar += 0.1  # a circuit reads its tensors at every run
    torch.testing.assert_close(angle_of(circuit, engine=engine), double(1.1, 1.2))


@pytest.mark.parametrize("weights_batched", [False, True])
@pytest.mark.parametrize("inputs_batched", [False, True])
@pytest.mark.parametrize("value_batched", [False, True])
def test_batches_mix(weights_batched: bool, inputs_batched: bool, value_batched: bool) -> None:
    def make(batched: bool, size: int) -> Tensor:
        return torch.rand([3, size] if batched else [size], dtype=torch.float64)

    weights, inputs = make(weights_batched, 2), make(inputs_batched, 1)
    value = make(value_batched, 1)[..., 0]
    circuit = Circuit(1).ry(Weight(0) * Weight(1), 0).ry(Input(0) * Weight(0), 0)
    circuit.ry(A * Input(0), 0).ry(A, 0)
    found = angle_of(circuit, weights=weights, inputs=inputs, values={"a": value})
    w, x = weights[..., 0], inputs[..., 0]
    torch.testing.assert_close(found, w * weights[..., 1] + x * w + value * x + value)
    assert found.dim() == any([weights_batched, inputs_batched, value_batched])


def test_float32_stays_and_float64_wins() -> None:
    assert state(Circuit(1).rx(torch.tensor(0.1, requires_grad=True), 0)).dtype == torch.complex64
    assert state(Circuit(1).rx(double(0.1, 0.2), 0)).dtype == torch.complex128
    assert state(Circuit(1).rx(A, 0), values={"a": 0.1}).dtype == torch.complex64
    assert state(Circuit(1).rx(A, 0), values={"a": double(0.1)[0]}).dtype == torch.complex128


def test_plain_circuits_pass_untouched() -> None:
    circuit, weights, inputs = Circuit(1).rx(Weight(0), 0), torch.rand(1), torch.rand(0)
    found = resolve(circuit, weights, inputs, None)
    assert found[0] is circuit
    assert found[1] is weights
    assert found[2] is inputs


def test_circuits_with_expressions_are_planned_once() -> None:
    circuit = Circuit(1).rx(A * Weight(0), 0).ry(A, 0)
    weights, inputs = torch.rand(1), torch.rand(0)
    plain = resolve(circuit, weights, inputs, {"a": 0.1})[0]
    program = program_of(plain)
    assert all(isinstance(p, Symbol) for op in plain.operations for p in op.params)
    again = resolve(circuit, weights + 1, inputs, {"a": 0.2})[0]
    assert again is plain
    assert program_of(again) is program
    assert resolve(circuit, weights, inputs, {"a": torch.rand(4)})[0] is not plain
    circuit.h(0)
    assert len(resolve(circuit, weights, inputs, {"a": 0.1})[0]) == 3


def test_one_column_for_equal_expressions() -> None:
    circuit = Circuit(1).rx(A * Weight(0), 0).ry(Weight(0) * A, 0).rz(B, 0)
    _, weights, _ = resolve(circuit, torch.rand(1), torch.rand(0), {"a": 1.0, "b": 2.0})
    assert weights.shape == (3,)


@pytest.mark.parametrize("shape", [[], [3]])
def test_tensors_stand_on_either_side(shape: list[int]) -> None:
    tensor = torch.rand(shape, dtype=torch.float64).requires_grad_()
    weights = double(0.3)
    for angle, expected in [
        (tensor * Weight(0), tensor * 0.3),
        (Weight(0) + tensor, tensor + 0.3),
        (tensor - A, tensor - 0.2),
        (A - tensor + 1, 1.2 - tensor),
        (Weight(0) / 2 - A * tensor, 0.15 - 0.2 * tensor),
    ]:
        circuit = Circuit(1, num_weights=1).ry(angle, 0)
        values = dict.fromkeys(circuit.parameters, 0.2)
        found = expval(circuit, None, weights, values=values)
        torch.testing.assert_close(found[..., 0], torch.cos(expected))


# --- Circuits with them ---------------------------------------------------------------------------


def test_assign_replaces_names() -> None:
    circuit = Circuit(1).rx(A * Weight(0), 0).ry(A + B, 0)
    half = circuit.assign({"a": 2})
    assert half == Circuit(1).rx(2 * Weight(0), 0).ry(B + 2, 0)
    assert half.assign({"b": Input(0)}) == Circuit(1).rx(2 * Weight(0), 0).ry(Input(0) + 2, 0)
    assert half.assign({"b": A}).parameters == {"a"}
    assert circuit.parameters == {"a", "b"}
    tensor = torch.tensor(0.5, requires_grad=True)
    circuit.assign({"a": tensor, "b": 0.0}).bind(weights=torch.ones(1))
    expval(circuit.assign({"a": tensor, "b": 0.0}), None, torch.ones(1)).sum().backward()
    assert tensor.grad is not None


def test_bind_reaches_into_expressions() -> None:
    circuit = Circuit(1).rx(Weight(0) * Input(1) + A, 0)
    assert (circuit.num_weights, circuit.num_inputs) == (1, 2)
    bound = circuit.bind(weights=double(0.5))
    assert bound == Circuit(1).rx(0.5 * Input(1) + A, 0)
    assert bound.bind(inputs=double(0, 4)) == Circuit(1).rx(A + 2.0, 0)


def test_circuits_with_expressions_pickle_invert_and_compose() -> None:
    circuit = Circuit(2).u2(A, A * Weight(0), 0).crx(B + Input(0), 0, 1)
    loaded = pickle.loads(pickle.dumps(circuit))  # noqa: S301
    assert loaded == circuit
    assert circuit.copy().parameters == {"a", "b"}
    both = circuit.copy().compose(circuit.inverse())
    values = {"a": 0.4, "b": 1.3}
    found = state(both, double(0.6), double(0.2), values=values)
    torch.testing.assert_close(found, torch.eye(4, dtype=torch.complex128)[0], atol=1e-12, rtol=0)
    grown = Circuit(2).compose(circuit)
    assert (grown.num_weights, grown.num_inputs, grown.parameters) == (1, 1, {"a", "b"})


def test_qiskit_gets_the_polynomial() -> None:
    tensor = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    circuit = Circuit(1).rx(Weight(1) * Input(0) + 2 * A - 1, 0).ry(A * tensor, 0)
    converted = to_qiskit(circuit)
    assert {p.name for p in converted.parameters} == {"w[1]", "x[0]", "a"}
    bound = converted.assign_parameters({"a": 0.3, "w[1]": 0.5, "x[0]": 0.7})
    expected = to_qiskit(Circuit(1).rx(0.35 + 0.6 - 1, 0).ry(0.3 * 0.25, 0))
    for ours, theirs in zip(bound.data, expected.data, strict=True):
        np.testing.assert_allclose(
            [float(p) for p in ours.operation.params], theirs.operation.params, atol=1e-14
        )
    with pytest.raises(UsageError, match=r"no angle like tensor\[2\]"):
        to_qiskit(Circuit(1).rx(torch.rand(2), 0))


# --- Mistakes -------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "dividing by one": (lambda: 1 / Weight(0), r"nothing is divided by w\[0\]"),
    "no name": (lambda: Parameter(""), "a parameter has a name"),
    "a number as name": (lambda: Parameter(3), "not 3"),  # type: ignore[arg-type]
    "missing": (
        lambda: state(Circuit(1).rx(A + B, 0), values={"b": 1}),
        r"parameter a without a value: pass values=\{'a'",
    ),
    "all missing": (lambda: state(Circuit(1).rx(A + B, 0)), "parameters a, b without a value"),
    "unknown": (
        lambda: state(Circuit(1).rx(A, 0), values={"a": 1, "c": 2}),
        "no parameter 'c': it has parameter a",
    ),
    "no parameters": (
        lambda: state(Circuit(1).rx(0.1, 0), values={"a": 1}),
        "no parameter 'a': it has no named parameters",
    ),
    "assign unknown": (lambda: Circuit(1).rx(A, 0).assign({"b": 1}), "no parameter 'b'"),
    "assign a word": (lambda: Circuit(1).rx(A, 0).assign({"a": "x"}), "parameter a .* not 'x'"),
    "value is an angle": (
        lambda: state(Circuit(1).rx(A, 0), values={"a": Weight(0)}),  # type: ignore[dict-item]
        r"a number or a tensor, not w\[0\]: use assign",
    ),
    "value is a matrix": (
        lambda: state(Circuit(1).rx(A, 0), values={"a": torch.rand(2, 2)}),
        r"a scalar or \[batch\], not torch.float32 \[2, 2\]",
    ),
    "value is complex": (
        lambda: state(Circuit(1).rx(A, 0), values={"a": torch.rand(2) * 1j}),
        "real and floating-point",
    ),
    "value is NaN": (
        lambda: state(Circuit(1).rx(A, 0), values={"a": float("nan")}),
        "parameter a is nan",
    ),
    "tensor has a NaN": (
        lambda: state(Circuit(1).rx(torch.tensor([0.1, float("nan")]), 0)),
        r"tensor\[2\] has a value that is not finite",
    ),
    "batches differ in one angle": (
        lambda: state(Circuit(1).rx(A * B, 0), values={"a": torch.rand(2), "b": torch.rand(3)}),
        "different sizes cannot be one: a 2, b 3 samples",
    ),
    "batches differ": (
        lambda: state(Circuit(1).rx(torch.rand(2), 0).ry(torch.rand(3), 0)),
        r"different sizes .* tensor\[2\] 2, tensor\[3\] 3 samples",
    ),
    "batch differs from inputs": (
        lambda: state(Circuit(1).rx(torch.rand(2), 0).ry(Input(0), 0), inputs=torch.rand(3, 1)),
        r"different sizes .* inputs 3, tensor\[2\] 2 samples",
    ),
    "empty tensor": (lambda: Circuit(1).rx(torch.rand(0), 0), r"not torch.float32 \[0\]"),
    "integers": (lambda: Circuit(1).rx(torch.arange(3), 0), "real and floating-point"),
    "root": (lambda: A**0.5, "whole number from 1 on, not 0.5"),
    "quotient": (lambda: A / B, "a polynomial: a is not divided by b"),
    "weight beyond": (
        lambda: Circuit(1, num_weights=1).rx(A * Weight(1), 0),
        "rx uses weight 1, but .* declared with 1 weight",
    ),
    "infinite factor": (lambda: Circuit(1).rx(A * float("inf"), 0), "must be finite"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_sentence(mistake: str) -> None:
    make, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as error:
        make()
    assert "\n" not in str(error.value)


def test_expression_is_public() -> None:
    assert isinstance(A * Weight(0), Expression)
