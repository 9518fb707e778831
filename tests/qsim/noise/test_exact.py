"""Exact noise on both engines against Qiskit, each other, finite differences and formulas."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import DensityMatrix, Kraus, Operator, Pauli
from torch import Tensor

import qsim
from qsim import (
    Channel,
    Circuit,
    Input,
    NoiseModel,
    PauliString,
    PauliSum,
    UsageError,
    Weight,
    _native,
    channels,
    density_matrix,
    expval,
    probabilities,
)
from qsim.instructions import Instruction

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("named_cuda")]

ON_GPU = pytest.param("cuda-on-gpu", marks=pytest.mark.gpu)
FAST = pytest.mark.parametrize("engine", ["cpu", "cuda-emulated", ON_GPU])
EVERY = pytest.mark.parametrize("engine", ["cpu", "reference", "cuda-emulated", ON_GPU])
BATCHES = (None, 1, 2, 3, 5, 8, 17, 33)
PRECISIONS = [(torch.complex64, 2e-6), (torch.complex128, 1e-12)]

Strategies = Callable[..., st.SearchStrategy]


@pytest.fixture(params=_native.instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    _native.use_instruction_set(request.param)
    yield request.param
    _native.use_instruction_set(_native.instruction_sets()[0])


def qiskits(circuit: Circuit, weights: Tensor, inputs: Tensor) -> DensityMatrix:
    """The density matrix of a noisy circuit by Qiskit, for one sample."""
    rho = DensityMatrix.from_label("0" * circuit.num_qubits)
    for acting, qubits, params in circuit.bind(weights, inputs).operations:
        if isinstance(acting, Channel):
            rho = rho.evolve(Kraus(list(acting.kraus)), list(qubits))
        else:
            rho = rho.evolve(Operator(acting.unitary.at(*params)), list(qubits))
    return rho


def layered() -> Circuit:
    """Weights and inputs in gates of one, two and three qubits, with channels of both kinds."""
    circuit = Circuit(4)
    for qubit in range(4):
        circuit.ry(Input(qubit), qubit).u3(Weight(qubit), Weight(1), 0.4, qubit)
        circuit.append(channels.thermal_relaxation(50.0, 60.0, 4.0, 0.1), qubit)
    for qubit in range(3):
        circuit.cx(qubit, qubit + 1).append(channels.depolarizing(0.1, 2), [qubit + 1, qubit])
        circuit.crx(Weight(qubit), qubit, 3 - (qubit == 3)).rzz(2 * Input(qubit), 0, qubit + 1)
    circuit.append(channels.reset_error(0.1, 0.05), 2).mcry(Weight(3), [0, 1], 2).h(1)
    return circuit.append(channels.amplitude_damping(0.2), 1)


def angles(batch: int | None, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = [4] if batch is None else [batch, 4]
    weights = torch.rand(4, generator=generator, dtype=torch.float64)
    return 4 * weights, 4 * torch.rand(shape, generator=generator, dtype=torch.float64)


# --- Against Qiskit -------------------------------------------------------------------------------


@EVERY
@settings(max_examples=60)
@given(data=st.data())
def test_density_matrices_are_qiskits(
    engine: str,
    data: st.DataObject,
    circuits: Strategies,
    noisy_circuits: Strategies,
    tensors: Strategies,
) -> None:
    circuit = data.draw(noisy_circuits(circuits(max_qubits=4, max_steps=8, any_size=True)))
    weights, inputs = data.draw(tensors(torch.float64, None))
    expected = qiskits(circuit, weights, inputs).data
    found = density_matrix(circuit, weights, inputs, engine=engine)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-10)


@EVERY
def test_expectation_values_are_qiskits(engine: str) -> None:
    circuit, labels = layered(), ["ZIII", "XYZI", "IIYY", "ZZZZ", "IIII"]
    weights, inputs = angles(3)
    found = expval(circuit, [PauliString(s) for s in labels], weights, inputs, engine=engine)
    for row, sample in zip(found, inputs, strict=True):
        rho = qiskits(circuit, weights, sample)
        expected = [rho.expectation_value(Pauli(label)).real for label in labels]
        np.testing.assert_allclose(row.numpy(), expected, atol=1e-10)


# --- The engines with each other ------------------------------------------------------------------


def results(run: Callable[..., Tensor], weights: Tensor, inputs: Tensor) -> tuple[Tensor, ...]:
    """The result and the gradients of a projection of it."""
    leaves = [t.detach().clone().requires_grad_() for t in (weights, inputs)]
    result = run(*leaves)
    generator = torch.Generator().manual_seed(1)
    cotangent = torch.randn(result.shape, dtype=torch.float64, generator=generator)
    if not result.requires_grad:
        return (result, *map(torch.zeros_like, leaves))
    found = torch.autograd.grad(
        result, leaves, cotangent.to(result.dtype), allow_unused=True, materialize_grads=True
    )
    return (result.detach(), *found)


@FAST
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@settings(max_examples=60)
@given(data=st.data())
def test_engines_agree_in_values_and_gradients(
    engine: str,
    dtype: torch.dtype,
    tolerance: float,
    data: st.DataObject,
    circuits: Strategies,
    noisy_circuits: Strategies,
    tensors: Strategies,
    observables: Strategies,
) -> None:
    circuit = data.draw(noisy_circuits(circuits(max_qubits=4, max_steps=12)))
    real = torch.float64 if dtype == torch.complex128 else torch.float32
    weights, inputs = data.draw(tensors(real, data.draw(st.sampled_from(BATCHES))))
    strings = data.draw(observables(circuit.num_qubits))
    noise = NoiseModel().add_readout(0, 0.02, 0.1)

    def run(engine: str) -> tuple[Tensor, ...]:
        return results(
            lambda w, x: expval(circuit, strings, w, x, engine=engine, noise=noise),
            weights,
            inputs,
        )

    for ours, theirs in zip(run(engine), run("reference"), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * 100)


@pytest.mark.parametrize("batch", BATCHES)
def test_every_instruction_set_agrees(instruction_set: str, batch: int | None) -> None:
    weights, inputs = angles(batch)
    strings = [PauliString(s) for s in ("ZIXI", "IYZZ", "XXXX")]
    for dtype, tolerance in PRECISIONS:
        real = torch.float64 if dtype == torch.complex128 else torch.float32

        def run(engine: str, real: torch.dtype = real) -> tuple[Tensor, ...]:
            return results(
                lambda w, x: expval(layered(), strings, w, x, engine=engine),
                weights.to(real),
                inputs.to(real),
            )

        for ours, theirs in zip(run("cpu"), run("reference"), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=50 * tolerance)


@FAST
def test_batched_weights_and_shared_inputs_agree(engine: str) -> None:
    weights, inputs = angles(None)
    many = weights + torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    runs = [
        results(lambda w, x: expval(layered(), None, w, x, engine=name), many, inputs)  # noqa: B023
        for name in (engine, "reference")
    ]
    for ours, theirs in zip(*runs, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_long_ways_back_and_several_threads_give_the_same() -> None:
    # 8 qubits and 120 angles are more than is kept at once, and blocks are shared by threads.
    circuit = Circuit(8)
    for k in range(120):
        circuit.ry(Weight(k), k % 8).cx(k % 8, (k + 3) % 8)
        circuit.append(channels.amplitude_damping(0.02), k % 8)
    weights = torch.linspace(-2, 2, 120)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            leaf = weights.clone().requires_grad_()
            expval(circuit, weights=leaf).sum().backward()
            found.append(leaf.grad)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
    leaf = weights.double().requires_grad_()
    expval(circuit, weights=leaf, engine="reference").sum().backward()
    torch.testing.assert_close(found[0].double(), leaf.grad, rtol=0, atol=2e-4)


# --- Derivatives ----------------------------------------------------------------------------------


@FAST
def test_gradients_are_finite_differences(engine: str) -> None:
    weights, inputs = angles(3)
    leaves = (weights.requires_grad_(), inputs.requires_grad_())
    noise = NoiseModel().add("cx", channels.bit_flip(0.1)).add_readout(3, 0.1, 0.02)
    given: dict[str, Any] = {"engine": engine}
    assert torch.autograd.gradcheck(
        lambda w, x: expval(layered(), None, w, x, noise=noise, **given), leaves
    )
    assert torch.autograd.gradcheck(lambda w, x: probabilities(layered(), w, x, **given), leaves)


def test_parameter_shift_and_second_derivatives_agree_with_the_adjoint() -> None:
    weights, inputs = angles(None)
    leaf = weights.clone().requires_grad_()
    by_rule = torch.autograd.grad(
        expval(layered(), None, leaf, inputs, gradient="shift").sum(), leaf
    )[0]
    value = expval(layered(), None, leaf, inputs).sum()
    gradient = torch.autograd.grad(value, leaf, create_graph=True)[0]
    torch.testing.assert_close(by_rule, gradient, rtol=0, atol=1e-10)

    def first(w: Tensor) -> Tensor:
        inner = w.detach().requires_grad_()
        return torch.autograd.grad(expval(layered(), None, inner, inputs).sum(), inner)[0]

    second = torch.autograd.grad(gradient[0], leaf)[0]
    step = torch.tensor([1e-5, 0, 0, 0], dtype=torch.float64)
    expected = (first(weights + step) - first(weights - step)) / 2e-5
    torch.testing.assert_close(second, expected, rtol=0, atol=1e-8)


def test_torch_func_maps_over_noisy_circuits() -> None:
    weights, inputs = angles(4)

    def loss(w: Tensor, x: Tensor) -> Tensor:
        return expval(layered(), None, w, x).sum()

    mapped = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, inputs)
    expected = torch.stack([torch.func.grad(loss)(weights, x) for x in inputs])
    torch.testing.assert_close(mapped, expected)
    leaf = weights.clone().requires_grad_()
    expval(layered(), None, leaf, inputs).sum().backward()
    torch.testing.assert_close(mapped.sum(0), leaf.grad)


@EVERY
def test_initial_states_are_differentiable(engine: str) -> None:
    weights, inputs = angles(None)
    generator = torch.Generator().manual_seed(2)
    psi = torch.randn(2, 16, dtype=torch.complex128, generator=generator)
    psi = psi / psi.norm(dim=1, keepdim=True)

    def run(amplitudes: Tensor) -> Tensor:
        return expval(layered(), None, weights, inputs, initial_state=amplitudes, engine=engine)

    leaf = psi.clone().requires_grad_()
    run(leaf).sum().backward()
    # The gradient of a quadratic form in unnormalised amplitudes, along a direction.
    pure = Circuit(4).h(0).cry(0.4, 0, 2)
    turned = qsim.state(pure, initial_state=psi)
    prepared = expval(
        Circuit(4).compose(pure).compose(layered()),
        None,
        weights,
        inputs,
        initial_state=psi,
        engine=engine,
    )
    torch.testing.assert_close(run(turned), prepared, rtol=0, atol=1e-12)
    overlap = (leaf.grad.conj() * psi).sum(1).real
    torch.testing.assert_close(overlap, 2 * run(psi).sum(1), rtol=0, atol=1e-9)


# --- What is read ---------------------------------------------------------------------------------


@EVERY
def test_readings_are_those_of_a_device(engine: str) -> None:
    """From probabilities, turned to the basis and mixed by hand."""
    circuit = Circuit(2).ry(0.7, 0).cx(0, 1).rx(0.4, 1).append(channels.phase_damping(0.2), 1)
    noise = NoiseModel().add_readout(0, 0.02, 0.1).add_readout(1, 0.05, 0.01)
    mixing = np.kron([[0.95, 0.01], [0.05, 0.99]], [[0.98, 0.1], [0.02, 0.9]])
    clean = probabilities(circuit, dtype=torch.complex128, engine=engine).numpy()
    read = probabilities(circuit, noise=noise, dtype=torch.complex128, engine=engine).numpy()
    np.testing.assert_allclose(read, mixing @ clean, atol=1e-12)
    turned = circuit.copy().h(0).sdg(1).h(1)
    clean = probabilities(turned, dtype=torch.complex128, engine=engine).numpy()
    signs = np.array([1, -1, -1, 1])
    found = expval(circuit, [PauliString("YX")], noise=noise, dtype=torch.complex128, engine=engine)
    np.testing.assert_allclose(found, signs @ mixing @ clean, atol=1e-12)


@EVERY
def test_qubits_that_nothing_acts_on_are_read_too(engine: str) -> None:
    noise = NoiseModel().add_readout([0, 1, 2], 0.1, 0.3)
    circuit = Circuit(3).h(1)
    found = expval(
        circuit, [PauliString(s) for s in ("IIZ", "ZII", "IIX", "IXI")], noise=noise, engine=engine
    )
    np.testing.assert_allclose(found, [0.8, 0.8, 0.2, 0.2 + 0.6], atol=1e-6)
    rho = density_matrix(circuit, noise=noise, engine=engine)
    expected = torch.zeros(8, 8, dtype=rho.dtype)
    expected[[[0], [2]], [0, 2]] = 0.5
    torch.testing.assert_close(rho, expected)
    chosen = probabilities(circuit, noise=noise, qubits=[2, 1], engine=engine)
    np.testing.assert_allclose(chosen, [0.9 * 0.6, 0.1 * 0.6, 0.9 * 0.4, 0.1 * 0.4], atol=1e-6)


def test_many_qubits_cost_only_where_something_acts() -> None:
    circuit = Circuit(156).h(77).cx(77, 140).append(channels.depolarizing(0.1, 2), [77, 140])
    labels = [PauliString.from_sparse("XX", [77, 140], 156), PauliString.z(3, 156)]
    np.testing.assert_allclose(expval(circuit, labels), [0.9, 1.0], atol=1e-6)
    estimated = expval(circuit, labels, shots=4000, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(estimated, [0.9, 1.0], atol=0.05)
    with pytest.raises(UsageError, match=r"probabilities of 156 qubits, 1 samples, takes"):
        probabilities(circuit)


def test_samples_follow_the_probabilities() -> None:
    noise = NoiseModel().add("cx", channels.depolarizing(0.2, 2)).add_readout(0, 0.05, 0.1)
    circuit = Circuit(2).h(0).cx(0, 1)
    shots, generator = 20_000, torch.Generator().manual_seed(0)
    expected = probabilities(circuit, noise=noise).numpy() * shots
    counts = qsim.counts(circuit, shots, noise=noise, generator=generator)
    found = np.array([counts.get(f"{k:02b}", 0) for k in range(4)])
    assert (((found - expected) ** 2) / expected).sum() < 20  # chi-square of 3 degrees: 1.7e-4
    drawn = qsim.samples(circuit, 10, inputs=None, noise=noise, qubits=[1])
    assert drawn.shape == (10,)
    energy = PauliSum({"ZZ": 0.5, "XX": 0.25})
    value = expval(circuit, [energy], noise=noise)
    estimated = expval(circuit, [energy], noise=noise, shots=shots, generator=generator)
    assert abs(value - estimated) < 0.02


def test_noise_commutes_with_expressions_and_sums() -> None:
    circuit = Circuit(2).ry(Weight(0) * Input(0) + 0.1, 0).cx(0, 1)
    noise = NoiseModel().add("cx", channels.depolarizing(0.2, 2))
    weights = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    inputs = torch.tensor([[0.3], [1.1]], dtype=torch.float64)
    energy = PauliSum({"ZZ": 0.5, "IZ": 0.25})
    found = expval(circuit, [energy], weights, inputs, noise=noise)
    angle = 0.7 * inputs[:, 0] + 0.1
    expected = 0.8 * (0.5 + 0.25 * torch.cos(angle))
    torch.testing.assert_close(found[:, 0], expected)
    found.sum().backward()
    slope = (-0.8 * 0.25 * torch.sin(angle) * inputs[:, 0]).sum()
    torch.testing.assert_close(weights.grad[0], slope)


@EVERY
def test_circuits_where_nothing_happens(engine: str) -> None:
    weights = torch.ones(2, requires_grad=True)
    idle = Circuit(2, num_weights=2).append(channels.bit_flip(0.25), 1)
    found = expval(idle, None, weights, engine=engine)
    np.testing.assert_allclose(found.detach(), [1.0, 0.5], atol=1e-6)
    noise = NoiseModel().add_readout(0, 0.25, 0.0)
    np.testing.assert_allclose(expval(Circuit(1), noise=noise, engine=engine), [0.5])
    assert expval(idle, [], weights, engine=engine).shape == (0,)


# --- Sentences ------------------------------------------------------------------------------------

NOISY = Circuit(2).h(0).append(channels.bit_flip(0.1), 0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: qsim.state(NOISY), "ends in no pure state: take density_matrix"),
        (lambda: qsim.run(Circuit(1).h(0), noise=NoiseModel()), "noise leaves no pure state"),
        (lambda: qsim.metric_tensor(NOISY.copy().rx(Weight(0), 1), torch.ones(1)), "noise leaves"),
        (
            lambda: expval(Circuit(1).append(Instruction("peek", 1), 0)),
            "gates and channels alone, .* peek",
        ),
        (lambda: expval(NOISY, method="guess"), "there is no method 'guess'"),
        (lambda: expval(NOISY, noise=0.1), "noise is a NoiseModel, not float"),
    ],
)
def test_what_cannot_be_had_gets_a_sentence(call: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call()


def test_memory_is_checked_first() -> None:
    circuit = Circuit(20).h(range(20)).append(channels.bit_flip(0.1), 0)
    for engine in ("cpu", "reference", "cuda-emulated"):
        with pytest.raises(UsageError, match=r"bytes, but this machine has"):
            expval(circuit, engine=engine)
    with pytest.raises(UsageError, match=r"bytes, but this machine has"):
        density_matrix(Circuit(30).h(0).append(channels.bit_flip(0.1), 0))
