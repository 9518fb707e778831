"""Engines: they run a circuit forward and give gradients. All keep the contract of `Engine`."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from typing import Protocol

from torch import Tensor

from qsim.circuit import Circuit
from qsim.engines.reference import ReferenceEngine
from qsim.errors import UsageError
from qsim.strings import Strings

try:
    from qsim.engines.cpu import CpuEngine
    from qsim.engines.cuda import CudaEngine
    from qsim.engines.cuda import gpu as _gpu

    native_missing = ""
except ImportError as error:
    native_missing = str(error)


class Engine(Protocol):
    """What every engine does.

    Weights are [num_weights] or [batch, num_weights], inputs [num_inputs] or [batch, num_inputs];
    both real, of the same dtype and device. The initial state is complex, [2**num_qubits] or
    [batch, 2**num_qubits], or None for |0...0>. Results are differentiable in all of them.
    """

    def expval(
        self,
        circuit: Circuit,
        strings: Strings,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None,
    ) -> Tensor:
        """Expectation values of Pauli strings, real [batch, strings]."""

    def state(
        self,
        circuit: Circuit,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None,
    ) -> Tensor:
        """Final states, complex [batch, 2**num_qubits]."""

    def states_held(self, circuit: Circuit, gradient: bool) -> int:
        """How many states each sample holds at most, in a run that wants a gradient or not."""

    def reference(self) -> Engine:
        """The engine in plain torch that gives the same results."""


def select_engine(name: str, device_type: str) -> Engine:
    """The engine of that name; "auto" takes the fastest one for tensors on that type of device.

    Raises:
        UsageError: for an unknown engine, or one that does not fit the device or this installation.
    """
    if name not in ("auto", "cpu", "cuda", "reference"):
        raise UsageError(f"there is no engine {name!r}: use auto, cpu, cuda, reference or stim")
    if name in ("cpu", "cuda") and name != device_type:
        raise UsageError(
            f"the {name} engine takes tensors on a {name} device, not on {device_type}: "
            f"move them by .to({name!r}), or use engine='auto'"
        )
    if name == "reference" or device_type not in ("cpu", "cuda"):
        return ReferenceEngine()
    missing = _missing(device_type)
    if missing and name == "auto":
        warn_reference(missing)
        return ReferenceEngine()
    if missing:
        raise UsageError(f"{missing}, or use engine='reference'")
    return CpuEngine() if device_type == "cpu" else _cuda_engine()


def _missing(device_type: str) -> str:
    """Why the engine for a type of device cannot be had, and what to do; empty if it can."""
    if native_missing:
        return (
            f"the {device_type} engine was not built ({native_missing}): install a C++ compiler "
            "and reinstall efficient-qml"
        )
    missing = _gpu.missing() if device_type == "cuda" else ""
    return missing and f"the cuda engine cannot run: {missing}"


@cache
def _cuda_engine() -> CudaEngine:
    return CudaEngine(_gpu.Gpu())


@cache
def warn_reference(missing: str) -> None:
    """Say once that the reference engine serves, and why."""
    warnings.warn(
        f"qsim runs on its reference engine, which is slow, because {missing}",
        stacklevel=_level_outside(),
    )


def _level_outside() -> int:
    """How many frames, from the caller on, lead out of this package: the user's line."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] == "qsim":
        frame, level = frame.f_back, level + 1
    return level
