"""Random and evolutionary search under limits, for any space and any score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from classical.errors import UsageError
from classical.nas.space import Gene, Space

Score = Callable[[Gene], float]
"""The higher, the better."""

_ATTEMPTS = 50  # at a gene that was not tried before


@dataclass(frozen=True)
class Limited:
    """The part of a space whose costs stay within limits.

    Attributes:
        space: where to search; smaller options must not cost more.
        costs: gene -> a record with a field for every limit.
        limits: field -> the most that is allowed.
    """

    space: Space
    costs: Callable[[Gene], Any]
    limits: Mapping[str, float]

    def __post_init__(self) -> None:
        least = self.costs(self.space.smallest)
        for name, limit in self.limits.items():
            if not hasattr(least, name):
                raise UsageError(
                    f"there is no cost {name!r}: limit one of {', '.join(vars(least))}"
                )
            if getattr(least, name) > limit:
                raise UsageError(
                    f"no network of the space meets {name} <= {limit:,}: the smallest has "
                    f"{getattr(least, name):,}, so raise the limit or add smaller options"
                )

    def admits(self, gene: Gene) -> bool:
        """Whether a gene meets all limits."""
        costs = self.costs(gene)
        return all(getattr(costs, name) <= limit for name, limit in self.limits.items())

    def repaired(self, gene: Gene, rng: np.random.Generator) -> Gene:
        """The gene with random choices one option smaller, until it meets the limits."""
        choices = self.space.choices
        while not self.admits(gene):
            name = rng.choice([name for name in gene if gene[name] != choices[name][0]])
            smaller = choices[name][choices[name].index(gene[name]) - 1]
            gene = self.space.canonical({**gene, name: smaller})
        return gene

    def sample(self, rng: np.random.Generator) -> Gene:
        """A random gene that meets the limits."""
        return self.repaired(self.space.sample(rng), rng)


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        gene: the best one.
        score: of it.
        history: every gene that was tried, with its score, in order.
    """

    gene: Gene
    score: float
    history: tuple[tuple[Gene, float], ...]


def random_search(limited: Limited, score: Score, evaluations: int = 100, seed: int = 0) -> Found:
    """Try random genes that meet the limits.

    A strong baseline: Li and Talwalkar, arXiv:1902.07638.

    Args:
        limited: where to search.
        score: what to maximize.
        evaluations: genes to try.
        seed: draws them.

    Raises:
        UsageError: for no evaluations.
    """
    if evaluations < 1:
        raise UsageError(f"a search tries at least 1 gene, and evaluations={evaluations}")
    rng = np.random.default_rng(seed)
    return _best([_tried(limited.sample(rng), score) for _ in range(evaluations)])


def evolve(
    limited: Limited,
    score: Score,
    population: int = 20,
    generations: int = 10,
    *,
    parents: float = 0.25,
    mutation: float = 0.1,
    seed: int = 0,
) -> Found:
    """Evolutionary search, as once-for-all nets and MCUNet do it (arXiv:1908.09791).

    In every generation half of the new genes are mutated copies of the best so far, the rest
    crosses of two of these. Whoever is over the limits is repaired, and whoever was tried before is
    mutated again, so that the population stays diverse. population + generations * (population -
    parents) genes are tried.

    Args:
        limited: where to search.
        score: what to maximize.
        population: genes of a generation, at least 4.
        generations: after the random first one.
        parents: fraction of the population from which new genes are made.
        mutation: probability that a choice is drawn anew.
        seed: of all draws.

    Raises:
        UsageError: for a smaller population, or fractions outside (0, 1).
    """
    if population < 4 or generations < 0:
        raise UsageError(
            "evolution takes a population of at least 4 and no negative number of generations, "
            f"not population={population}, generations={generations}"
        )
    if not 0 < parents < 1 or not 0 < mutation <= 1:
        raise UsageError(
            f"parents and mutation are fractions, not parents={parents}, mutation={mutation}"
        )
    rng = np.random.default_rng(seed)
    history = [_tried(limited.sample(rng), score) for _ in range(population)]
    stay = max(2, round(parents * population))
    for _ in range(generations):
        best = [gene for gene, _ in sorted(history, key=lambda tried: -tried[1])[:stay]]
        for k in range(population - stay):
            first, second = (best[i] for i in rng.choice(stay, 2, replace=False))
            gene = first if k % 2 else limited.space.cross(first, second, rng)
            history.append(_tried(_unseen(limited, gene, history, mutation, rng), score))
    return _best(history)


def _unseen(
    limited: Limited,
    gene: Gene,
    history: list[tuple[Gene, float]],
    mutation: float,
    rng: np.random.Generator,
) -> Gene:
    """The gene within the limits, mutated until it is new; a small space may have nothing new."""
    seen = [tried for tried, _ in history]
    gene = limited.repaired(gene, rng)
    for _ in range(_ATTEMPTS):
        if gene not in seen:
            break
        gene = limited.repaired(limited.space.mutate(gene, mutation, rng), rng)
    return gene


def _tried(gene: Gene, score: Score) -> tuple[Gene, float]:
    return gene, score(gene)


def _best(history: list[tuple[Gene, float]]) -> Found:
    gene, score = max(history, key=lambda tried: tried[1])
    return Found(gene, score, tuple(history))
