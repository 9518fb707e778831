"""Kernels on a GPU, through the CUDA driver that PyTorch uses: its devices, streams and memory."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

from qsim.engines.cuda.compiling import cached_kernels, nvrtc
from qsim.engines.cuda.launching import Kernel, Launch
from qsim.errors import UsageError, need

_OLDEST = (8, 0)  # has the shared memory that the kernels ask for
_ALWAYS_THERE = 48 * 1024  # bytes of shared memory that a block gets without asking


@cache
def missing() -> str:
    """Why the cuda engine cannot run here; empty if it can."""
    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA: install one that has it"
    if not torch.cuda.is_available():
        return (
            "PyTorch finds no GPU that it can use: nvidia-smi tells whether there is one, and "
            f"whether its driver is new enough for CUDA {torch.version.cuda}"
        )
    lowest = min(map(torch.cuda.get_device_capability, range(torch.cuda.device_count())))
    if lowest < _OLDEST:
        return (
            f"a GPU has compute capability {lowest[0]}.{lowest[1]}, and the kernels need "
            f"{_OLDEST[0]}.{_OLDEST[1]}: choose newer GPUs by CUDA_VISIBLE_DEVICES"
        )
    try:
        _, major, minor = nvrtc().nvrtcVersion()
        _, version = _driver().cuDriverGetVersion()
    except UsageError as error:
        return str(error)
    except RuntimeError as error:  # the bindings are there, the library is not
        return f"NVRTC cannot be loaded ({error}): pip install nvidia-cuda-nvrtc"
    if version // 1000 < major:
        return (
            f"the driver is for CUDA {version // 1000}.{version % 1000 // 10} and too old for "
            f"NVRTC {major}.{minor}: install a newer driver, or an older cuda-bindings and NVRTC"
        )
    return ""


class Gpu:
    """Starts kernels on PyTorch's current stream of the tensors' device; waits for nothing."""

    warp, most_threads = 32, 256

    def __init__(self) -> None:
        self._units: dict[tuple[str, int, torch.dtype], Loaded] = {}

    def launch(
        self, kernel: Kernel, like: Tensor, launch: Launch, arguments: ctypes.Structure
    ) -> None:
        key = kernel.unit, like.device.index, like.dtype
        if key not in self._units:
            code = cached_kernels(kernel.unit, architecture_of(like.device), like.dtype)
            self._units[key] = Loaded(code, like.device)
        self._units[key].launch(kernel.name, launch, arguments)


def architecture_of(device: torch.device) -> str:
    """As NVRTC names it: "sm_90"."""
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm_{major}{minor}"


class Loaded:
    """Machine code on a device.

    Args:
        code: as `compiling.compile_kernels` makes it for the device.
        device: a GPU, with its number.
    """

    def __init__(self, code: bytes, device: torch.device) -> None:
        driver = _driver()
        self._device = device
        self._context = _checked(driver.cuDevicePrimaryCtxRetain(device.index))
        _checked(driver.cuCtxPushCurrent(self._context))
        try:
            self._module = _checked(driver.cuModuleLoadData(code))
        finally:
            _checked(driver.cuCtxPopCurrent())
        self._functions: dict[str, Any] = {}
        self._granted: dict[str, int] = {}  # bytes of shared memory

    def launch(self, kernel: str, launch: Launch, arguments: ctypes.Structure) -> None:
        """Start a kernel on the current stream of the device."""
        driver = _driver()
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(arguments))
        stream = torch.cuda.current_stream(self._device).cuda_stream
        _checked(driver.cuCtxPushCurrent(self._context))
        try:
            function = self._function(kernel, launch.shared)
            sizes = (launch.x, launch.y, 1, launch.threads, 1, 1, launch.shared)
            _checked(driver.cuLaunchKernel(function, *sizes, stream, ctypes.addressof(pointers), 0))
        finally:
            _checked(driver.cuCtxPopCurrent())

    def _function(self, kernel: str, shared: int) -> Any:
        driver = _driver()
        if kernel not in self._functions:
            found = _checked(driver.cuModuleGetFunction(self._module, kernel.encode()))
            self._functions[kernel] = found
        function = self._functions[kernel]
        if shared > self._granted.get(kernel, _ALWAYS_THERE):
            limit = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            _checked(driver.cuFuncSetAttribute(function, limit, shared))
            self._granted[kernel] = shared
        return function


@cache
def _driver() -> Any:
    return need("cuda.bindings.driver", extra="cuda", purpose="the cuda engine")


def _checked(result: tuple[Any, ...]) -> Any:
    status, *values = result
    if status:
        _, text = _driver().cuGetErrorString(status)
        raise RuntimeError(f"the CUDA driver reports {status.name}: {text.decode()}")
    return values[0] if values else None
