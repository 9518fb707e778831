"""The GPU engine's kernels, emulated and on a GPU, beside what test_engines.py asks of all."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qsim import Circuit, Input, PauliString, State, Weight, expval, run, state
from qsim.families import unitary

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("named_cuda")]

BOTH = pytest.mark.parametrize(
    "engine", ["cuda-emulated", pytest.param("cuda-on-gpu", marks=pytest.mark.gpu)]
)

Strategies = Callable[..., st.SearchStrategy]


# --- Emulated -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=40)
@given(data=st.data(), batch=st.sampled_from([None, 1, 5]))
def test_gates_of_any_size(
    compare: Any,
    circuits: Strategies,
    tensors: Strategies,
    observables: Strategies,
    dtype: torch.dtype,
    data: st.DataObject,
    batch: int | None,
    engine: str,
) -> None:
    """Constant matrices on up to three qubits, and controls and rotations on all of them."""
    circuit = data.draw(circuits(max_qubits=6, any_size=True))
    weights, inputs = data.draw(tensors(dtype, batch))
    measured = data.draw(observables(circuit.num_qubits))
    tolerance = 2e-6 if dtype == torch.float32 else 1e-12
    compare.agrees(circuit, weights, inputs, measured, tolerance, engine)


def mixed(num_qubits: int, wide: int) -> Circuit:
    """Gates around constant matrices on `wide` qubits."""
    circuit = Circuit(num_qubits)
    generator = torch.Generator().manual_seed(1)
    size = 2**wide
    for layer in range(2):
        for qubit in range(num_qubits):
            circuit.ry(Input(qubit % 3), qubit).rz(Weight(2 * layer), qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
        matrix = torch.randn(size, size, dtype=torch.complex128, generator=generator)
        qubits = [(5 * k + layer) % num_qubits for k in range(wide)]
        circuit.append(unitary(torch.linalg.qr(matrix).Q.numpy()), qubits)
        for qubit in range(num_qubits):
            circuit.crx(Weight(2 * layer + 1), qubit, (qubit + 3) % num_qubits)
    return circuit


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("num_qubits", "wide"), [(6, 2), (6, 3), (6, 4), (7, 5), (14, 3), (14, 6)])
def test_constant_matrices(
    compare: Any, num_qubits: int, wide: int, dtype: torch.dtype, engine: str
) -> None:
    """In registers, or as launches of their own between those of a state of one or many tiles."""
    circuit = mixed(num_qubits, wide)
    weights, inputs = torch.rand(4, dtype=dtype), torch.rand(2, 3, dtype=dtype)
    measured = [
        PauliString("Z" * num_qubits),
        PauliString("XY" * (num_qubits // 2) + "I" * (num_qubits % 2)),
    ]
    tolerance = 5e-6 if dtype == torch.float32 else 1e-12
    compare.agrees(circuit, weights, inputs, measured, tolerance, engine)


@BOTH
@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize(
    ("num_qubits", "wide_first"), [(2, False), (6, False), (6, True), (13, False)]
)
def test_any_initial_state(
    compare: Any, num_qubits: int, wide_first: bool, batch: int | None, engine: str
) -> None:
    circuit = Circuit(num_qubits)
    if wide_first:
        matrix = torch.linalg.qr(torch.randn(32, 32, dtype=torch.complex128)).Q
        circuit.append(unitary(matrix.numpy()), range(1, 6))
    for qubit in range(num_qubits):
        circuit.rx(Weight(0), qubit).cry(Weight(1), qubit, (qubit + 1) % num_qubits)
    shape = (2**num_qubits,) if batch is None else (batch, 2**num_qubits)
    start = torch.nn.functional.normalize(torch.randn(shape, dtype=torch.complex128), dim=-1)
    measured = [PauliString("Z" * num_qubits), PauliString("X" * num_qubits)]

    def results(name: str) -> tuple[Tensor, ...]:
        leaves = [
            start.clone().requires_grad_(),
            torch.tensor([0.3, 0.8]).double().requires_grad_(),
        ]
        values = expval(circuit, measured, leaves[1], initial_state=leaves[0], engine=name)
        psi = state(circuit, leaves[1], initial_state=leaves[0], engine=name)
        slopes = torch.autograd.grad(values, leaves, compare.cotangent_for(values))
        others = torch.autograd.grad(psi, leaves, compare.cotangent_for(psi))
        (alone,) = torch.autograd.grad(
            expval(circuit, measured, leaves[1].detach(), initial_state=leaves[0], engine=name),
            leaves[0],
            compare.cotangent_for(values),
        )
        return values, psi, *slopes, *others, alone

    compare.assert_close(results(engine), results("reference"), 1e-12)


@BOTH
@pytest.mark.parametrize("num_qubits", [11, 12, 13, 14, 15])
def test_larger_tiles_without_a_gradient(compare: Any, num_qubits: int, engine: str) -> None:
    circuit = mixed(num_qubits, 2)
    weights, inputs = torch.rand(4).double(), torch.rand(2, 3).double()
    found, expected = (
        (
            expval(circuit, None, weights, inputs, engine=e),
            state(circuit, weights, inputs, engine=e),
        )
        for e in (engine, "reference")
    )
    compare.assert_close(found, expected, 1e-12)


@BOTH
def test_long_circuits_hold_some_matrices_at_a_time(compare: Any, engine: str) -> None:
    circuit = Circuit(3)
    for k in range(200):
        circuit.u3(Weight(k % 3), 0.1, Input(0), k % 3).cx(k % 3, (k + 1) % 3)
    weights, inputs = torch.rand(3).double(), torch.rand(4, 1).double()
    compare.agrees(circuit, weights, inputs, [PauliString("XYZ")], 1e-11, engine)


@BOTH
def test_what_a_run_answers_is_that_of_the_reference(engine: str) -> None:
    circuit, weights = Circuit(3).ry(Weight(0), 0).cx(0, 1).rx(Weight(0), 2), torch.rand(4, 1)
    found, expected = (run(circuit, weights, engine=e) for e in (engine, "reference"))
    assert isinstance(found, State)
    assert isinstance(expected, State)
    torch.testing.assert_close(found.probabilities(), expected.probabilities())
    seeds = [torch.Generator().manual_seed(3) for _ in range(2)]
    drawn = [s.samples(100, generator=g) for s, g in zip((found, expected), seeds, strict=True)]
    assert torch.equal(*drawn)


@BOTH
def test_results_are_the_same_in_every_run(engine: str) -> None:
    circuit = mixed(13, 2)
    weights = torch.rand(4, requires_grad=True)
    inputs = torch.rand(5, 3)

    def gradient() -> Tensor:
        values = expval(circuit, None, weights, inputs, engine=engine)
        return torch.autograd.grad(values.sum(), weights)[0]

    assert torch.equal(gradient(), gradient())


# --- On a GPU -------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_qubits", [3, 10, 14])
def test_a_cuda_graph_replays_a_training_step(num_qubits: int, dtype: torch.dtype) -> None:
    circuit = mixed(num_qubits, 2)
    weights = torch.rand(4, dtype=dtype, device="cuda", requires_grad=True)
    inputs = torch.rand(6, 3, dtype=dtype, device="cuda")

    def step() -> Tensor:
        return torch.autograd.grad(expval(circuit, None, weights, inputs).sum(), weights)[0]

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        step()  # compiles, copies the tape, fills the allocator
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        weights.add_(0.5)
    graph.replay()
    torch.testing.assert_close(captured, step(), atol=0, rtol=0)
