"""What the GPU engine's trajectories have and others have not: tiles, stages, parts."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import dft
from torch import Tensor

import qsim.engines.cuda.trajectories
from qsim import Circuit, Input, PauliString, Weight, channels, expval, samples
from qsim.families import unitary

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("named_cuda")]

BOTH = pytest.mark.parametrize(
    "engine", ["cuda-emulated", pytest.param("cuda-on-gpu", marks=pytest.mark.gpu)]
)


def damping_of(num_qubits: int) -> Any:
    """A channel that the state chooses from, on so many qubits."""
    both = [np.eye(1)]
    for _ in range(num_qubits):
        both = [np.kron(a, b) for a in both for b in channels.amplitude_damping(0.3).kraus]
    return channels.kraus(both)


def mixed_of(num_qubits: int) -> Any:
    """A channel that takes unitary operators by numbers, on so many qubits."""
    matrix = dft(2**num_qubits, scale="sqrtn")
    powers = [np.linalg.matrix_power(matrix, k) for k in range(3)]
    return channels.kraus([np.sqrt(p) * u for p, u in zip([0.5, 0.3, 0.2], powers, strict=True)])


CHANNELS = {"damped": damping_of, "mixed": mixed_of}


def layered(num_qubits: int, wide: int = 0) -> Circuit:
    """Choices by numbers and by states, on one qubit and on several, and a matrix on many."""
    circuit = Circuit(num_qubits)
    if wide:
        matrix = dft(2**wide, scale="sqrtn") * np.exp(1j * np.linspace(-1, 2, 2**wide))
        circuit.append(unitary(matrix), [(3 * k) % num_qubits for k in range(wide)])
    for layer in range(2):
        for qubit in range(num_qubits):
            circuit.ry(Input(qubit % 3), qubit).rz(Weight(layer), qubit)
        for qubit in (0, num_qubits - 1):
            circuit.append(channels.amplitude_damping(0.2), qubit).rx(Weight(2), qubit)
            circuit.append(channels.thermal_relaxation(50.0, 60.0, 9.0, 0.1), qubit)
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
            circuit.append(channels.depolarizing(0.1, 2), [qubit + 1, qubit])
        circuit.crx(Weight(0), num_qubits - 1, 1)
        circuit.append(damping_of(2), [num_qubits - 1, 0])
    circuit.append(damping_of(3), [2, num_qubits - 1, 0])
    if wide:
        circuit.append(unitary(matrix), range(wide))
    return circuit


def results(
    circuit: Circuit, engine: str, each: int = 3, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, ...]:
    """Values, gradients and readings."""
    generator = torch.Generator().manual_seed(0)
    weights, inputs = (
        torch.rand(*shape, generator=generator, dtype=dtype).requires_grad_()
        for shape in ([3], [2, 3])
    )
    n = circuit.num_qubits
    strings = [PauliString("Z" * n), PauliString.z(0, n), PauliString(("XY" * n)[:n])]
    drawn: dict[str, Any] = {"method": "trajectories", "engine": engine}

    def seeded() -> torch.Generator:
        return torch.Generator().manual_seed(5)

    values = expval(
        circuit, strings, weights, inputs, trajectories=each, generator=seeded(), **drawn
    )
    slopes = torch.autograd.grad(values.sum(), (weights, inputs))
    read = samples(circuit, each, weights, inputs, generator=seeded(), **drawn)
    return values.detach(), *slopes, read


@BOTH
@pytest.mark.parametrize(("num_qubits", "wide"), [(4, 0), (5, 4), (12, 0), (12, 4)])
def test_they_are_those_of_the_cpu_engine(num_qubits: int, wide: int, engine: str) -> None:
    circuit = layered(num_qubits, wide)
    for ours, theirs in zip(results(circuit, engine), results(circuit, "cpu"), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


@BOTH
@pytest.mark.parametrize("kept", [1, 2**14])
def test_parts_give_the_same(engine: str, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = results(layered(4), engine, 7)
    monkeypatch.setattr(qsim.engines.cuda.trajectories, "_KEPT", kept)
    for ours, theirs in zip(results(layered(4), engine, 7), whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@BOTH
def test_results_are_the_same_in_every_run(engine: str) -> None:
    once, again = (results(layered(12), engine) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["damped", "mixed"])
@pytest.mark.parametrize("num_qubits", [4, 7, 13])
def test_channels_of_four_qubits(
    num_qubits: int, kind: str, dtype: torch.dtype, engine: str
) -> None:
    """A thread holds them in single precision, none does in double."""
    channel, qubits = CHANNELS[kind](4), [num_qubits - 1, 1, 0, 2]
    circuit = Circuit(num_qubits).append(channel, qubits)
    for qubit in range(num_qubits):
        circuit.ry(Input(qubit % 3), qubit).rz(Weight(0), qubit)
    circuit.append(channel, qubits).cx(0, 1).ry(Weight(1), 0).rx(Weight(2), 1)
    circuit.append(channel, range(4))
    near = 1e-11 if dtype == torch.float64 else 1e-4
    found = (results(circuit, name, 5, dtype) for name in (engine, "cpu"))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=near)
