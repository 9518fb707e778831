"""What a kernel is launched with, and who launches it."""

from __future__ import annotations

import ctypes
from typing import NamedTuple, Protocol

from torch import Tensor


class Arguments(ctypes.Structure):
    """The struct of that name in tape.cuh, which says what its fields are."""

    _fields_ = (
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


class Launcher(Protocol):
    """Who runs kernels on tensors of a device.

    Attributes:
        warp: threads of a warp.
        most_threads: threads of a block at most.
    """

    warp: int
    most_threads: int

    def launch(self, kernel: str, like: Tensor, launch: Launch, arguments: Arguments) -> None:
        """Start a kernel of kernels.cu.

        Args:
            kernel: its name.
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
