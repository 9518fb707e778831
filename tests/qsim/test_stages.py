"""Engines against each other where states are swept in stages, and where they start anywhere."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from qsim import _native
from qsim.engines import select_engine

pytestmark = pytest.mark.native

Strategies = Callable[..., st.SearchStrategy]
BATCHES = (None, 1, 2, 3, 4, 5, 8, 9, 16, 17, 33)  # blocks hold 1, 4, 8 and 16 samples
LIMITS = [  # bits of tile, stage and cached states; qubits with samples in lanes, with layers
    (8, 12, 17, 11, 14),
    (8, 12, 17, 0, 14),
    (2, 3, 4, 3, 4),
    (1, 2, 17, 0, 14),
    (3, 4, 1, 2, 0),
]


@pytest.fixture(params=LIMITS, ids=str)
def limits(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs the test with small tiles and stages too, as if states were large."""
    chosen = _native.Limits()
    names = ("tile_bits", "stage_bits", "cached_bits", "sample_qubits", "layer_qubits")
    for name, value in zip(names, request.param, strict=True):
        setattr(chosen, name, value)
    _native.use_limits(chosen)
    yield
    _native.use_limits(_native.Limits())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 2e-12)])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), batch=st.sampled_from(BATCHES))
def test_cpu_agrees_with_reference_in_stages_and_for_gates_of_any_size(
    compare: Any,
    limits: None,
    circuits: Strategies,
    tensors: Strategies,
    observables: Strategies,
    dtype: torch.dtype,
    tolerance: float,
    data: st.DataObject,
    batch: int | None,
) -> None:
    circuit = data.draw(circuits(max_qubits=8, any_size=True))
    weights, inputs = data.draw(tensors(dtype, batch))
    measured = data.draw(observables(circuit.num_qubits))
    compare.agrees(circuit, weights, inputs, measured, tolerance)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), batch=st.sampled_from([1, 3, 8]), shared=st.booleans())
def test_cpu_starts_from_any_state(
    compare: Any,
    limits: None,
    circuits: Strategies,
    tensors: Strategies,
    observables: Strategies,
    data: st.DataObject,
    batch: int,
    shared: bool,
) -> None:
    """Values, states and all gradients, that of the first state included."""
    circuit = data.draw(circuits(max_qubits=8, any_size=True))
    weights, inputs = data.draw(tensors(torch.float64, batch))
    measured = tuple(data.draw(observables(circuit.num_qubits)))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    shape = [2**circuit.num_qubits] if shared else [batch, 2**circuit.num_qubits]
    start = torch.randn(shape, dtype=torch.complex128, generator=generator)

    def run(engine: str) -> list[Tensor]:
        leaves = [t.clone().requires_grad_() for t in (weights, inputs, start)]
        chosen = select_engine(engine, "cpu")
        values = chosen.expval(circuit, measured, *leaves[:2], batch, leaves[2])
        states = chosen.state(circuit, *leaves[:2], batch, leaves[2])
        total = (values * compare.cotangent_for(values)).sum() + (
            states * compare.cotangent_for(states)
        ).real.sum()
        found = torch.autograd.grad(total, leaves, materialize_grads=True)
        return [values.detach(), states.detach(), *found]

    for ours, theirs in zip(run("cpu"), run("reference"), strict=True):
        scale = max(1.0, theirs.abs().max().item()) if theirs.numel() else 1.0
        torch.testing.assert_close(ours, theirs, atol=1e-11 * scale, rtol=0)
