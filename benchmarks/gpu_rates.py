"""Clocks of a GPU, and what it reaches at best."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from qsim.engines.cuda.compiling import compile_kernels
from qsim.engines.cuda.gpu import Loaded, architecture_of
from qsim.engines.cuda.launching import Launch

CEILINGS = Path(__file__).with_name("gpu_ceilings.cu")
REPEATS = 20


def by_events(run: Callable[[], Any], calls: int = 1) -> float:
    """Seconds of one call on the GPU: median of REPEATS spans of so many calls."""
    times = []
    for _ in range(REPEATS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(calls):
            run()
        end.record()
        end.synchronize()
        times.append(1e-3 * begin.elapsed_time(end) / calls)
    return statistics.median(times)


def by_clock(run: Callable[[], Any], calls: int = 50) -> float:
    """Seconds of one call, Python included."""
    times = []
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            run()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - begin) / calls)
    return statistics.median(times)


def captured(run: Callable[[], Any]) -> Callable[[], None]:
    """The same work as a CUDA graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


# --- Ceilings -------------------------------------------------------------------------------------

_THREADS, _AMPLITUDES, _ROUNDS = 256, 16, 4096
_PER_ROUND = {"rotations": 14, "multiply_adds": 4, "exchanges": 16}
"""Operations, and for exchanges bytes, of an amplitude."""


class _Arguments(ctypes.Structure):
    """The struct Ceiling of gpu_ceilings.cu."""

    _fields_ = (("out", ctypes.c_void_p), ("rounds", ctypes.c_int))


def rates() -> dict[str, float]:
    """Bytes and operations a second that this GPU reaches, in single precision.

    Returns:
        memory: bytes read and written by a copy of 1 GiB.
        rotations: operations of 2x2 complex matrices on amplitudes in registers.
        multiply_adds: operations of fused multiply-adds alone.
        exchanges: bytes read and written in shared memory.
    """
    source = torch.empty(2**28, device="cuda")
    target = torch.empty_like(source)
    copy = by_events(lambda: target.copy_(source))
    return {"memory": 2 * source.nbytes / copy, **{name: _rate(name) for name in _PER_ROUND}}


def _rate(kernel: str) -> float:
    device = torch.device("cuda", torch.cuda.current_device())
    code, _ = compile_kernels(CEILINGS, architecture_of(device), torch.float32)
    loaded = Loaded(code, device)
    blocks = 16 * torch.cuda.get_device_properties(device).multi_processor_count
    out = torch.empty(blocks * _THREADS, dtype=torch.complex64, device=device)
    arguments = _Arguments(out.data_ptr(), _ROUNDS)
    launch = Launch(blocks, 1, _THREADS, 8 * _AMPLITUDES * _THREADS)
    seconds = by_events(lambda: loaded.launch(kernel, launch, arguments))
    return _PER_ROUND[kernel] * _AMPLITUDES * _THREADS * _ROUNDS * blocks / seconds
