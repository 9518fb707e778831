"""What the benchmark of the GPU engine does before there is a GPU."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from benchmarks import gpu, gpu_rates
from benchmarks.gpu_works import Work, counts, ising, layered, noisy
from qsim.engines.cuda import compiling

ROOT = compiling.SOURCES.parents[2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is something to measure")
def test_without_a_gpu_it_says_so() -> None:
    run = [sys.executable, "-m", "benchmarks.gpu"]
    said = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.startswith("nothing to measure: ")


@pytest.mark.skipif(sys.platform != "linux", reason="NVRTC comes for Linux")
def test_its_own_kernels_compile_without_spills() -> None:
    code, log = compiling.compile_kernels(
        gpu_rates.CEILINGS, "sm_90", torch.float32, "--ptxas-options=--warn-on-spills"
    )
    assert b"rotations" in code
    assert b"exchanges" in code
    assert "warning" not in log


def test_rows_are_counted() -> None:
    """A dense matrix takes 14 operations an amplitude, and with its way back 54."""
    there = counts(Work(layered(10, 8, encoded=False), 4, gradient=False))
    assert there is not None
    assert there.flops == 80 * 14 * 4 * 2**10  # rx, ry and rz are one matrix
    assert there.memory == 0
    both = counts(Work(layered(10, 8, encoded=False), 4))
    assert both is not None
    assert both.flops == 80 * 54 * 4 * 2**10
    assert both.memory == 2 * 8 * 4 * 2**10
    assert counts(ising(20, 1)).sweeps > 1  # type: ignore[union-attr]
    exact = counts(noisy(Work(layered(4, 1), 4), method="exact"))
    assert exact is not None
    assert exact.sweeps == 1
    assert counts(noisy(Work(layered(4, 1), 4), method="trajectories", trajectories=2)) is None


@pytest.mark.usefixtures("named_cuda")
@pytest.mark.parametrize(
    "options", [{}, {"method": "exact"}, {"method": "trajectories", "trajectories": 3}]
)
def test_a_step_is_that_of_the_cpu_engine(options: dict[str, Any]) -> None:
    work = Work(layered(3, 1), 5)
    work = noisy(work, **options) if options else work
    found = work.step("cpu", torch.float64, "cuda-emulated")()
    for ours, theirs in zip(found, work.step("cpu", torch.float64, "cpu")(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_the_floor_is_what_binds() -> None:
    counted = gpu.Counts(1, 1, 1, memory=10.0, shared=60.0, flops=40.0)
    reached = {"memory": 1.0, "rotations": 8.0, "exchanges": 4.0}
    assert gpu.floor(counted, reached) == (15.0, "shared memory")
