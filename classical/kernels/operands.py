"""What the kernels run on, and what they can be given."""

from __future__ import annotations

import torch
from torch import Tensor

import classical.kernels._kernels as _kernels
from classical.errors import UsageError

ISA: str = _kernels.isa
"""The instruction set of this processor that the kernels with vectors use."""


def check_operand(name: str, tensor: Tensor, dims: int) -> None:
    """Raise UsageError for anything but float32 on the CPU with so many dimensions, none empty."""
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
        kind = f"{str(tensor.dtype).removeprefix('torch.')} on {tensor.device}"
        raise UsageError(f"kernels take float32 on the CPU, and {name} is {kind}: .float().cpu()")
    if tensor.dim() != dims or not tensor.numel():
        raise UsageError(
            f"{name} has {dims} dimensions, none of them empty, and its shape is "
            f"{list(tensor.shape)}"
        )


def checked_threads(threads: int | None) -> int:
    """As many as asked for, or as PyTorch has. Raises UsageError for none."""
    found = torch.get_num_threads() if threads is None else threads
    if found < 1:
        raise UsageError(f"kernels need 1 thread or more, and threads={found} was given")
    return found


def check_method(method: str, methods: tuple[str, ...]) -> None:
    """Raise UsageError for a method that is not one of these."""
    if method not in methods:
        raise UsageError(f"there is no method {method!r}: choose one of {', '.join(methods)}")
