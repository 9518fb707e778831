"""Shots: basis states drawn from probabilities, and expectation values estimated from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from qsim.errors import UsageError
from qsim.gradients import transforms
from qsim.memory import check_bytes
from qsim.observables import Strings

Generator: TypeAlias = torch.Generator | Sequence[torch.Generator] | None

_CHUNK = 2**24  # probabilities that are added up at a time


def check_shots(shots: Any, rows: int) -> int:
    """The number of shots.

    Raises:
        UsageError: if it is no whole number from 1 on, or more than fits into memory.
    """
    if isinstance(shots, bool) or not hasattr(shots, "__index__") or shots < 1:
        raise UsageError(f"shots are a whole number from 1 on, not {shots!r}")
    check_bytes(16 * rows * int(shots), f"{int(shots)} shots of {rows} samples")
    return int(shots)


def check_generator(generator: Generator, batch: int) -> None:
    """Raises UsageError for what is neither a generator nor a list with one for each sample."""
    if generator is None or isinstance(generator, torch.Generator):
        return
    right = isinstance(generator, Sequence) and not isinstance(generator, str)
    if not right or not all(isinstance(g, torch.Generator) for g in generator):
        raise UsageError(
            "generator is a torch.Generator, or a list of them with one for each sample of the "
            f"batch, not {generator!r}"
        )
    if len(generator) != batch:
        raise UsageError(f"{len(generator)} generators do not fit a batch of {batch}: one for each")


def uniforms(rows: int, shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Numbers from [0, 1), float64 [rows, *shape].

    From a list, row k is drawn from generator k modulo their number, and from no other.
    """
    transforms.refuse("what is drawn at random")
    if generator is None or isinstance(generator, torch.Generator):
        device = "cpu" if generator is None else generator.device
        return torch.rand(rows, *shape, generator=generator, dtype=torch.float64, device=device)
    chosen = [generator[k % len(generator)] for k in range(rows)]
    return torch.stack(
        [torch.rand(shape, generator=g, dtype=torch.float64, device=g.device) for g in chosen]
    )


def draw(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """Basis states: inverts the cumulative distribution at `numbers`.

    Args:
        probabilities: real [rows, 2**k].
        numbers: float64 [rows, shots] from [0, 1).

    Returns:
        int64 [rows, shots].
    """
    step = max(1, _CHUNK // probabilities.shape[1])
    parts = []
    for begin in range(0, len(probabilities), step):
        # Double: in single precision, a long sum loses the small probabilities.
        sums = probabilities[begin : begin + step].double().cumsum(1)
        total = sums[:, -1:].contiguous()
        found = torch.searchsorted(
            sums, numbers[begin : begin + step].to(sums.device) * total, right=True
        )
        parts.append(torch.minimum(found, torch.searchsorted(sums, total)))  # rounding may pass it
    return torch.cat(parts)


def measure(probabilities: Tensor, shots: Any, generator: Generator) -> Tensor:
    """Basis states, int64 [rows, shots], from probabilities [rows, 2**k].

    Raises:
        UsageError: for wrong shots or generators.
    """
    number = check_shots(shots, len(probabilities))
    check_generator(generator, len(probabilities))
    return draw(probabilities, uniforms(len(probabilities), (number,), generator))


def count(drawn: Tensor, num_bits: int) -> dict[str, int]:
    """How often each bitstring occurs in basis states [shots], most frequent first."""
    values, numbers = drawn.unique(return_counts=True)
    pairs = sorted(zip(values.tolist(), numbers.tolist(), strict=True), key=lambda p: (-p[1], p[0]))
    return {f"{value:0{num_bits}b}": number for value, number in pairs}


def estimate(
    strings: Strings,
    distribution: Callable[[str], Tensor],
    like: Tensor,
    shots: int,
    generator: Generator,
) -> Tensor:
    """Expectation values from shots, real [rows, strings].

    Strings that commute qubit by qubit are measured together; each such set gets all the shots.

    Args:
        strings: what is measured.
        distribution: from a basis, a letter for each qubit, to the probabilities of what is read
            in it, real [rows, 2**n].
        like: a tensor [rows, ...] with the dtype and device of the result.
        shots: number of readings of each set.
        generator: what they are drawn with.
    """
    numbers = uniforms(len(like), (len(strings.settings), shots), generator)
    return means(strings, like, lambda k, basis: draw(distribution(basis), numbers[:, k]))


def means(strings: Strings, like: Tensor, drawn: Callable[[int, str], Tensor]) -> Tensor:
    """Means of strings, real [rows, strings].

    Args:
        strings: what is measured.
        like: a tensor [rows, ...] with the dtype and device of the result.
        drawn: from the number of a setting and its basis to what is read, int64 [rows, shots].
    """
    found = like.new_ones(len(like), len(strings))
    for k, setting in enumerate(strings.settings):
        read = drawn(k, setting.basis)
        for place, support in zip(setting.indices, setting.supports, strict=True):
            found[:, place] = 1 - 2 * _parity(read & support).to(found.dtype).mean(1)
    return found


def probabilities_in(psi: Tensor, basis: str) -> Tensor:
    """Probabilities, real [rows, 2**n], when each qubit is measured in its letter of the basis."""
    for qubit, letter in enumerate(reversed(basis)):
        if letter in "XY":
            pairs = psi.reshape(-1, 2, 2**qubit)
            zero, one = pairs[:, 0], pairs[:, 1] * (-1j if letter == "Y" else 1)
            psi = torch.stack([zero + one, zero - one], 1).reshape(psi.shape) * 0.5**0.5
    return psi.real**2 + psi.imag**2


def _parity(bits: Tensor) -> Tensor:
    for shift in (32, 16, 8, 4, 2, 1):
        bits = bits ^ (bits >> shift)
    return bits & 1
