"""What the tests of qsim share: circuits, tensors and observables for Hypothesis to draw."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from qsim import GATES, Circuit, Gate, Input, PauliString, Symbol, Weight

# The same examples in every run: what fails here fails everywhere.
settings.register_profile("qsim", deadline=None, derandomize=True, database=None)
settings.load_profile("qsim")

NUM_SYMBOLS = 3  # weights, and inputs


def _angles(largest: float) -> st.SearchStrategy[float | Symbol]:
    symbols = st.builds(
        lambda make, index, scale, offset: scale * make(index) + offset,
        st.sampled_from([Weight, Input]),
        st.integers(0, NUM_SYMBOLS - 1),
        st.sampled_from([1.0, 1.0, -1.0, 0.5, 1.75]),
        st.sampled_from([0.0, 0.0, 0.7, -2.0]),
    )
    return st.one_of(symbols, symbols, st.floats(-largest, largest))


def _append(draw: st.DrawFn, circuit: Circuit, gate: Gate, qubits: Sequence[int]) -> None:
    circuit.append(gate, qubits, [draw(_angles(3.0)) for _ in gate.params])


@st.composite
def _circuits(
    draw: st.DrawFn,
    min_qubits: int = 1,
    max_qubits: int = 5,
    min_steps: int = 0,
    max_steps: int = 20,
    names: tuple[str, ...] = tuple(GATES),
) -> Circuit:
    """Circuits with all kinds of angles on NUM_SYMBOLS weights and as many inputs.

    A step is a gate anywhere, or a one-qubit gate on every qubit: engines treat neighbours that
    commute together.
    """
    num_qubits = draw(st.integers(min_qubits, max_qubits))
    circuit = Circuit(num_qubits, NUM_SYMBOLS, NUM_SYMBOLS)
    fitting = [GATES[name] for name in names if GATES[name].num_qubits <= num_qubits]
    alone = [gate for gate in fitting if gate.num_qubits == 1]
    for _ in range(draw(st.integers(min_steps, max_steps))):
        if draw(st.integers(0, 3)) == 3:
            gate = draw(st.sampled_from(alone))
            for qubit in range(num_qubits):
                _append(draw, circuit, gate, [qubit])
            continue
        gate = draw(st.sampled_from(fitting))
        places = st.lists(
            st.integers(0, num_qubits - 1),
            min_size=gate.num_qubits,
            max_size=gate.num_qubits,
            unique=True,
        )
        _append(draw, circuit, gate, draw(places))
    return circuit


@st.composite
def _tensors(draw: st.DrawFn, dtype: torch.dtype, batch: int | None) -> tuple[Tensor, Tensor]:
    """Weights and inputs for such a circuit; with a batch, at least one of them has it."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    batched = draw(st.sampled_from([(True, True), (False, True), (True, False)]))

    def tensor(has_batch: bool) -> Tensor:
        shape = [batch, NUM_SYMBOLS] if batch is not None and has_batch else [NUM_SYMBOLS]
        return 4 * torch.rand(shape, dtype=dtype, generator=generator) - 2

    return tensor(batched[0]), tensor(batched[1])


def _observables(num_qubits: int) -> st.SearchStrategy[list[PauliString]]:
    labels = st.text("IXYZ", min_size=num_qubits, max_size=num_qubits)
    return st.lists(st.builds(PauliString, labels), min_size=1, max_size=4)


@pytest.fixture(scope="session")
def circuits() -> Callable[..., st.SearchStrategy[Circuit]]:
    """circuits(min_qubits, max_qubits, ...) -> strategy."""
    return _circuits


@pytest.fixture(scope="session")
def tensors() -> Callable[..., st.SearchStrategy[tuple[Tensor, Tensor]]]:
    """tensors(dtype, batch) -> strategy for (weights, inputs)."""
    return _tensors


@pytest.fixture(scope="session")
def observables() -> Callable[..., st.SearchStrategy[list[PauliString]]]:
    """observables(num_qubits) -> strategy."""
    return _observables
