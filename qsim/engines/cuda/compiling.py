"""Kernels from CUDA C++ to machine code, by NVRTC: no GPU and no nvcc are needed for it."""

from __future__ import annotations

import hashlib
import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import torch

from qsim.errors import UsageError, need
from qsim.files import write_atomically

SOURCES = Path(__file__).parent
UNITS = ("kernels", "trajectories", "transfer")
_NAMES = {torch.float32: "float", torch.float64: "double"}
_DIGEST = hashlib.sha256().digest_size


def nvrtc() -> Any:
    """The bindings of NVRTC.

    Raises:
        UsageError: without them.
    """
    return need("cuda.bindings.nvrtc", extra="cuda", purpose="the cuda engine")


def path_of(unit: str) -> Path:
    """The file of a unit: one of UNITS."""
    return SOURCES / f"{unit}.cu"


def compile_kernels(
    path: Path, architecture: str, real: torch.dtype, *extra: str
) -> tuple[bytes, str]:
    """Machine code of kernels, and what the compiler says about it.

    Args:
        path: the file that has them: `path_of` a unit, or another one that includes ours.
        architecture: as in "sm_90".
        real: torch.float32 or torch.float64.
        extra: more options of NVRTC.

    Raises:
        UsageError: if NVRTC does not know the architecture, or finds an error.
    """
    compiler = nvrtc()
    program = _done(compiler.nvrtcCreateProgram(path.read_bytes(), path.name.encode(), 0, [], []))
    try:
        options = [option.encode() for option in (*_options(architecture, real), *extra)]
        (status,) = compiler.nvrtcCompileProgram(program, len(options), options)
        log = _read(program, compiler.nvrtcGetProgramLogSize, compiler.nvrtcGetProgramLog).decode()
        log = log.strip("\0\n")
        if status:
            raise UsageError(
                f"the kernels of the cuda engine do not compile for {architecture} ({status.name}: "
                f"{log}): install a newer cuda-bindings and nvidia-cuda-nvrtc, or use "
                "engine='reference'"
            )
        return _read(program, compiler.nvrtcGetCUBINSize, compiler.nvrtcGetCUBIN), log
    finally:
        compiler.nvrtcDestroyProgram(program)


def cached_kernels(unit: str, architecture: str, real: torch.dtype) -> bytes:
    """Machine code of a unit, compiled once for each architecture, source and compiler.

    It is kept in the user's cache folder. Where that cannot be written, a warning says so and the
    next process compiles again.
    """
    made_from = _fingerprint(unit, architecture, real)
    path = _cache_folder() / f"{unit}-{architecture}-{_NAMES[real]}-{made_from}"
    try:
        kept = path.read_bytes()
    except OSError:
        kept = b""
    digest, code = kept[:_DIGEST], kept[_DIGEST:]
    if code and hashlib.sha256(code).digest() == digest:
        return code
    code, _ = compile_kernels(path_of(unit), architecture, real)
    try:
        write_atomically(path, hashlib.sha256(code).digest() + code)
    except UsageError as error:
        _warn_unkept(str(error))
    return code


def _options(architecture: str, real: torch.dtype) -> list[str]:
    return [
        f"--gpu-architecture={architecture}",
        "--std=c++20",
        "--device-as-default-execution-space",
        f"--include-path={SOURCES}",
        f"--define-macro=QSIM_REAL={_NAMES[real]}",
    ]


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "efficient-qml" / "kernels"


def _fingerprint(unit: str, architecture: str, real: torch.dtype) -> str:
    sources = [path_of(unit), *sorted(SOURCES.glob("*.cuh"))]
    version = _done(nvrtc().nvrtcVersion(), count=2)
    known = [path.read_bytes() for path in sources]
    # The folder is no part of what is compiled.
    options = [o for o in _options(architecture, real) if str(SOURCES) not in o]
    return hashlib.sha256(repr((version, options, known)).encode()).hexdigest()[:16]


@cache
def _warn_unkept(reason: str) -> None:
    warnings.warn(
        f"the kernels of the cuda engine are compiled again in every process: {reason}",
        stacklevel=2,
    )


def _read(program: Any, get_size: Any, get: Any) -> bytes:
    content = b" " * _done(get_size(program))
    (status,) = get(program, content)
    _done((status, None))
    return content


def _done(result: tuple[Any, ...], count: int = 1) -> Any:
    status, *values = result
    if status:
        raise RuntimeError(f"NVRTC reports {status.name}")
    return values[0] if count == 1 else tuple(values)
