"""The GPU engine's kernels compiled for GPUs that are not there, and what is said without one."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import qsim.engines
import qsim.engines.cuda.gpu
import qsim.memory
from qsim import Circuit, UsageError, Weight, state
from qsim.engines import select_engine
from qsim.engines.cuda import CudaEngine, compiling
from qsim.engines.reference import ReferenceEngine

# --- Compiled for GPUs ----------------------------------------------------------------------------

nvrtc = pytest.mark.skipif(sys.platform != "linux", reason="NVRTC comes for Linux")
KERNELS = {
    "kernels": {"backward", "expval", "forward", "gradients", "matrix", "seed", "states"},
    "trajectories": {
        *("decide_from", "follow", "gradients", "operate", "retrace", "sample"),
        *("weigh", "weigh_wide"),
    },
    "transfer": {"backward", "forward", "gradients", "matrix", "seed", "values"},
}


@nvrtc
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_100"])
@pytest.mark.parametrize("unit", compiling.UNITS)
def test_kernels_compile_without_warnings_and_spills(
    unit: str, architecture: str, dtype: torch.dtype
) -> None:
    code, log = compiling.compile_kernels(
        compiling.path_of(unit),
        architecture,
        dtype,
        "--ptxas-options=-v",
        "--ptxas-options=--warn-on-spills",
    )
    assert code[:4] == b"\x7fELF"
    assert "warning" not in log
    used = re.findall(
        r"entry function '(\w+)'.*?(\d+) bytes spill.*?Used (\d+) registers", log, re.S
    )
    assert {name for name, _, _ in used} == KERNELS[unit]
    for name, spilled, registers in used:
        assert int(spilled) == 0, name
        assert int(registers) <= 128, name  # two blocks of 256 threads share 65,536


@nvrtc
def test_an_architecture_that_nvrtc_does_not_know_is_named() -> None:
    with pytest.raises(UsageError, match=r"do not compile for sm_10 .*newer cuda-bindings"):
        compiling.compile_kernels(compiling.path_of("kernels"), "sm_10", torch.float32)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiling._warn_unkept.cache_clear()
    yield tmp_path / "efficient-qml" / "kernels"
    compiling._warn_unkept.cache_clear()


@nvrtc
def test_kernels_are_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = compiling.cached_kernels("kernels", "sm_90", torch.float32)
    (kept,) = cache.iterdir()
    calls = []
    monkeypatch.setattr(
        compiling, "compile_kernels", lambda *args: (calls.append(args) or b"new", "")
    )
    assert compiling.cached_kernels("kernels", "sm_90", torch.float32) == code
    assert not calls
    assert compiling.cached_kernels("kernels", "sm_90", torch.float64) == b"new"
    kept.write_bytes(kept.read_bytes()[:-1])  # damaged: compiled again
    assert compiling.cached_kernels("kernels", "sm_90", torch.float32) == b"new"
    assert compiling.cached_kernels("kernels", "sm_90", torch.float32) == b"new"
    assert len(calls) == 2


@nvrtc
def test_two_processes_fill_the_cache_together(cache: Path) -> None:
    code = (
        "import torch; from qsim.engines.cuda.compiling import cached_kernels;"
        "print(len(cached_kernels('kernels', 'sm_90', torch.float32)))"
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
        assert compiling.cached_kernels("kernels", "sm_90", torch.float32) == b"code"
    assert compiling.cached_kernels("kernels", "sm_90", torch.float32) == b"code"


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
    ("cuda", "available", "capabilities", "driver", "expected"),
    [
        (None, False, [], 13000, "built without CUDA"),
        ("13.0", False, [], 13000, r"no GPU that it can use.*CUDA 13.0"),
        ("13.0", True, [(9, 0), (7, 5)], 13000, r"compute capability 7.5, .* need 8.0"),
        ("13.0", True, [(9, 0)], 12080, r"driver is for CUDA 12.8 and too old for NVRTC 13.0"),
        ("13.0", True, [(9, 0), (8, 0)], 13000, "^$"),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch,
    cuda: str | None,
    available: bool,
    capabilities: list[tuple[int, int]],
    driver: int,
    expected: str,
) -> None:
    gpu = qsim.engines.cuda.gpu
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda k: capabilities[k])
    monkeypatch.setattr(gpu, "nvrtc", lambda: Fake(nvrtcVersion=(0, 13, 0)))
    monkeypatch.setattr(gpu, "_driver", lambda: Fake(cuDriverGetVersion=(0, driver)))
    assert re.search(expected, gpu.missing.__wrapped__())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            RuntimeError("libnvrtc.so.13 not found"),
            r"^NVRTC cannot be loaded \(libnvrtc.*pip install",
        ),
        (
            UsageError("the cuda engine needs cuda-bindings"),
            "^the cuda engine needs cuda-bindings$",
        ),
    ],
)
def test_a_missing_nvrtc_is_named(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    gpu = qsim.engines.cuda.gpu

    def fails() -> None:
        raise error

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda k: (9, 0))
    monkeypatch.setattr(gpu, "nvrtc", fails)
    assert re.search(expected, gpu.missing.__wrapped__())


class Fake:
    """Functions that return what they were made with."""

    def __init__(self, **results: Any) -> None:
        for name, result in results.items():
            setattr(self, name, lambda result=result: result)


def test_noise_beyond_the_memory_of_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**29, 2**34))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    with pytest.raises(
        UsageError, match=r"noise takes 1,073,741,824 bytes, but cuda:0 has free 536,870,912$"
    ):
        qsim.memory.check_bytes(2**30, "exact noise", torch.device("cuda:0"))


def test_states_beyond_the_memory_of_a_gpu_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes that are needed and free are named before anything is allocated."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**33, 2**34))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2**30)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2**29)
    with pytest.raises(
        UsageError, match=r"need 17,179,869,184 bytes, but cuda:0 has free 9,126,805,504: up to 29"
    ):
        qsim.memory.check_states(30, 1, 8, 2, device=torch.device("cuda:0"))
