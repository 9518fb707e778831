"""How much memory there is, and refusing what cannot fit before anything is allocated."""

from __future__ import annotations

import os

import torch

from qsim.errors import UsageError

IN_GRADIENT = " for the gradient"  # what states are held for, as `check_states` says it

_CPU = torch.device("cpu")
_SURELY_FITS = 2**28  # bytes; smaller requests do not ask the system


def machine_bytes() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def memory_of(device: torch.device) -> tuple[int, str]:
    """Bytes that states on a device can take, and who has them."""
    if device.type != "cuda":
        return machine_bytes(), "this machine has"
    free, _ = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free + kept, f"{device} has free"


def check_bytes(needed: int, what: str, device: torch.device = _CPU) -> None:
    """Raises UsageError if `what` takes more bytes than the device has."""
    if needed <= _SURELY_FITS:
        return
    memory, whose = memory_of(device)
    if needed > memory:
        raise UsageError(f"{what} takes {needed:,} bytes, but {whose} {memory:,}")


def check_states(
    num_qubits: int,
    batch: int,
    amplitude: int,
    held: int,
    why: str = "",
    device: torch.device = _CPU,
) -> None:
    """Refuse states that do not fit, and say what would.

    Args:
        num_qubits: number of qubits.
        batch: number of samples.
        amplitude: bytes of one amplitude.
        held: states that each sample holds at a time.
        why: what they are, in words that follow "states each".
        device: where they are.

    Raises:
        UsageError: with the bytes that are needed and the sizes that fit.
    """
    each = held * amplitude
    needed = batch * each << num_qubits
    if needed <= _SURELY_FITS:
        return
    memory, whose = memory_of(device)
    if needed <= memory:
        return
    qubits = max(0, (memory // (batch * each)).bit_length() - 1)
    samples = memory // (each << num_qubits)
    fits = f"up to {qubits} qubits" + (f" or {samples} samples" if samples else "")
    raise UsageError(
        f"{batch} sample{'s' if batch > 1 else ''} of {num_qubits} qubits, {held} state"
        f"{'s' if held > 1 else ''} each{why}, need {needed:,} bytes, but {whose} "
        f"{memory:,}: {fits} fit"
    )
