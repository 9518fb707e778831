"""The GPU engine where no GPU is: kernels emulated, and compiled for GPUs that are not there."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import qsim.engines
import qsim.engines.cuda.gpu
from qsim import Circuit, Input, PauliString, State, UsageError, Weight, expval, run, state
from qsim.engines import select_engine
from qsim.engines.cuda import CudaEngine, compiling
from qsim.engines.reference import ReferenceEngine
from qsim.families import unitary

pytestmark = pytest.mark.native

Strategies = Callable[..., st.SearchStrategy]


# --- Emulated -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("emulated")
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
) -> None:
    """Constant matrices on up to three qubits, and controls and rotations on all of them."""
    circuit = data.draw(circuits(max_qubits=6, any_size=True))
    weights, inputs = data.draw(tensors(dtype, batch))
    measured = data.draw(observables(circuit.num_qubits))
    tolerance = 2e-6 if dtype == torch.float32 else 1e-12
    compare.agrees(circuit, weights, inputs, measured, tolerance, "cuda-emulated")


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


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("num_qubits", "wide"), [(6, 2), (6, 3), (6, 4), (7, 5), (14, 3), (14, 6)])
def test_constant_matrices(compare: Any, num_qubits: int, wide: int, dtype: torch.dtype) -> None:
    """In registers, or as launches of their own between those of a state of one or many tiles."""
    circuit = mixed(num_qubits, wide)
    weights, inputs = torch.rand(4, dtype=dtype), torch.rand(2, 3, dtype=dtype)
    measured = [
        PauliString("Z" * num_qubits),
        PauliString("XY" * (num_qubits // 2) + "I" * (num_qubits % 2)),
    ]
    tolerance = 5e-6 if dtype == torch.float32 else 1e-12
    compare.agrees(circuit, weights, inputs, measured, tolerance, "cuda-emulated")


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize(
    ("num_qubits", "wide_first"), [(2, False), (6, False), (6, True), (13, False)]
)
def test_any_initial_state(
    compare: Any, num_qubits: int, wide_first: bool, batch: int | None
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

    def results(engine: str) -> tuple[Tensor, ...]:
        leaves = [
            start.clone().requires_grad_(),
            torch.tensor([0.3, 0.8]).double().requires_grad_(),
        ]
        values = expval(circuit, measured, leaves[1], initial_state=leaves[0], engine=engine)
        psi = state(circuit, leaves[1], initial_state=leaves[0], engine=engine)
        slopes = torch.autograd.grad(values, leaves, compare.cotangent_for(values))
        others = torch.autograd.grad(psi, leaves, compare.cotangent_for(psi))
        (alone,) = torch.autograd.grad(
            expval(circuit, measured, leaves[1].detach(), initial_state=leaves[0], engine=engine),
            leaves[0],
            compare.cotangent_for(values),
        )
        return values, psi, *slopes, *others, alone

    compare.assert_close(results("cuda-emulated"), results("reference"), 1e-12)


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("num_qubits", [11, 12, 13, 14, 15])
def test_larger_tiles_without_a_gradient(compare: Any, num_qubits: int) -> None:
    circuit = mixed(num_qubits, 2)
    weights, inputs = torch.rand(4).double(), torch.rand(2, 3).double()
    found, expected = (
        (
            expval(circuit, None, weights, inputs, engine=e),
            state(circuit, weights, inputs, engine=e),
        )
        for e in ("cuda-emulated", "reference")
    )
    compare.assert_close(found, expected, 1e-12)


@pytest.mark.usefixtures("emulated")
def test_long_circuits_hold_some_matrices_at_a_time(compare: Any) -> None:
    circuit = Circuit(3)
    for k in range(200):
        circuit.u3(Weight(k % 3), 0.1, Input(0), k % 3).cx(k % 3, (k + 1) % 3)
    weights, inputs = torch.rand(3).double(), torch.rand(4, 1).double()
    compare.agrees(circuit, weights, inputs, [PauliString("XYZ")], 1e-11, "cuda-emulated")


@pytest.mark.usefixtures("emulated")
def test_what_a_run_answers_is_that_of_the_reference() -> None:
    circuit, weights = Circuit(3).ry(Weight(0), 0).cx(0, 1).rx(Weight(0), 2), torch.rand(4, 1)
    found, expected = (run(circuit, weights, engine=e) for e in ("cuda-emulated", "reference"))
    assert isinstance(found, State)
    assert isinstance(expected, State)
    torch.testing.assert_close(found.probabilities(), expected.probabilities())
    seeds = [torch.Generator().manual_seed(3) for _ in range(2)]
    drawn = [s.samples(100, generator=g) for s, g in zip((found, expected), seeds, strict=True)]
    assert torch.equal(*drawn)


@pytest.mark.usefixtures("emulated")
def test_results_are_the_same_in_every_run() -> None:
    circuit = mixed(13, 2)
    weights = torch.rand(4, requires_grad=True)
    inputs = torch.rand(5, 3)

    def gradient() -> Tensor:
        values = expval(circuit, None, weights, inputs, engine="cuda-emulated")
        return torch.autograd.grad(values.sum(), weights)[0]

    assert torch.equal(gradient(), gradient())


# --- Compiled for GPUs ----------------------------------------------------------------------------

nvrtc = pytest.mark.skipif(sys.platform != "linux", reason="NVRTC comes for Linux")
KERNELS = ("backward", "expval", "forward", "gradients", "matrix", "seed", "states")


@nvrtc
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
def test_kernels_compile_without_warnings_and_spills(architecture: str, dtype: torch.dtype) -> None:
    code, log = compiling.compile_kernels(
        architecture, dtype, "--ptxas-options=-v", "--ptxas-options=--warn-on-spills"
    )
    assert code[:4] == b"\x7fELF"
    assert "warning" not in log
    used = re.findall(
        r"entry function '(\w+)'.*?(\d+) bytes spill.*?Used (\d+) registers", log, re.S
    )
    assert sorted(name for name, _, _ in used) == sorted(KERNELS)
    for name, spilled, registers in used:
        assert int(spilled) == 0, name
        assert int(registers) <= 128, name  # two blocks of 256 threads share 65,536


@nvrtc
def test_an_architecture_that_nvrtc_does_not_know_is_named() -> None:
    with pytest.raises(UsageError, match=r"do not compile for sm_10 .*newer cuda-bindings"):
        compiling.compile_kernels("sm_10", torch.float32)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiling._warn_unkept.cache_clear()
    yield tmp_path / "efficient-qml" / "kernels"
    compiling._warn_unkept.cache_clear()


@nvrtc
def test_kernels_are_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = compiling.cached_kernels("sm_90", torch.float32)
    (kept,) = cache.iterdir()
    calls = []
    monkeypatch.setattr(
        compiling, "compile_kernels", lambda *args: (calls.append(args) or b"new", "")
    )
    assert compiling.cached_kernels("sm_90", torch.float32) == code
    assert not calls
    assert compiling.cached_kernels("sm_90", torch.float64) == b"new"
    kept.write_bytes(kept.read_bytes()[:-1])  # damaged: compiled again
    assert compiling.cached_kernels("sm_90", torch.float32) == b"new"
    assert compiling.cached_kernels("sm_90", torch.float32) == b"new"
    assert len(calls) == 2


@nvrtc
def test_two_processes_fill_the_cache_together(cache: Path) -> None:
    code = (
        "import torch; from qsim.engines.cuda.compiling import cached_kernels;"
        "print(len(cached_kernels('sm_90', torch.float32)))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = (process.communicate()[0] for process in both)
    assert first == second
    assert [process.returncode for process in both] == [0, 0]
    assert len(list(cache.iterdir())) == 1


@nvrtc
def test_a_cache_that_cannot_be_written_is_named_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.write_text("in the way")
    monkeypatch.setattr(compiling, "compile_kernels", lambda *args: (b"code", ""))
    with pytest.warns(UserWarning, match="compiled again in every process: cannot write"):
        assert compiling.cached_kernels("sm_90", torch.float32) == b"code"
    assert compiling.cached_kernels("sm_90", torch.float32) == b"code"


# --- Where it cannot be had -----------------------------------------------------------------------


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(qsim.engines._gpu, "missing", lambda: "no GPU: get one")
    qsim.engines.warn_reference.cache_clear()
    yield
    qsim.engines.warn_reference.cache_clear()


@pytest.mark.usefixtures("without_gpu")
def test_auto_falls_back_to_the_reference_and_says_so_once() -> None:
    with pytest.warns(UserWarning, match=r"slow, because the cuda engine cannot run: no GPU"):
        assert isinstance(select_engine("auto", "cuda"), ReferenceEngine)
    assert isinstance(select_engine("auto", "cuda"), ReferenceEngine)


@pytest.mark.usefixtures("without_gpu")
def test_asked_for_it_is_refused_in_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"no GPU: get one, or use engine='reference'"):
        select_engine("cuda", "cuda")
    with pytest.raises(UsageError, match=r"no GPU"):  # nothing else says which device is meant
        state(Circuit(1).h(0), engine="cuda")
    weights = torch.rand(1)
    with pytest.raises(UsageError, match=r"on a cuda device, not on cpu: move them by"):
        state(Circuit(1).rx(Weight(0), 0), weights, engine="cuda")


def test_with_a_gpu_it_is_the_engine_of_its_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qsim.engines._gpu, "missing", lambda: "")
    for name in ("auto", "cuda"):
        assert isinstance(select_engine(name, "cuda"), CudaEngine)


@pytest.mark.parametrize(
    ("cuda", "available", "driver", "expected"),
    [
        (None, False, 13000, "built without CUDA"),
        ("13.0", False, 13000, r"no GPU that it can use.*CUDA 13.0"),
        ("13.0", True, 12080, r"driver is for CUDA 12.8 and too old for NVRTC 13.0"),
        ("13.0", True, 13000, "^$"),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, available: bool, driver: int, expected: str
) -> None:
    gpu = qsim.engines.cuda.gpu
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(gpu, "nvrtc", lambda: Fake(nvrtcVersion=(0, 13, 0)))
    monkeypatch.setattr(gpu, "_driver", lambda: Fake(cuDriverGetVersion=(0, driver)))
    assert re.search(expected, gpu.missing.__wrapped__())


class Fake:
    """Functions that return what they were made with."""

    def __init__(self, **results: Any) -> None:
        for name, result in results.items():
            setattr(self, name, lambda result=result: result)


def test_states_beyond_the_memory_of_a_gpu_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes that are needed and free are named before anything is allocated."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**33, 2**34))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2**30)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2**29)
    with pytest.raises(
        UsageError, match=r"need 17,179,869,184 bytes, but cuda:0 has free 9,126,805,504: up to 29"
    ):
        qsim.memory.check_states(30, 1, 8, 2, device=torch.device("cuda:0"))


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
