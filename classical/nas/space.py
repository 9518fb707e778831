"""Search spaces as data: named choices, and how to draw, change, cross and encode genes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from classical.errors import UsageError

Gene: TypeAlias = dict[str, Any]
"""An option for every choice of a space."""


def _none(gene: Gene) -> Collection[str]:
    return ()


@dataclass(frozen=True)
class Space:
    """All genes that some choices allow.

    Attributes:
        choices: name -> options, from the smallest to the largest: a smaller one costs no more.
            A name is a kind, or a kind and a place, as in "kernel.2.0".
        silent: gene -> names of the choices that make no difference in it, such as the kernels of
            blocks that are left out; they stand at their smallest option.
    """

    choices: Mapping[str, tuple[Any, ...]]
    silent: Callable[[Gene], Collection[str]] = _none

    def __post_init__(self) -> None:
        empty = [name for name, options in self.choices.items() if not options]
        if empty or not self.choices:
            named = f"{empty[0]!r} has none" if empty else "no choice was given"
            raise UsageError(f"every choice of a space needs at least one option, and {named}")

    def __or__(self, other: Space) -> Space:
        """The genes of both at once, for a search of a network together with something else."""
        shared = self.choices.keys() & other.choices.keys()
        if shared:
            raise UsageError(f"both spaces have a choice {min(shared)!r}: rename one of them")
        return Space(
            {**self.choices, **other.choices},
            lambda gene: {*self.silent(gene), *other.silent(gene)},
        )

    @property
    def size(self) -> int:
        """Combinations of the options, those that are the same network included."""
        return math.prod(len(options) for options in self.choices.values())

    @property
    def smallest(self) -> Gene:
        """The first option of every choice."""
        return {name: options[0] for name, options in self.choices.items()}

    @property
    def largest(self) -> Gene:
        """The last option of every choice."""
        return self.canonical({name: options[-1] for name, options in self.choices.items()})

    def canonical(self, gene: Gene) -> Gene:
        """The gene in the order of the choices, with silent ones at their smallest option.

        Raises:
            UsageError: for a choice that is missing or unknown, or an option that it has not.
        """
        unknown = sorted(gene.keys() - self.choices.keys())
        if unknown:
            raise UsageError(
                f"the space has no choice {unknown[0]!r}: it has {', '.join(self.choices)}"
            )
        for name, options in self.choices.items():
            if name not in gene:
                raise UsageError(f"the gene does not say {name!r}: choose one of {options}")
            if gene[name] not in options:
                raise UsageError(f"{name} cannot be {gene[name]!r}: choose one of {options}")
        silent = self.silent(gene)
        return {
            name: options[0] if name in silent else gene[name]
            for name, options in self.choices.items()
        }

    def part(self, gene: Gene) -> Gene:
        """What a gene of a larger space says about this one, canonical."""
        return self.canonical({name: gene[name] for name in self.choices if name in gene})

    def sample(self, rng: np.random.Generator) -> Gene:
        """A gene with every option equally likely."""
        return self.canonical(
            {name: options[rng.integers(len(options))] for name, options in self.choices.items()}
        )

    def mutate(self, gene: Gene, probability: float, rng: np.random.Generator) -> Gene:
        """Draw every choice anew with some probability."""
        return self._mixed(self.sample(rng), gene, probability, rng)

    def cross(self, first: Gene, second: Gene, rng: np.random.Generator) -> Gene:
        """Take every choice from either gene (uniform crossover)."""
        return self._mixed(first, second, 0.5, rng)

    def encode(self, gene: Gene) -> Tensor:
        """One-hot encoding of a canonical gene, float32 [sum of the numbers of options]."""
        hot = [option == gene[name] for name, all_ in self.choices.items() for option in all_]
        return torch.tensor(hot, dtype=torch.float32)

    def opened(self, kinds: Collection[str]) -> Space:
        """The space whose other kinds of choices stand at their largest option."""
        return Space(
            {
                name: options if name.partition(".")[0] in kinds else options[-1:]
                for name, options in self.choices.items()
            },
            self.silent,
        )

    def larger(self, gene: Gene) -> Space:
        """The space of the gene's options and larger ones."""
        return Space(
            {name: options[options.index(gene[name]) :] for name, options in self.choices.items()},
            self.silent,
        )

    def _mixed(
        self, first: Gene, second: Gene, probability: float, rng: np.random.Generator
    ) -> Gene:
        return self.canonical(
            {name: (first if rng.random() < probability else second)[name] for name in self.choices}
        )
