"""What the tests of qsim share: circuits, tensors and observables for Hypothesis to draw."""

import ctypes
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from scipy.stats import unitary_group
from torch import Tensor

import qsim.engines.cuda
import qsim.prepare
from qsim import (
    GATES,
    Circuit,
    Gate,
    Input,
    PauliString,
    Symbol,
    Weight,
    expval,
    probabilities,
    state,
)
from qsim.engines import Engine, select_engine
from qsim.engines.cuda import CudaEngine
from qsim.engines.cuda.gpu import Gpu
from qsim.engines.cuda.launching import Kernel, Launch
from qsim.families import diagonal, pauli_rotation, unitary
from qsim.gates import controlled
from qsim.noise.trajectories import Rows
from qsim.plan.lowering import Step, StepKind, elementary_gates, elementary_row, lower
from qsim.strings import Strings
from qsim.trig import PAULI

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
    any_size: bool = False,
) -> Circuit:
    """Circuits with all kinds of angles on NUM_SYMBOLS weights and as many inputs.

    A step is a gate anywhere, or a one-qubit gate on every qubit: engines treat neighbours that
    commute together. With `any_size`, it may be one of the gates that are not in the table.
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
        if any_size and draw(st.booleans()):
            gate = draw(_gates_of_any_size(num_qubits))
        places = st.lists(
            st.integers(0, num_qubits - 1),
            min_size=gate.num_qubits,
            max_size=gate.num_qubits,
            unique=True,
        )
        _append(draw, circuit, gate, draw(places))
    return circuit


@st.composite
def _gates_of_any_size(draw: st.DrawFn, num_qubits: int) -> Gate:
    size = draw(st.integers(1, num_qubits))
    kind = draw(st.sampled_from(["controlled", "rotation", "unitary", "diagonal"]))
    if kind == "rotation":
        return pauli_rotation(draw(st.text("IXYZ", min_size=size, max_size=size)))
    if kind == "controlled" and size > 1:
        base = draw(st.sampled_from(["x", "ry", "u3", "p", "h"]))
        return controlled(base, size - 1, draw(st.integers(0, 2 ** (size - 1) - 1)))
    generator = np.random.default_rng(draw(st.integers(0, 2**31)))
    if kind == "diagonal":
        return diagonal(np.exp(1j * generator.uniform(-3, 3, 2**size)))
    return unitary(unitary_group.rvs(2 ** min(size, 3), random_state=generator))


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


# --- Matrices in numpy, entry by entry: what gates and lowering are compared with -----------------


class Oracle:
    """Slow and plain matrices of gates, circuits and steps; a first qubit is the lowest bit."""

    @staticmethod
    def unitary_of(circuit: Circuit) -> np.ndarray:
        """Matrix of a circuit of numbers, multiplied out from the gates' matrices in numpy."""
        total = np.eye(2**circuit.num_qubits, dtype=complex)
        for gate, qubits, params in circuit.operations:
            total = Oracle.embed(gate.unitary.at(*params), qubits, circuit.num_qubits) @ total
        return total

    @staticmethod
    def embed(matrix: np.ndarray, qubits: Sequence[int], num_qubits: int) -> np.ndarray:
        """The matrix on these qubits (first = least significant) among all."""
        columns = np.arange(2**num_qubits)
        full = np.zeros([2**num_qubits] * 2, dtype=complex)
        local = sum((columns >> q & 1) << k for k, q in enumerate(qubits))
        kept = columns & ~sum(1 << q for q in qubits)
        for row in range(2 ** len(qubits)):
            target = kept | sum((row >> k & 1) << q for k, q in enumerate(qubits))
            full[target, columns] += matrix[row, local]
        return full

    @staticmethod
    def controlled(matrix: np.ndarray, count: int, state: int = -1) -> np.ndarray:
        """Controls first; they act on the bits `state`, all 1 by default."""
        full = np.eye(len(matrix) << count, dtype=complex)
        active = [(k << count) + state % (1 << count) for k in range(len(matrix))]
        full[np.ix_(active, active)] = matrix
        return full

    @staticmethod
    def lowered(gate: Gate, angles: Sequence[float]) -> np.ndarray:
        """The matrix that the steps of a gate multiply out to."""
        total = np.eye(2**gate.num_qubits, dtype=complex)
        for step in lower(gate):
            matrix = Oracle.step_matrix(step, angles)
            qubits = step.qubits or (*step.controls, step.target)
            total = Oracle.embed(matrix, qubits, gate.num_qubits) @ total
        return total

    @staticmethod
    def step_matrix(step: Step, angles: Sequence[float]) -> np.ndarray:
        """A step's matrix on its controls and target, or on its qubits."""
        if step.kind is StepKind.MATRIX:
            assert not step.controls
            assert step.target == -1
            assert step.matrix is not None
            assert len(step.matrix) == 2 ** len(step.qubits) > 2
            return step.matrix
        assert step.qubits == ()
        if step.kind is StepKind.SWAP:
            return np.eye(4)[[0, 2, 1, 3]].astype(complex)
        count = len(step.controls)
        if step.kind is StepKind.FACTOR:
            return Oracle.controlled(Oracle.factor_matrix(step, angles), count)
        assert count == (step.kind is StepKind.CX)
        return Oracle.controlled(PAULI["X"], count)

    @staticmethod
    def factor_matrix(step: Step, angles: Sequence[float]) -> np.ndarray:
        """A factor's 2x2 matrix, from the numbers that the planner gets."""
        if step.matrix is not None:
            assert step.elementary == -1
            assert step.matrix.shape == (2, 2)
            return step.matrix
        gate, angle = elementary_gates()[step.elementary], step.angle
        frequencies, projectors, diagonal, real = elementary_row(gate)
        number = (
            angle.scale * angles[angle.index] + angle.offset if isinstance(angle, Symbol) else angle
        )
        terms = np.array(projectors).reshape(2, 2, 2)
        matrix = sum(np.exp(1j * f * number) * t for f, t in zip(frequencies, terms, strict=True))
        assert not diagonal or abs(matrix[0, 1]) + abs(matrix[1, 0]) < 1e-14
        assert not real or np.abs(matrix.imag).max() < 1e-14
        return np.asarray(matrix)


@pytest.fixture(scope="session")
def oracle() -> type[Oracle]:
    """Matrices in numpy."""
    return Oracle


# --- The GPU engine without a GPU -----------------------------------------------------------------


class Emulator:
    """Runs the kernels compiled as ordinary C++, blocks of one thread one after another."""

    warp = most_threads = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libraries: dict[tuple[str, str], ctypes.CDLL] = {}

    def _compiled(self, unit: str, real: str) -> ctypes.CDLL:
        here, kernels = Path(__file__).parent / "emulation", Path(qsim.engines.cuda.__file__).parent
        library, source = self._folder / f"{unit}-{real}.so", self._folder / f"{unit}-{real}.cpp"
        names = re.findall(
            r"__global__.*?\b(\w+)\(const", (kernels / f"{unit}.cu").read_text(), re.S
        )
        launches = "".join(f"QSIM_LAUNCHES({name})\n" for name in names)
        source.write_text(f'#include "emulator.hpp"\n{launches}')
        flags = ["-std=c++20", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
        flags += ["-Wno-unknown-pragmas", f"-DQSIM_REAL={real}", f'-DQSIM_UNIT="{unit}.cu"']
        if "libasan" in os.environ.get("LD_PRELOAD", ""):
            flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g1"]
        folders = [f"-I{here}", f"-I{kernels}"]
        compiler = [*os.environ.get("CXX", "c++").split(), *flags, *folders]
        subprocess.run([*compiler, str(source), "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))

    def launch(
        self, kernel: Kernel, like: Tensor, launch: Launch, arguments: ctypes.Structure
    ) -> None:
        assert launch.threads == 1
        key = kernel.unit, "float" if like.dtype == torch.float32 else "double"
        if key not in self._libraries:
            self._libraries[key] = self._compiled(*key)
        run = getattr(self._libraries[key], f"launch_{kernel.name}")
        sizes = ctypes.c_ulong(launch.shared), ctypes.byref(arguments)
        assert run(launch.x, launch.y, *sizes, ctypes.c_ulong(ctypes.sizeof(arguments))) == 0


@dataclass(frozen=True)
class OnGpu:
    """The GPU engine for tensors on the cpu, which go to the GPU and come back."""

    engine: CudaEngine

    def expval(self, circuit: Circuit, strings: Strings, *given: Any) -> Tensor:
        return self.engine.expval(circuit, strings, *self._moved(given)).cpu()

    def state(self, circuit: Circuit, *given: Any) -> Tensor:
        return self.engine.state(circuit, *self._moved(given)).cpu()

    def states_held(self, circuit: Circuit, gradient: bool) -> int:
        return self.engine.states_held(circuit, gradient)

    def reference(self) -> Engine:
        return self.engine.reference()

    def transfer(self, program: Any, components: Any, batch: int, tensors: list[Tensor]) -> Any:
        return Returning(self.engine.transfer(program, components, batch, self._moved(tensors)))

    def trajectories(self, rows: Rows, strings: Strings) -> Any:
        names = ("weights", "inputs", "initial")
        moved = dict(zip(names, self._moved([getattr(rows, n) for n in names]), strict=True))
        return Returning(self.engine.trajectories(replace(rows, **moved), strings))

    @staticmethod
    def _moved(given: Sequence[Any]) -> list[Any]:
        return [value.cuda() if isinstance(value, Tensor) else value for value in given]


@dataclass(frozen=True)
class Returning:
    """A run on the GPU whose results come back."""

    run: Any

    def forward(self, keep: bool) -> Tensor:
        return self.run.forward(keep).cpu()

    def backward(self, cotangent: Tensor, wanted: tuple[bool, ...]) -> tuple[Any, ...]:
        found = self.run.backward(cotangent.cuda(), wanted)
        return tuple(None if gradient is None else gradient.cpu() for gradient in found)

    def reference(self, *tensors: Tensor) -> Tensor:
        return self.run.reference(*tensors)

    def samples(self) -> Tensor:
        return self.run.samples().cpu()


@pytest.fixture(scope="session")
def cuda_engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Engine]:
    """The GPU engine in emulation, and on a GPU."""
    emulated = CudaEngine(Emulator(tmp_path_factory.mktemp("emulation")))
    return {"cuda-emulated": emulated, "cuda-on-gpu": OnGpu(CudaEngine(Gpu()))}


@pytest.fixture(scope="module")
def named_cuda(cuda_engines: dict[str, Engine]) -> Iterator[None]:
    """Lets a module's tests choose engine="cuda-emulated" and engine="cuda-on-gpu"."""

    def select(name: str, device_type: str) -> Engine:
        return cuda_engines.get(name) or select_engine(name, device_type)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qsim.prepare, "select_engine", select)
        yield


class Comparison:
    """Results and gradients side by side."""

    @staticmethod
    def gradients(
        run: Callable[[Tensor, Tensor], Tensor], weights: Tensor, inputs: Tensor
    ) -> tuple[Tensor, ...]:
        """Result, and gradients of one fixed projection of it."""
        leaves = [t.detach().clone().requires_grad_() for t in (weights, inputs)]
        result = run(*leaves)
        if not result.requires_grad:  # the reference engine, where no gate has a symbol
            return (result, *map(torch.zeros_like, leaves))
        found = torch.autograd.grad(
            result, leaves, Comparison.cotangent_for(result), allow_unused=True
        )
        filled = [
            torch.zeros_like(t) if g is None else g for t, g in zip(leaves, found, strict=True)
        ]
        return (result.detach(), *filled)

    @staticmethod
    def cotangent_for(result: Tensor) -> Tensor:
        """The same numbers in every precision."""
        double = torch.complex128 if result.is_complex() else torch.float64
        generator = torch.Generator().manual_seed(1)
        return torch.randn(result.shape, dtype=double, generator=generator).to(result.dtype)

    @staticmethod
    def assert_close(
        ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], tolerance: float
    ) -> None:
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape == b.shape
            scale = max(1.0, b.abs().max().item()) if b.numel() else 1.0
            torch.testing.assert_close(a.to(b.dtype), b, atol=tolerance * scale, rtol=0)

    @staticmethod
    def agrees(
        circuit: Circuit,
        weights: Tensor,
        inputs: Tensor,
        observables: list[PauliString],
        tolerance: float,
        engine: str = "cpu",
    ) -> None:
        """Values, states, probabilities, gradients, against the reference in double precision.

        Gradients are sums over many gates; single precision gives them ten times more room.
        """

        def all_of(w: Tensor, x: Tensor, engine: str) -> list[tuple[Tensor, ...]]:
            return [
                Comparison.gradients(
                    lambda w, x: expval(circuit, observables, w, x, engine=engine), w, x
                ),
                Comparison.gradients(lambda w, x: state(circuit, w, x, engine=engine), w, x),
                Comparison.gradients(
                    lambda w, x: probabilities(circuit, w, x, engine=engine), w, x
                ),
            ]

        ours = all_of(weights, inputs, engine)
        theirs = all_of(weights.double(), inputs.double(), "reference")
        assert ours[0][0].dtype == weights.dtype
        for (value, *slopes), (expected, *expected_slopes) in zip(ours, theirs, strict=True):
            Comparison.assert_close((value,), (expected,), tolerance)
            Comparison.assert_close(tuple(slopes), tuple(expected_slopes), 10 * tolerance)


@pytest.fixture(scope="session")
def compare() -> type[Comparison]:
    """Results and gradients side by side."""
    return Comparison
