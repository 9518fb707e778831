"""What a kernel is launched with, and who launches it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from qsim.engines.tensors import laid_out


class Arguments(ctypes.Structure):
    """The struct of that name in tape.cuh, which says what its fields are."""

    _fields_: ClassVar[Sequence[Any]] = (
        ("tape", ctypes.c_void_p),
        ("sources", ctypes.c_void_p * 2),
        ("begin", ctypes.c_void_p),
        ("psi", ctypes.c_void_p),
        ("lambda_", ctypes.c_void_p),
        ("paulis", ctypes.c_void_p),
        ("cotangent", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("states", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("gradients", ctypes.c_void_p * 2),
        ("strides", ctypes.c_longlong * 2),
        ("batch", ctypes.c_int),
        ("parts", ctypes.c_int),
        ("stage", ctypes.c_int),
        ("num_paulis", ctypes.c_int),
        ("wanted", ctypes.c_int),
        ("first_group", ctypes.c_int),
    )


class TrajectoryArguments(Arguments):
    """The struct of that name in tape.cuh."""

    _fields_: ClassVar[Sequence[Any]] = (
        ("seeds", ctypes.c_void_p),
        ("decisions", ctypes.c_void_p),
        ("squares", ctypes.c_void_p),
        ("from_", ctypes.c_void_p),
        ("records", ctypes.c_void_p),
        ("drawn", ctypes.c_void_p),
        ("num_seeds", ctypes.c_longlong),
        ("trajectories", ctypes.c_longlong),
        ("first", ctypes.c_longlong),
    )


class TransferArguments(ctypes.Structure):
    """The struct of that name in transfer_tape.cuh."""

    _fields_ = (
        ("tape", ctypes.c_void_p),
        ("sources", ctypes.c_void_p * 2),
        ("begin", ctypes.c_void_p),
        ("from_", ctypes.c_void_p),
        ("to", ctypes.c_void_p),
        ("lambda_", ctypes.c_void_p),
        ("readings", ctypes.c_void_p),
        ("cotangent", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("records", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("gradients", ctypes.c_void_p * 2),
        ("strides", ctypes.c_longlong * 2),
        ("num_readings", ctypes.c_longlong),
        ("batch", ctypes.c_int),
        ("parts", ctypes.c_int),
        ("stage", ctypes.c_int),
        ("wanted", ctypes.c_int),
    )


class Kernel(NamedTuple):
    """A kernel's name, and the file that has it: one of `compiling.UNITS`."""

    unit: str
    name: str


class Launcher(Protocol):
    """Who runs kernels on tensors of a device.

    Attributes:
        warp: threads of a warp.
        most_threads: threads of a block at most.
    """

    warp: int
    most_threads: int

    def launch(
        self, kernel: Kernel, like: Tensor, launch: Launch, arguments: ctypes.Structure
    ) -> None:
        """Start a kernel.

        Args:
            kernel: which one.
            like: a tensor of the reals' dtype on the device.
            launch: how many threads.
            arguments: what it gets; copied before this returns.
        """


class Launch(NamedTuple):
    """Blocks along x and y, threads of a block, and bytes of shared memory of a block."""

    x: int
    y: int
    threads: int
    shared: int


_BLOCKS = 1024  # blocks of one launch at most, where a state has many tiles


class DeviceRun:
    """What runs of all kinds share: tensors, and launching kernels on them.

    Args:
        launcher: who runs the kernels.
        batch: number of samples.
        tensors: weights, inputs and, where a run has one, its initial states.
    """

    unit: ClassVar[str]
    arguments: ClassVar[type[ctypes.Structure]]

    def __init__(self, launcher: Launcher, batch: int, tensors: Iterable[Tensor]) -> None:
        self.launcher, self.batch = launcher, batch
        self.tensors = laid_out(tensors)
        self.like = self.tensors[0]

    def _parts(self, tiles: int) -> int:
        """Blocks that share the tiles of a sample: a power of two, the same in every stage, because
        each part keeps its sums."""
        return min(tiles, 2 ** (max(1, _BLOCKS // self.batch).bit_length() - 1))

    def _common(self) -> dict[str, Any]:
        """Fields that all launches of the run share."""
        weights, inputs = self.tensors[:2]
        return {
            "sources": (weights.data_ptr(), inputs.data_ptr()),
            "strides": tuple(t.shape[-1] if t.dim() == 2 else 0 for t in (weights, inputs)),
            "batch": self.batch,
        }

    def _launch(self, kernel: str, launch: Launch, unit: str = "", **fields: Any) -> None:
        """Start a kernel of the run's unit or another one that reads the same arguments."""
        arguments = self.arguments()
        for name, value in {**self._common(), **fields}.items():
            setattr(arguments, name, value.data_ptr() if isinstance(value, Tensor) else value)
        self.launcher.launch(Kernel(unit or self.unit, kernel), self.like, launch, arguments)

    def _gradient(self, source: int, parts: int, **fields: Any) -> Tensor:
        """The gradient of weights (0) or inputs (1), from what the way back left."""
        gradient = torch.empty_like(self.tensors[source])
        addresses = [0, 0]
        addresses[source] = gradient.data_ptr()
        size = gradient.shape[-1]
        if size:
            threads = self._threads(self.batch * parts)
            launch = Launch(size, 1, threads, 8 * threads)
            self._launch("gradients", launch, stage=source, gradients=tuple(addresses), **fields)
        return gradient

    def _threads(self, most: int) -> int:
        """A power of two, of whole warps."""
        wanted = 1 << (max(1, most) - 1).bit_length()
        return min(self.launcher.most_threads, max(self.launcher.warp, wanted))

    def _warps(self, threads: int) -> int:
        return -(-threads // self.launcher.warp)

    def _real(self, *shape: int) -> Tensor:
        return self.like.new_empty(shape)

    def _complex(self, *shape: int) -> Tensor:
        return self.like.new_empty(shape, dtype=self.like.dtype.to_complex())
