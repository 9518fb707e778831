"""What the GPU engine's kernels of exact noise have and others have not: tiles, stages, records."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import dft
from torch import Tensor

import qsim.engines.cuda.transfer
import qsim.memory
from qsim import Circuit, Input, PauliString, UsageError, Weight, channels, expval
from qsim.families import unitary
from qsim.noise.channels import Channel

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("named_cuda")]

BOTH = pytest.mark.parametrize(
    "engine", ["cuda-emulated", pytest.param("cuda-on-gpu", marks=pytest.mark.gpu)]
)


def random_channel(num_qubits: int) -> Channel:
    generator = torch.Generator().manual_seed(3)
    size = 2**num_qubits
    columns = torch.randn(2 * size, size, dtype=torch.complex128, generator=generator)
    return channels.kraus(torch.linalg.qr(columns).Q.reshape(2, size, size).numpy())


def layered(num_qubits: int, layers: int = 2, wide: bool = False) -> Circuit:
    """Angles on every qubit, moves and full matrices on pairs, and matrices on three qubits."""
    circuit = Circuit(num_qubits)
    if wide:
        circuit.append(random_channel(3), [num_qubits - 1, 0, 2])
    for layer in range(layers):
        for qubit in range(num_qubits):
            circuit.ry(Input(qubit % 3), qubit).rz(Weight(layer % 3), qubit)
            circuit.append(channels.amplitude_damping(0.1), qubit).rx(Weight(qubit % 3), qubit)
        for qubit in range(num_qubits):
            pair = [qubit, (qubit + 1 + layer % 2) % num_qubits]
            circuit.cx(*pair).append(channels.depolarizing(0.05, 2), pair[::-1])
        circuit.append(random_channel(2), [num_qubits - 1, 0])
        if wide:
            angles = np.linspace(-1, 2, 8)
            matrix = dft(8, scale="sqrtn") * np.exp(1j * angles)
            circuit.append(unitary(matrix), [1, num_qubits - 1, 0])
    return circuit


def results(circuit: Circuit, engine: str, dtype: torch.dtype, batch: int = 2) -> list[Tensor]:
    """Values, and gradients of weights, inputs and, alone, of the inputs."""
    generator = torch.Generator().manual_seed(0)
    leaves = [
        torch.rand(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for shape in ([3], [batch, 3])
    ]
    n = circuit.num_qubits
    strings = [PauliString("Z" * n), PauliString.z(0, n), PauliString(("XY" * n)[:n])]
    values = expval(circuit, strings, *leaves, engine=engine)
    slopes = torch.autograd.grad(values.sum(), leaves)
    alone = expval(circuit, strings, leaves[0].detach(), leaves[1], engine=engine)
    return [values.detach(), *slopes, *torch.autograd.grad(alone[:, 1].sum(), leaves[1])]


def assert_agrees(circuit: Circuit, engine: str, dtype: torch.dtype, batch: int = 2) -> None:
    tolerance = 2e-5 if dtype == torch.float32 else 1e-12
    expected = results(circuit, "cpu", torch.float64, batch)
    for ours, theirs in zip(results(circuit, engine, dtype, batch), expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=tolerance)


PRECISIONS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


@BOTH
@PRECISIONS
@pytest.mark.parametrize(("num_qubits", "wide"), [(3, False), (4, True), (7, False), (8, True)])
def test_matrices_of_one_or_many_tiles(
    num_qubits: int, wide: bool, dtype: torch.dtype, engine: str
) -> None:
    assert_agrees(layered(num_qubits, wide=wide), engine, dtype)


@BOTH
@pytest.mark.parametrize("kept", [1, 5 * 2 * 8 * 4**4])
@pytest.mark.parametrize("wide", [False, True])
def test_shorter_stages_where_memory_does_not_suffice(
    wide: bool, kept: int, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qsim.engines.cuda.transfer, "_KEPT", kept)
    assert_agrees(layered(4, 3, wide), engine, torch.float64)


@BOTH
def test_long_circuits_hold_some_maps_at_a_time(engine: str) -> None:
    circuit = layered(3, 8)  # 48 maps in one stage
    assert_agrees(circuit, engine, torch.float64, batch=3)


@BOTH
def test_results_are_the_same_in_every_run(engine: str) -> None:
    once, again = (results(layered(7), engine, torch.float32) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_bytes_that_are_needed_and_free_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qsim.memory, "machine_bytes", lambda: 2**29)
    options: dict[str, Any] = {"engine": "cuda-emulated", "method": "exact"}
    circuit = Circuit(14).h(range(14)).append(channels.bit_flip(0.1), 0)
    with pytest.raises(
        UsageError, match=r"14 qubits, 1 samples, takes 1,073,741,824 bytes, but .* 536,870,912"
    ):
        expval(circuit, **options)
    circuit = Circuit(10)
    for k in range(40):
        circuit.rx(Weight(k), k % 10).cx(k % 10, (k + 1) % 10)
        circuit.append(channels.amplitude_damping(0.1), k % 10)
    weights = torch.rand(40, 40, requires_grad=True)
    with pytest.raises(UsageError, match=r"with their gradients, takes [\d,]+ bytes"):
        expval(circuit, None, weights, **options)
