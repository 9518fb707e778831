"""Trajectories against plain torch with the same draws, exact noise, Aer and finite differences."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel as AerNoise
from qiskit_aer.noise import depolarizing_error, thermal_relaxation_error
from scipy.stats import chi2_contingency, chisquare
from torch import Tensor

import qsim
from qsim import (
    Channel,
    Circuit,
    Input,
    NoiseModel,
    PauliString,
    UsageError,
    Weight,
    _native,
    channels,
    counts,
    expval,
    jacobian,
    probabilities,
    samples,
)
from qsim.engines import Engine, select_engine
from qsim.engines import trajectories as plain
from qsim.noise import blocks
from qsim.noise.trajectories import Rows
from qsim.noise.unravelling import numbers, seeds_of, unravelled
from qsim.paulis import expectations
from qsim.strings import Strings

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("named_cuda")]

PRECISIONS = [(torch.float32, 2e-4), (torch.float64, 1e-10)]
SHOTS = 20000

Strategies = Callable[..., st.SearchStrategy]


@pytest.fixture(params=_native.instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    _native.use_instruction_set(request.param)
    yield request.param
    _native.use_instruction_set(_native.instruction_sets()[0])


ON_GPU = pytest.param("cuda-on-gpu", marks=pytest.mark.gpu)


@pytest.fixture(scope="module", params=["cpu", "cuda-emulated", ON_GPU])
def kernels(request: pytest.FixtureRequest, cuda_engines: dict[str, Engine]) -> Engine:
    return cuda_engines.get(request.param) or select_engine("cpu", "cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layered() -> Circuit:
    """Weights and inputs, and channels of every kind."""
    circuit = Circuit(4)
    for qubit in range(4):
        circuit.ry(Input(qubit), qubit).u3(Weight(qubit), Weight(1), 0.4, qubit)
        circuit.append(channels.thermal_relaxation(50.0, 60.0, 9.0, 0.1), qubit)
    for qubit in range(3):
        circuit.cx(qubit, qubit + 1).append(channels.depolarizing(0.1, 2), [qubit + 1, qubit])
        circuit.crx(Weight(qubit), qubit, 3 - (qubit == 3)).rzz(2 * Input(qubit), 0, qubit + 1)
    damping = channels.amplitude_damping(0.3).kraus
    both = channels.kraus([np.kron(a, b) for a in damping for b in damping])
    circuit.append(both, [3, 1]).append(channels.crosstalk_zz(0.2), [0, 2])
    circuit.append(channels.reset_error(0.1, 0.05), 2).mcry(Weight(3), [0, 1], 2).h(1)
    return circuit.append(channels.over_rotation("X", 0.1), 1).ry(Weight(0), 1)


def mixtures() -> Circuit:
    """Channels whose choices do not depend on the state."""
    circuit = Circuit(3)
    for qubit in range(3):
        circuit.ry(Input(qubit), qubit).append(channels.depolarizing(0.2), qubit)
        circuit.crz(Weight(qubit), qubit, (qubit + 1) % 3).rx(Weight(0), qubit)
        circuit.append(channels.pauli_channel({"XZ": 0.1, "YI": 0.2}), [qubit, (qubit + 1) % 3])
    return circuit.append(channels.phase_damping(0.3), 1).ry(Weight(1), 1)


def weak() -> Circuit:
    """Errors so rare that trajectories have many in common, and gates that others absorb."""
    circuit = mixtures().x(1).cz(1, 2)
    for qubit in range(3):
        pair = (qubit, (qubit + 1) % 3)
        circuit.append(channels.depolarizing(0.1, 2), pair).cz(*pair)
        circuit.append(channels.amplitude_damping(0.05), qubit).rx(Input(3), qubit).x(qubit)
    return circuit.append(channels.depolarizing(0.05), 2)


def angles(batch: int | None, size: int = 4) -> tuple[Tensor, Tensor]:
    shape = [size] if batch is None else [batch, size]
    weights = 4 * torch.rand(size, generator=seeded(1), dtype=torch.float64)
    return weights, 4 * torch.rand(shape, generator=seeded(2), dtype=torch.float64)


def close(found: Tensor, expected: Tensor, sigmas: float = 5.0) -> None:
    """Means of SHOTS numbers from [-1, 1]."""
    assert (found - expected).abs().max() < sigmas / SHOTS**0.5


# --- With the same draws --------------------------------------------------------------------------


def in_order(circuit: Circuit) -> tuple[Circuit, list[int]]:
    """The circuit with its state-dependent channels in the order in which the program chooses, and
    which draw each channel then takes."""
    draws: dict[int, int] = {}
    free: set[int] = set()
    for k, (acting, _, _) in enumerate(circuit.operations):
        if isinstance(acting, Channel) and len(unravelled(acting).least) > 1:
            draws[k] = len(draws)
            if unravelled(acting).least.sum() > 1 - 1e-9:
                free.add(k)
    bound = {draw: k for k, draw in draws.items() if k not in free}
    queue = [bound[draw] for draw in blocks.program_of(circuit).native.draws if draw in bound]
    left, chosen, order = list(range(len(circuit.operations))), [], []
    while left:
        busy: set[int] = set()
        for k in left:
            qubits = set(circuit.operations[k].qubits)
            waits = k in draws and k not in free and queue[0] != k
            if not busy & qubits and not waits:
                break
            busy |= qubits
        else:
            reject()  # a SWAP, which costs nothing, is in the way of a choice that comes first
        left.remove(k)
        chosen.append(circuit.operations[k])
        if k in draws:
            order.append(draws[k])
            if k not in free:
                queue.remove(k)
    return circuit.with_operations(chosen, circuit.num_qubits), order


def by_torch(rows: Rows, strings: Strings) -> Tensor:
    """Expectation values of each trajectory, with the choices in the order of the program."""
    ordered, order = in_order(rows.circuit)
    renumbered = replace(rows, circuit=ordered)
    own = partial(numbers, rows.seeds, rows.count, rows.trajectories)
    psi = renumbered.first_states(rows.weights)
    states = plain.final_states(ordered, psi, rows.weights, rows.inputs, lambda k: own(order[k]))
    return expectations(strings, states)


def both(
    kernels: Any,
    circuit: Circuit,
    strings: Strings,
    weights: Tensor,
    inputs: Tensor,
    initial: Any = None,
) -> list[tuple[Tensor, ...]]:
    """Values and gradients of one trajectory a row, or of 37 of one sample, by both engines."""
    count, each = (len(inputs), 1) if inputs.dim() == 2 else (37, 37)
    results = []
    for run in (partial(blocks.expval, kernels), by_torch):
        leaves = [t.detach().clone().requires_grad_() for t in (weights, inputs)]
        rows = Rows(circuit, leaves[0], leaves[1], initial, count, each, seeds_of(seeded(), 3))
        found = run(rows, strings)
        cotangent = torch.randn(found.shape, generator=seeded(4), dtype=torch.float64).to(found)
        gradients: tuple[Tensor, ...] = tuple(map(torch.zeros_like, leaves))
        if found.requires_grad:
            gradients = torch.autograd.grad(
                found, leaves, cotangent, allow_unused=True, materialize_grads=True
            )
        results.append((found.detach(), *gradients))
    return results


@pytest.mark.parametrize(("real", "tolerance"), PRECISIONS)
@settings(max_examples=50)
@given(data=st.data())
def test_engines_agree_in_every_trajectory(
    kernels: Any,
    real: torch.dtype,
    tolerance: float,
    data: st.DataObject,
    circuits: Strategies,
    noisy_circuits: Strategies,
    tensors: Strategies,
) -> None:
    circuit = data.draw(noisy_circuits(circuits(max_qubits=4, max_steps=10, any_size=True)))
    weights, inputs = data.draw(tensors(real, data.draw(st.sampled_from([None, 5, 17]))))
    n = circuit.num_qubits
    strings = Strings(PauliString(letter * n) for letter in "XYZ")
    if inputs.dim() == 1 and weights.dim() == 2:
        inputs = inputs.expand(len(weights), -1)
    for ours, theirs in zip(*both(kernels, circuit, strings, weights, inputs), strict=True):
        if real == torch.float64:
            torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)
        else:  # rounding may turn a choice
            different = ((ours - theirs).abs() > tolerance).double().mean()
            assert different <= 0.5 if ours.dim() == 1 else different < 0.2


@pytest.mark.parametrize("batch", [None, 3, 50])
def test_every_instruction_set_agrees(instruction_set: str, batch: int | None) -> None:
    kernels = select_engine("cpu", "cpu")
    weights, inputs = angles(batch)
    strings = Strings(PauliString(s) for s in ("ZIXI", "IYZZ", "XXXX"))
    for ours, theirs in zip(*both(kernels, layered(), strings, weights, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_initial_states_are_taken(kernels: Any) -> None:
    weights, inputs = angles(None)
    psi = torch.randn(1, 16, dtype=torch.complex128, generator=seeded(5))
    strings = Strings([PauliString("ZZXY")])
    found = both(kernels, layered(), strings, weights, inputs, psi / psi.norm())
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("make", "labels"), [(layered, ("ZIXI", "IYZZ")), (weak, ("ZIX", "YZZ"))])
@pytest.mark.parametrize(("real", "tolerance"), PRECISIONS)
def test_what_samples_share_is_theirs(
    kernels: Any,
    real: torch.dtype,
    tolerance: float,
    make: Callable[[], Circuit],
    labels: tuple[str, ...],
) -> None:
    """Many trajectories of samples that differ."""
    circuit = make()
    weights, inputs = (t.to(real) for t in angles(3))
    shape = (3, 2**circuit.num_qubits)
    psi = torch.randn(shape, dtype=torch.complex128, generator=seeded(5))
    psi = (psi / psi.norm(dim=1, keepdim=True)).to(torch.complex(weights, weights).dtype)
    rows = Rows(
        circuit, weights, inputs.repeat_interleave(75, 0), psi, 225, 75, seeds_of(seeded(), 3)
    )
    strings = Strings(map(PauliString, labels))
    found, expected = blocks.expval(kernels, rows, strings), by_torch(rows, strings)
    wrong = ((found - expected).abs() > tolerance).double().mean()
    assert wrong <= (0.02 if real == torch.float32 else 0)  # rounding may turn a choice


def test_each_trajectory_is_read_as_what_it_became(kernels: Any) -> None:
    """Basis states, so that nothing is left to chance but the choices."""
    circuit = Circuit(3).x(0).cx(0, 1)
    for qubit in range(3):
        circuit.append(channels.pauli_channel({"X": 0.1, "Z": 0.1}), qubit).cz(0, 1).cx(1, 2)
        circuit.append(channels.amplitude_damping(0.1), qubit).x(2)
    none = torch.empty(0, dtype=torch.float64)
    rows = Rows(circuit, none, none, None, 1000, 500, seeds_of(seeded(), 2))
    found, expected = blocks.samples(kernels, rows), rows.final_states(none, none).abs().argmax(1)
    assert found.tolist() == expected.tolist()
    assert len(found.unique()) == 8


def test_long_ways_back_agree(kernels: Any) -> None:
    """More angles than states are kept at once, and jumps that nothing undoes."""
    circuit = Circuit(8)
    for k in range(120):
        circuit.ry(Weight(k), k % 8).cx(k % 8, (k + 3) % 8)
        circuit.append(channels.amplitude_damping(0.05), k % 8)
    weights = torch.linspace(-2, 2, 120, dtype=torch.float64)
    strings = Strings([PauliString.z(q, 8) for q in range(8)])
    for ours, theirs in zip(*both(kernels, circuit, strings, weights, weights[:0]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("engine", ["cpu", "cuda-emulated", ON_GPU])
@pytest.mark.parametrize("options", [{}, {"noise": NoiseModel().add_readout([0, 1], 0.02, 0.2)}])
def test_plain_torch_gives_the_same(options: dict[str, Any], engine: str) -> None:
    weights, inputs = angles(3, 3)

    def run(engine: str) -> Tensor:
        found = expval(
            mixtures(),
            [PauliString("XZY"), PauliString("IZZ")],
            weights,
            inputs,
            method="trajectories",
            trajectories=20,
            generator=seeded(),
            engine=engine,
            **options,
        )
        return found

    torch.testing.assert_close(run(engine), run("reference"), rtol=0, atol=1e-12)


# --- With exact noise -----------------------------------------------------------------------------


@settings(max_examples=15)
@given(data=st.data())
def test_means_are_those_of_exact_noise(
    data: st.DataObject, circuits: Strategies, noisy_circuits: Strategies, tensors: Strategies
) -> None:
    circuit = data.draw(noisy_circuits(circuits(max_qubits=3, max_steps=8)))
    weights, inputs = data.draw(tensors(torch.float64, None))
    noise = NoiseModel().add_readout(0, 0.02, 0.1)
    exact = expval(circuit, None, weights, inputs, noise=noise)
    found = expval(
        circuit,
        None,
        weights,
        inputs,
        noise=noise,
        method="trajectories",
        trajectories=SHOTS,
        generator=seeded(),
    )
    close(found, exact, 6)


def test_gradients_are_those_of_exact_noise() -> None:
    weights, inputs = (t.requires_grad_() for t in angles(2))
    strings = [PauliString(s) for s in ("ZIXI", "IYZZ", "ZZZZ")]

    def gradients(**options: Any) -> tuple[Tensor, ...]:
        found = expval(layered(), strings, weights, inputs, **options)
        return torch.autograd.grad(found.sum(), (weights, inputs))

    drawn = gradients(method="trajectories", trajectories=SHOTS, generator=seeded())
    for ours, theirs in zip(drawn, gradients(), strict=True):
        close(ours, theirs, 15)  # sums over samples, strings and places of an angle


def test_gradients_are_finite_differences_with_the_draws_held_fixed() -> None:
    leaves = [t.requires_grad_() for t in angles(1, 3)]
    noise = NoiseModel().add("ry", channels.bit_flip(0.1)).add_readout(2, 0.1, 0.02)

    def values(weights: Tensor, inputs: Tensor) -> Tensor:
        drawn: dict[str, Any] = {"trajectories": 5, "generator": seeded()}
        return expval(
            mixtures(), None, weights, inputs, noise=noise, method="trajectories", **drawn
        )

    assert torch.autograd.gradcheck(values, leaves)
    assert torch.autograd.gradgradcheck(values, leaves)


def test_jacobians_and_shifts_have_the_same_draws() -> None:
    weights, inputs = angles(2, 3)
    drawn: dict[str, Any] = {"method": "trajectories", "trajectories": 20}
    leaf = weights.clone().requires_grad_()
    found = expval(mixtures(), None, leaf, inputs, generator=seeded(), **drawn)
    (gradient,) = torch.autograd.grad(found.sum(), leaf)
    for rule in ("adjoint", "shift"):
        rows = jacobian(
            mixtures(), None, weights, inputs, gradient=rule, generator=seeded(), **drawn
        )
        torch.testing.assert_close(rows.sum((0, 1)), gradient, rtol=0, atol=1e-10)


# --- What is read ---------------------------------------------------------------------------------

READ = NoiseModel().add_readout(0, 0.02, 0.1).add_readout(2, 0.2, 0.05)


@pytest.mark.parametrize("engine", ["cpu", "reference", "cuda-emulated", ON_GPU])
@pytest.mark.parametrize("qubits", [None, [3, 0]])
def test_samples_have_the_exact_distribution(engine: str, qubits: list[int] | None) -> None:
    given, shots = angles(2), SHOTS // 10 if engine == "reference" else SHOTS
    exact = probabilities(layered(), *given, qubits=qubits, noise=READ)
    options: dict[str, Any] = {"noise": READ, "method": "trajectories", "engine": engine}
    drawn = samples(layered(), shots, *given, qubits=qubits, generator=seeded(), **options)
    assert drawn.shape == (2, shots)
    for row, expected in zip(drawn, exact, strict=True):
        found = torch.bincount(row, minlength=len(expected)).numpy()
        assert chisquare(found, (shots * expected).numpy(), sum_check=False).pvalue > 1e-4


def test_probabilities_and_shots_are_those_of_exact_noise() -> None:
    weights, inputs = angles(2)
    options: dict[str, Any] = {"noise": READ, "method": "trajectories", "generator": seeded()}
    exact = probabilities(layered(), weights, inputs, noise=READ)
    close(probabilities(layered(), weights, inputs, trajectories=SHOTS, **options), exact)
    strings = [PauliString(s) for s in ("ZZIZ", "XIYX", "IIII")]
    exact = expval(layered(), strings, weights, inputs, noise=READ)
    close(expval(layered(), strings, weights, inputs, shots=SHOTS, **options), exact)


def test_qubits_that_nothing_touches_are_read() -> None:
    circuit = Circuit(5).h(3).append(channels.bit_flip(0.2), 3)
    noise = NoiseModel().add_readout(1, 0.3, 0.1)
    options: dict[str, Any] = {"noise": noise, "method": "trajectories", "generator": seeded()}
    strings = [PauliString("IIIZI"), PauliString("IXIII"), PauliString("IIIXI")]
    exact = expval(circuit, strings, noise=noise)
    close(expval(circuit, strings, trajectories=10, **options), exact, 1)
    close(expval(circuit, strings, shots=SHOTS, **options), exact)
    assert set(counts(circuit, 200, **options)) == {"00000", "01000", "00010", "01010"}


def test_counts_are_those_of_aers_statevector_method() -> None:
    ours, theirs = Circuit(3), QuantumCircuit(3)
    for layer in range(3):
        for qubit in range(3):
            ours.ry(0.7 + layer + qubit, qubit)
            theirs.ry(0.7 + layer + qubit, qubit)
        for qubit in range(2):
            ours.cx(qubit, qubit + 1)
            theirs.cx(qubit, qubit + 1)
    theirs.measure_all()
    model = AerNoise()
    model.add_all_qubit_quantum_error(thermal_relaxation_error(50, 70, 4), ["ry"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.05, 2), ["cx"])
    noise = NoiseModel().add("ry", channels.thermal_relaxation(50, 70, 4))
    noise = noise.add("cx", channels.depolarizing(0.05, 2))
    simulator = AerSimulator(method="statevector", noise_model=model, seed_simulator=1)
    expected = simulator.run(transpile(theirs, simulator), shots=SHOTS).result().get_counts()
    found = counts(ours, SHOTS, noise=noise, method="trajectories", generator=seeded())
    table = [[counted.get(f"{k:03b}", 0) for k in range(8)] for counted in (found, expected)]
    assert chi2_contingency(table).pvalue > 1e-4


# --- Draws ----------------------------------------------------------------------------------------


def drawn_values(**options: Any) -> Tensor:
    weights, inputs = angles(5)
    given = {"method": "trajectories", "trajectories": 30, "generator": seeded(), **options}
    return expval(layered(), None, weights, inputs, **given)


def test_results_depend_on_seeds_and_not_on_threads() -> None:
    weights, inputs = angles(5)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            leaf = weights.float().requires_grad_()
            value = expval(
                layered(),
                None,
                leaf,
                inputs.float(),
                method="trajectories",
                trajectories=30,
                generator=seeded(),
            )
            value.sum().backward()
            shots = samples(
                layered(), 40, weights, inputs, method="trajectories", generator=seeded()
            )
            found.append((value.detach(), leaf.grad, shots))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert torch.equal(drawn_values(), drawn_values())
    assert not torch.equal(drawn_values(), drawn_values(generator=seeded(1)))


def test_a_sample_has_a_generator_of_its_own() -> None:
    weights, inputs = angles(5)
    whole = drawn_values(generator=[seeded(k) for k in range(5)])
    alone = expval(
        layered(),
        None,
        weights,
        inputs[3],
        method="trajectories",
        trajectories=30,
        generator=seeded(3),
    )
    torch.testing.assert_close(whole[3], alone, rtol=0, atol=1e-12)


def test_numbers_are_uniform_and_independent() -> None:
    rows = torch.stack([numbers(torch.tensor([7, -5]), 20000, 10000, draw) for draw in range(3)])
    parts = rows.reshape(6, 10000)
    assert chisquare(torch.histc(rows.float(), 20, 0, 1).numpy()).pvalue > 1e-4
    correlations = np.corrcoef(parts.numpy()) - np.eye(6)
    assert np.abs(correlations).max() < 5 / 100
    assert rows.unique().numel() == rows.numel()


# --- Which method, and what is refused ------------------------------------------------------------


def test_auto_is_exact_where_that_is_cheaper(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = Circuit(3).h(0).cx(0, 1).cx(1, 2).append(channels.amplitude_damping(0.3), 2)
    strings = [PauliString("ZZZ")]
    exact = expval(circuit, strings)
    assert torch.equal(expval(circuit, strings, trajectories=8), exact)
    assert not torch.equal(expval(circuit, strings, trajectories=7, generator=seeded()), exact)
    monkeypatch.setattr("qsim.memory.machine_bytes", lambda: 100)
    assert not torch.equal(expval(circuit, strings, trajectories=8, generator=seeded()), exact)
    with pytest.raises(UsageError, match="density matrix of 3 qubits takes 256 bytes"):
        expval(circuit, strings)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"method": "monte-carlo"}, "there is no method 'monte-carlo': use auto, exact, trajectories"),
    ({"method": "trajectories"}, "takes their number for each sample: trajectories=1000"),
    ({"trajectories": 0}, "trajectories are a whole number from 1 on, not 0"),
    ({"trajectories": 2.5}, "trajectories are a whole number from 1 on, not 2.5"),
    ({"method": "exact", "trajectories": 5}, "method='exact' takes no trajectories"),
    (
        {"method": "trajectories", "trajectories": 5, "shots": 5},
        "each shot is a trajectory of its own",
    ),
    (
        {"method": "trajectories", "trajectories": 5, "generator": [seeded()] * 2},
        "2 generators do not fit a batch of 1",
    ),
    (
        {
            "method": "trajectories",
            "trajectories": 5,
            "initial_state": torch.eye(4, dtype=torch.complex64)[0].requires_grad_(),
        },
        "trajectories have no gradient of initial_state",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    circuit = Circuit(2).h(0).append(channels.amplitude_damping(0.1), 0)
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        expval(circuit, **options)


def test_states_beyond_memory_are_refused() -> None:
    circuit = Circuit(45)
    for qubit in range(45):
        circuit.h(qubit).append(channels.bit_flip(0.1), qubit)
    with pytest.raises(UsageError, match="100 trajectories of 45 qubits takes"):
        expval(circuit, [PauliString.z(0, 45)], method="trajectories", trajectories=100)
    with pytest.raises(UsageError, match="the density matrix of 45 qubits takes"):
        expval(circuit, [PauliString.z(0, 45)])


def test_what_trajectories_do_not_have_is_refused() -> None:
    circuit = Circuit(1).h(0).append(channels.amplitude_damping(0.1), 0)
    options: dict[str, Any] = {"method": "trajectories", "trajectories": 5}
    with pytest.raises(UsageError, match="trajectories have no density matrix"):
        qsim.density_matrix(circuit, **options)
    with pytest.raises(UsageError, match="noise leaves no pure state"):
        qsim.run(circuit, **options)
    with pytest.raises(UsageError, match="follows its branches, and takes no trajectories"):
        expval(Circuit(1).h(0).measure(0), **options)
    with pytest.raises(UsageError, match=r"does not work inside torch\.func"):
        torch.func.grad(
            lambda w: expval(
                Circuit(1).ry(Weight(0), 0).append(channels.bit_flip(0.1), 0), None, w, **options
            ).sum()
        )(torch.ones(1))
