"""Shots: basis states drawn from probabilities, and expectation values estimated from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

import torch
from torch import Tensor

from qsim.errors import UsageError
from qsim.gradients import transforms
from qsim.memory import check_bytes
from qsim.strings import Setting, Strings
from qsim.sums import running_sums

Generator: TypeAlias = torch.Generator | Sequence[torch.Generator] | None

_CHUNK = 2**24  # probabilities that are added up at a time
_AT_ONCE = 2**17  # probabilities of bases that are drawn from at a time


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
        sums = running_sums(probabilities[begin : begin + step].double())
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


def estimate(strings: Strings, psi: Tensor, shots: int, generator: Generator) -> Tensor:
    """Expectation values from shots, real [rows, strings], of states [rows, 2**n].

    Strings that commute qubit by qubit are measured together; each such set gets all the shots.
    """
    return estimate_from(strings, in_settings(strings, psi), psi.real, shots, generator)


def in_settings(strings: Strings, psi: Tensor) -> Iterator[tuple[int, Tensor]]:
    """What `estimate_from` takes as `measured`, of states [rows, 2**n]."""
    bases = [setting.basis for setting in strings.settings]
    for k, state in _in_bases(psi, bases, list(range(len(bases)))):
        yield k, state.real**2 + state.imag**2


def estimate_from(
    strings: Strings,
    measured: Iterator[tuple[int, Tensor]],
    like: Tensor,
    shots: int,
    generator: Generator,
) -> Tensor:
    """Expectation values from shots, real [rows, strings].

    Args:
        strings: what is measured.
        measured: each of the strings' settings by its number, in some order, and in proportion to
            probabilities what is read in its basis: real [rows, 2**n].
        like: real [rows, 2**n], of the dtype and device of the result.
        shots: number of readings in each basis.
        generator: what they are drawn with.
    """
    settings, rows = strings.settings, len(like)
    found = like.new_ones(rows, len(strings))
    numbers = uniforms(rows, (len(settings), shots), generator)
    while chosen := list(islice(measured, max(1, _AT_ONCE // like.numel()))):
        places = [k for k, _ in chosen]
        probabilities = torch.stack([row for _, row in chosen], 1).flatten(0, 1)
        drawn = draw(probabilities, numbers[:, places].flatten(0, 1)).unflatten(0, (rows, -1))
        for k, bits in zip(places, drawn.unbind(1), strict=True):
            found[:, settings[k].indices] = means(settings[k], bits).to(found.dtype)
    return found


def means(setting: Setting, read: Tensor) -> Tensor:
    """Means of a setting's strings, float64 [rows, strings], from readings int64 [rows, shots]."""
    supports = torch.tensor(setting.supports, device=read.device)
    rows, shots = read.shape
    states = 2 ** len(setting.basis)
    if states > shots:
        return 1 - 2 * _parity(read[:, None] & supports[:, None]).double().mean(2)
    # There are fewer states than shots: look at each state once.
    offsets = states * torch.arange(rows, device=read.device)[:, None]
    counts = (read + offsets).flatten().bincount(minlength=rows * states).view(rows, states)
    parities = _parity(torch.arange(states, device=read.device)[:, None] & supports).double()
    return 1 - 2 * (counts.double() @ parities) / shots


def _in_bases(
    psi: Tensor, bases: list[str], chosen: list[int], first: int = 0
) -> Iterator[tuple[int, Tensor]]:
    """The chosen bases, in some order, each with the states turned so that its letters become Z.

    Turns form a tree: bases that agree on qubits up to one share the turns of these. States come
    without norm, and are turned from qubit `first` on.
    """
    for qubit in range(first, _num_qubits(psi)):
        groups: dict[str, list[int]] = {}
        for k in chosen:
            groups.setdefault(bases[k][-1 - qubit].replace("I", "Z"), []).append(k)
        if len(groups) > 1:
            for letter, group in groups.items():
                yield from _in_bases(_turned(psi, qubit, letter), bases, group, qubit + 1)
            return
        for letter in groups:
            psi = _turned(psi, qubit, letter)
    yield from ((k, psi) for k in chosen)


def _num_qubits(psi: Tensor) -> int:
    return psi.shape[-1].bit_length() - 1


def _turned(psi: Tensor, qubit: int, letter: str) -> Tensor:
    """States whose Z on a qubit is what the letter was, times the square root of 2 unless Z."""
    if letter == "Z":
        return psi
    zero, one = psi.reshape(-1, 2, 2**qubit).unbind(1)
    factor = -1j if letter == "Y" else 1
    turned = [torch.add(zero, one, alpha=factor), torch.sub(zero, one, alpha=factor)]
    return torch.stack(turned, 1).reshape(psi.shape)


def _parity(bits: Tensor) -> Tensor:
    for shift in (32, 16, 8, 4, 2, 1):
        bits = bits ^ (bits >> shift)
    return bits & 1
