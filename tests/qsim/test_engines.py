"""Engines against each other and against Qiskit, on circuits that Hypothesis draws."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Pauli, Statevector
from torch import Tensor

from qsim import (
    GATES,
    Circuit,
    Input,
    PauliString,
    UsageError,
    Weight,
    _native,
    expval,
    probabilities,
    state,
)
from qsim.interop.qiskit import to_qiskit

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("named_cuda")]

CUDA = ("cuda-emulated", pytest.param("cuda-on-gpu", marks=pytest.mark.gpu))
ENGINES = ("cpu", *CUDA, "reference")
BATCHES = (None, 1, 2, 3, 4, 5, 8, 9, 16, 17, 33)  # blocks hold 1, 4, 8 and 16 samples
REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}
PRECISIONS = [(torch.complex64, 1e-6), (torch.complex128, 1e-12)]
# All gates, and families that make long runs of gates which a planner may join or reorder.
FAMILIES = (
    tuple(GATES),
    ("h", "ry", "ch", "cry", "x", "cx", "swap"),
    ("u3", "rz", "cp", "crz", "cz", "x", "cx", "swap"),
)
EVERY = pytest.mark.parametrize("engine", ENGINES)
COMPILED = pytest.mark.parametrize("engine", ENGINES[:3])

Strategies = Callable[..., st.SearchStrategy]


@pytest.fixture(scope="module", params=[*_native.instruction_sets(), *CUDA])
def compiled(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test with each engine that is compiled, and for each instruction set."""
    if request.param not in _native.instruction_sets():
        yield request.param
        return
    _native.use_instruction_set(request.param)
    yield "cpu"
    _native.use_instruction_set(_native.instruction_sets()[0])


@pytest.fixture
def threads() -> Iterator[None]:
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


# --- Compiled engines against reference -----------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@settings(max_examples=60)
@given(data=st.data(), batch=st.sampled_from(BATCHES))
def test_compiled_engines_agree_with_reference(
    compare: Any,
    compiled: str,
    circuits: Strategies,
    tensors: Strategies,
    observables: Strategies,
    dtype: torch.dtype,
    tolerance: float,
    data: st.DataObject,
    batch: int | None,
) -> None:
    names = data.draw(st.sampled_from(FAMILIES))
    circuit = data.draw(circuits(max_qubits=6, names=names))
    weights, inputs = data.draw(tensors(REAL[dtype], batch))
    measured = data.draw(observables(circuit.num_qubits))
    compare.agrees(circuit, weights, inputs, measured, tolerance, compiled)


@pytest.mark.parametrize("batch", [1, 4, 16])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.complex64, 5e-6), (torch.complex128, 1e-12)]
)
@settings(max_examples=6)
@given(data=st.data())
def test_compiled_engines_agree_where_states_are_swept_in_tiles(
    compare: Any,
    compiled: str,
    circuits: Strategies,
    tensors: Strategies,
    observables: Strategies,
    dtype: torch.dtype,
    tolerance: float,
    batch: int,
    data: st.DataObject,
) -> None:
    """Tiles of the cpu hold 7 qubits (blocks of 16 samples, double) to 10 (one sample).

    Rounding of some 200 gates adds up to more than 1e-6 in single precision.
    """
    largest = {1: 12, 4: 12, 16: 10}[batch]
    sizes = {"min_qubits": largest - 1, "max_qubits": largest}
    names = data.draw(st.sampled_from(FAMILIES))
    circuit = data.draw(circuits(**sizes, min_steps=8, max_steps=20, names=names))
    weights, inputs = data.draw(tensors(REAL[dtype], batch))
    measured = data.draw(observables(circuit.num_qubits))
    compare.agrees(circuit, weights, inputs, measured, tolerance, compiled)


@COMPILED
@pytest.mark.parametrize("count", [1, 3, 4, 30])
@pytest.mark.parametrize("batch", [1, 5, 16])
def test_strings_that_flip_the_same_qubits_are_read_together(
    compare: Any, batch: int, count: int, engine: str
) -> None:
    """Few are summed up one by one, many by a transform; both kinds of Y may be among them."""
    circuit = classifier(8, 1)
    weights, inputs = data_for(circuit, batch)
    letters = np.random.default_rng(count).choice(["IZ", "XY"], (3, 8))
    generator = np.random.default_rng(count)
    measured = [
        PauliString("".join(generator.choice(list(pair)) for pair in row))
        for row in letters
        for _ in range(count)
    ]
    compare.agrees(circuit, weights, inputs, measured, 1e-12, engine)


def test_sums_over_many_amplitudes_keep_single_precision() -> None:
    """Adding up 2^n numbers one after another would lose digits that the state still has."""
    circuit = classifier(16, 1)
    weights, inputs = data_for(circuit, 1)
    measured = [PauliString("I" * 16), PauliString.z(15, 16), PauliString("X" * 16)]
    double = expval(circuit, measured, weights, inputs)
    single = expval(circuit, measured, weights.float(), inputs.float())
    torch.testing.assert_close(single.double(), double, atol=3e-6, rtol=0)


@COMPILED
def test_compiled_engines_agree_on_many_qubits(compare: Any, engine: str) -> None:
    circuit = classifier(15, 1)
    weights, inputs = data_for(circuit, 2)
    measured = [PauliString.z(14, 15), PauliString("XYZ" * 5)]
    compare.agrees(circuit, weights, inputs, measured, 1e-12, engine)


@COMPILED
@settings(max_examples=30)
@given(data=st.data())
def test_gates_that_only_move_amplitudes_are_exact(
    circuits: Strategies, engine: str, data: st.DataObject
) -> None:
    names = ("x", "cx", "swap", "i")
    circuit = data.draw(circuits(max_qubits=8, max_steps=40, names=names))
    empty = torch.zeros(3)
    ours = state(circuit, empty, empty, engine=engine)
    assert torch.equal(ours, state(circuit, empty, empty, engine="reference"))
    assert torch.equal(ours.abs().sort().values, torch.eye(2**circuit.num_qubits)[-1])


# --- Against Qiskit -------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@settings(max_examples=30)
@given(data=st.data())
def test_engines_agree_with_qiskit(
    circuits: Strategies,
    tensors: Strategies,
    observables: Strategies,
    dtype: torch.dtype,
    tolerance: float,
    engine: str,
    data: st.DataObject,
) -> None:
    circuit = data.draw(circuits(max_qubits=6))
    weights, inputs = data.draw(tensors(REAL[dtype], None))
    measured = data.draw(observables(circuit.num_qubits))
    theirs = Statevector(to_qiskit(circuit.bind(weights, inputs)))
    ours = state(circuit, weights, inputs, engine=engine)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours.numpy(), theirs.data, rtol=0, atol=tolerance)
    values = expval(circuit, measured, weights, inputs, engine=engine)
    expected = [theirs.expectation_value(Pauli(p.label)).real for p in measured]
    np.testing.assert_allclose(values.numpy(), expected, rtol=0, atol=tolerance)


@EVERY
def test_qubit_zero_is_the_least_significant_bit(engine: str) -> None:
    circuit = Circuit(3).x(0)
    assert state(circuit, engine=engine).real.tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert probabilities(circuit, engine=engine).tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert expval(circuit, engine=engine).tolist() == [-1, 1, 1]
    assert expval(circuit, [PauliString("IIZ")], engine=engine).tolist() == [-1]


# --- Autograd -------------------------------------------------------------------------------------


def classifier(num_qubits: int = 4, layers: int = 2) -> Circuit:
    circuit = Circuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.rx(Input(qubit), qubit).ry(0.5 * Input(qubit) + 0.1, qubit)
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.u3(*[Weight(3 * (num_qubits * layer + qubit) + k) for k in range(3)], qubit)
        for qubit in range(num_qubits):
            circuit.cu3(Weight(0), Weight(qubit), 0.3, qubit, (qubit + 1) % num_qubits)
    return circuit


def data_for(
    circuit: Circuit, batch: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    return torch.randn(circuit.num_weights, dtype=dtype), torch.randn(
        batch, circuit.num_inputs, dtype=dtype
    )


@EVERY
def test_second_derivatives(engine: str) -> None:
    circuit = Circuit(2).ry(Input(0), 0).crx(Weight(0), 0, 1).u3(Weight(1), 0.3, Weight(0), 1)
    measured = [PauliString("ZX"), PauliString("YI")]
    weights = torch.tensor([0.3, -1.1], dtype=torch.float64, requires_grad=True)
    inputs = torch.tensor([[0.7], [2.0]], dtype=torch.float64, requires_grad=True)

    def values(w: Tensor, x: Tensor) -> Tensor:
        return expval(circuit, measured, w, x, engine=engine)

    def states(w: Tensor, x: Tensor) -> Tensor:
        return state(circuit, w, x, engine=engine)

    assert torch.autograd.gradgradcheck(values, (weights, inputs))
    assert torch.autograd.gradgradcheck(states, (weights, inputs))


@COMPILED
def test_hessian_is_that_of_the_reference(engine: str) -> None:
    circuit = classifier()
    weights, inputs = data_for(circuit, 3)

    def hessian(name: str) -> Tensor:
        return torch.autograd.functional.hessian(
            lambda w: expval(circuit, None, w, inputs, engine=name).square().sum(), weights
        )

    torch.testing.assert_close(hessian(engine), hessian("reference"), atol=1e-12, rtol=0)


def test_create_graph_belongs_to_the_circuit_that_ran() -> None:
    circuit = Circuit(1).rx(Weight(0), 0)
    weights = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    values = expval(circuit, weights=weights)
    circuit.x(0)
    (slope,) = torch.autograd.grad(values.sum(), weights, create_graph=True)
    assert slope.item() == pytest.approx(-np.sin(0.3))


@EVERY
def test_backward_twice(engine: str) -> None:
    circuit = classifier()
    weights, inputs = data_for(circuit, 5)
    weights.requires_grad_()
    loss = expval(circuit, None, weights, inputs, engine=engine).sum()
    loss.backward(retain_graph=True)
    assert weights.grad is not None
    once = weights.grad.clone()
    loss.backward()
    torch.testing.assert_close(weights.grad, 2 * once)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


@EVERY
def test_gradients_only_where_they_are_asked_for(compare: Any, engine: str) -> None:
    circuit = classifier()
    weights, inputs = data_for(circuit, 5)
    assert not expval(circuit, None, weights, inputs, engine=engine).requires_grad
    assert not state(circuit, weights, inputs, engine=engine).requires_grad
    full = compare.gradients(
        lambda w, x: expval(circuit, None, w, x, engine=engine), weights, inputs
    )
    for k, wanted in enumerate((weights, inputs)):
        wanted.requires_grad_()
        result = expval(circuit, None, weights, inputs, engine=engine)
        result.backward(compare.cotangent_for(result))
        torch.testing.assert_close(wanted.grad, full[1 + k])
        wanted.requires_grad_(False)
    assert weights.grad is not None
    weights.requires_grad_()
    with torch.no_grad():
        assert not expval(circuit, None, weights, inputs, engine=engine).requires_grad


@pytest.mark.parametrize("create_graph", [False, True])
def test_weights_that_no_gate_uses_have_gradient_zero(create_graph: bool) -> None:
    weights = torch.rand(2, requires_grad=True)
    circuit = Circuit(1, num_weights=2).rx(Weight(1), 0)
    values = expval(circuit, weights=weights)
    (slope,) = torch.autograd.grad(values.sum(), weights, create_graph=create_graph)
    assert slope[0] == 0
    assert slope[1] != 0
    values = expval(Circuit(1, num_weights=2).h(0), weights=weights)
    (slope,) = torch.autograd.grad(values.sum(), weights, create_graph=create_graph)
    assert slope.tolist() == [0, 0]


@EVERY
def test_no_observables_give_no_values_and_no_gradient(engine: str) -> None:
    weights = torch.rand(5, 1, requires_grad=True)
    values = expval(Circuit(2).rx(Weight(0), 0), [], weights, engine=engine)
    assert values.shape == (5, 0)
    (values.sum() + 0 * weights.sum()).backward()
    assert weights.grad is not None
    assert weights.grad.abs().max() == 0


def test_weights_changed_in_place_before_backward_are_refused() -> None:
    weights = torch.rand(1, requires_grad=True)
    moved = weights * 1
    values = expval(Circuit(1).rx(Weight(0), 0), weights=moved)
    with torch.no_grad():
        moved += 1
    with pytest.raises(RuntimeError, match=r"in-?place"):
        values.sum().backward()


# --- Tensors of every kind ------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("batch", [1, 2, 5, 8, 17])
def test_batches_are_samples_one_by_one(batch: int, engine: str) -> None:
    circuit = classifier(3)
    _, inputs = data_for(circuit, batch)
    weights = torch.randn(batch, circuit.num_weights, dtype=torch.float64)
    together = expval(circuit, None, weights, inputs, engine=engine)
    assert together.shape == (batch, 3)
    single = [
        expval(circuit, None, w, x, engine=engine) for w, x in zip(weights, inputs, strict=True)
    ]
    torch.testing.assert_close(together, torch.stack(single), atol=1e-13, rtol=0)
    shared = expval(circuit, None, weights[0], inputs, engine=engine)
    expanded = expval(circuit, None, weights[:1].expand(batch, -1), inputs, engine=engine)
    torch.testing.assert_close(shared, expanded, atol=1e-13, rtol=0)


@EVERY
def test_tensors_need_not_be_contiguous(compare: Any, engine: str) -> None:
    circuit = classifier(3)
    weights = torch.randn(circuit.num_weights, 7, dtype=torch.float64).T
    inputs = torch.randn(7, 2 * circuit.num_inputs, dtype=torch.float64)[:, ::2]

    def run(w: Tensor, x: Tensor) -> Tensor:
        return expval(circuit, None, w, x, engine=engine)

    for w, x in [(weights, inputs), (weights[3], inputs), (weights[:1].expand(7, -1), inputs[3])]:
        leaves = [t.detach().requires_grad_() for t in (w, x)]
        copies = [t.detach().clone(memory_format=torch.contiguous_format) for t in (w, x)]
        values = run(*leaves)
        found = torch.autograd.grad(values.T[::2].sum(), leaves)
        expected_leaves = [t.requires_grad_() for t in copies]
        expected = torch.autograd.grad(run(*expected_leaves).T[::2].sum(), expected_leaves)
        compare.assert_close(tuple(found), tuple(expected), 1e-13)


@EVERY
def test_weights_that_are_negated_lazily(engine: str) -> None:
    weights = torch.tensor([1.0 + 2.0j]).conj().imag
    assert weights.is_neg()
    found = expval(Circuit(1).rx(Weight(0), 0), [PauliString("Y")], weights, engine=engine)
    assert found.item() == pytest.approx(np.sin(2))


@EVERY
def test_cotangents_that_are_negated_or_conjugated_lazily(engine: str) -> None:
    circuit = Circuit(1).rx(Weight(0), 0)
    weights = torch.tensor([[0.4]], requires_grad=True)
    negated = torch.tensor([[1.0 + 2.0j]]).conj().imag
    values = expval(circuit, [PauliString("Z")], weights, engine=engine)
    (slope,) = torch.autograd.grad(values, weights, negated)
    assert slope.item() == pytest.approx(2 * np.sin(0.4))
    states = state(circuit, weights, engine=engine)
    (slope,) = torch.autograd.grad(states.conj().imag.sum(), weights)
    assert slope.item() == pytest.approx(np.cos(0.2) / 2)


@EVERY
def test_dtype_is_that_of_the_tensors_or_as_asked(engine: str) -> None:
    circuit = Circuit(1).rx(Weight(0), 0).ry(Input(0), 0)
    single, double = torch.rand(1), torch.rand(1, dtype=torch.float64)
    precision = {
        (single, single): torch.float32,
        (single, double): torch.float64,
        (double, single): torch.float64,
        (double, double): torch.float64,
    }
    for (weights, inputs), expected in precision.items():
        assert expval(circuit, None, weights, inputs, engine=engine).dtype == expected
    for dtype, real in REAL.items():
        assert expval(circuit, None, single, double, engine=engine, dtype=dtype).dtype == real
        assert state(circuit, single, double, engine=engine, dtype=dtype).dtype == dtype
        assert probabilities(circuit, single, double, engine=engine, dtype=dtype).dtype == real
    assert state(Circuit(1), engine=engine).dtype == torch.complex64
    weights = single.clone().requires_grad_()
    expval(circuit, None, weights, double, engine=engine).sum().backward()
    assert weights.grad is not None
    assert weights.grad.dtype == torch.float32


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_large_angles(compiled: str, dtype: torch.dtype, tolerance: float) -> None:
    """Sine and cosine of angles on both sides of every limit of the argument reduction."""
    size = torch.tensor([1.0, 100, 8191, 8193, 1e4, 1e6, 1048575, 1048577, 1e9, 1e12])
    angles = (size[:, None] + torch.linspace(0, 7, 40)).flatten()
    angles = torch.cat([angles, -angles]).to(REAL[dtype])[:, None]
    circuit = Circuit(1).rx(Weight(0), 0)
    measured = [PauliString("Z"), PauliString("Y")]
    expected = torch.cat([angles.double().cos(), -angles.double().sin()], 1)
    batched = expval(circuit, measured, angles, engine=compiled)
    torch.testing.assert_close(batched.double(), expected, atol=tolerance, rtol=0)
    alone = torch.stack([expval(circuit, measured, a, engine=compiled) for a in angles[::7]])
    torch.testing.assert_close(alone.double(), expected[::7], atol=tolerance, rtol=0)


@EVERY
@pytest.mark.parametrize("angle", [1e4 + 0.1, 1e6 + 0.1, -1e6 - 0.3])
def test_large_constant_angles(angle: float, engine: str) -> None:
    """A constant is a double, whatever the precision of the tensors."""
    values = expval(Circuit(1).rx(angle, 0), engine=engine)
    assert values.item() == pytest.approx(np.cos(angle), abs=1e-6)


def test_sine_and_cosine_to_the_last_digits(compiled: str) -> None:
    angles = torch.linspace(-12, 12, 4096, dtype=torch.float64)[:, None]
    for precision, tolerance in ((angles.float(), 1.5e-7), (angles, 4e-16)):
        found = state(Circuit(1).ry(Weight(0), 0), precision, engine=compiled).real.double()
        half = precision.double() / 2
        torch.testing.assert_close(
            found, torch.cat([half.cos(), half.sin()], 1), atol=tolerance, rtol=0
        )


# --- Threads --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("run", [expval, state])
def test_results_do_not_depend_on_the_number_of_threads(
    compare: Any, run: Callable[..., Tensor]
) -> None:
    circuit = classifier(9, 3)
    weights, inputs = data_for(circuit, 75, torch.float32)
    found = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        found.append(
            compare.gradients(lambda w, x: run(circuit, weights=w, inputs=x), weights, inputs)
        )
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert torch.equal(a, b)


# --- What does not fit ----------------------------------------------------------------------------


def test_unknown_instruction_set_is_refused() -> None:
    with pytest.raises(ValueError, match="'z80'"):
        _native.use_instruction_set("z80")


@EVERY
def test_a_batch_without_samples_is_refused(engine: str) -> None:
    for weights, inputs in [(torch.zeros(0, 1), None), (torch.zeros(1), torch.zeros(0, 0))]:
        with pytest.raises(UsageError, match="batch"):
            expval(Circuit(1).rx(Weight(0), 0), None, weights, inputs, engine=engine)


@pytest.mark.parametrize("run", [expval, state])
@pytest.mark.parametrize("num_qubits", [45, 60, 64, 100])
def test_states_beyond_the_memory_are_refused(run: Callable[..., Tensor], num_qubits: int) -> None:
    with pytest.raises(UsageError, match=f"{num_qubits} qubits"):
        run(Circuit(num_qubits).h(0))
