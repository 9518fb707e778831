"""Many Pauli strings at once: what flips the same qubits, and what can be measured together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from qsim.observables import PauliString


class XGroup(NamedTuple):
    """Strings that flip the same qubits: one pass over a state serves them all.

    Attributes:
        x_mask: the qubits that they flip.
        indices: which strings they are, int64 [strings].
        z_masks: their z masks, int64 [strings].
        phases: i**(number of Y), complex128 [strings].
    """

    x_mask: int
    indices: Tensor
    z_masks: Tensor
    phases: Tensor


class Setting(NamedTuple):
    """Strings that agree wherever they have a letter: one basis of measurement serves them all.

    Attributes:
        basis: letter in which each qubit is measured, I if in none; the rightmost is qubit 0.
        indices: which strings they are, int64 [strings].
        supports: bits of the qubits on which each has a letter.
    """

    basis: str
    indices: Tensor
    supports: list[int]


class Strings(tuple["PauliString", ...]):
    """Pauli strings on equally many qubits, and what engines want to know of all of them.

    Hashed once and grouped once, because a Hamiltonian of thousands of strings is measured in
    every step.
    """

    @cached_property
    def _hash(self) -> int:
        return super().__hash__()

    @classmethod
    def of(cls, strings: Sequence[PauliString]) -> Strings:
        """The strings as Strings, and these as they are."""
        return strings if isinstance(strings, Strings) else cls(strings)

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Strings], tuple[tuple[PauliString, ...]]]:
        return Strings, (tuple(self),)

    @cached_property
    def x_groups(self) -> tuple[XGroup, ...]:
        found: dict[int, list[int]] = {}
        for k, string in enumerate(self):
            found.setdefault(string.x_mask, []).append(k)
        powers = [1, 1j, -1, -1j]
        return tuple(
            XGroup(
                x_mask,
                torch.tensor(members),
                torch.tensor([self[k].z_mask for k in members]),
                torch.tensor([powers[self[k].num_y % 4] for k in members], dtype=torch.complex128),
            )
            for x_mask, members in found.items()
        )

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """Few sets of strings that commute qubit by qubit, longest strings first, first fit.

        Recursive largest first, a costlier heuristic for colouring graphs, was seen to save 2 % of
        them at most.
        """
        masks = [*(string.x_mask for string in self), *(string.z_mask for string in self)]
        x, z = np.split(_words(masks), 2, axis=1)
        supports = [string.x_mask | string.z_mask for string in self]
        bases = np.zeros((2, *x.shape), dtype=x.dtype)
        members: list[list[int]] = []
        for k in sorted(range(len(self)), key=lambda k: -supports[k].bit_count()):
            in_x, in_z = bases[:, :, : len(members)]
            own_x, own_z = x[:, k, None], z[:, k, None]
            unlike = ((in_x ^ own_x) | (in_z ^ own_z)) & (in_x | in_z) & (own_x | own_z)
            fits = np.flatnonzero(~unlike.any(0))
            if supports[k]:
                place = int(fits[0]) if len(fits) else len(members)
                if place == len(members):
                    members.append([])
                bases[:, :, place] |= x[:, k], z[:, k]
                members[place].append(k)
        return tuple(
            Setting(
                _shared_label([self[k].label for k in chosen]),
                torch.tensor(chosen),
                [supports[k] for k in chosen],
            )
            for chosen in members
        )


def _words(masks: Sequence[int]) -> np.ndarray:
    """Masks of any length in words of 64 bits, the lowest first: uint64 [words, masks]."""
    count = max((mask.bit_length() for mask in masks), default=0) // 64 + 1
    low = (1 << 64) - 1
    return np.array([[m >> 64 * w & low for m in masks] for w in range(count)], dtype=np.uint64)


def _shared_label(labels: Sequence[str]) -> str:
    """The letter of each qubit in any of the labels: I comes before the others."""
    return "".join(max(letters) for letters in zip(*labels, strict=True))
