"""Evolutionary co-search of sub-circuit and qubit mapping (QuantumNAS, arXiv:2107.10845).

A gene is a qubit mapping and a sub-circuit of the SuperCircuit (`qml.nas.genes`). A generation is
the parents, mutations of them and uniform crossovers between them; the best become the next
parents. Each generation draws from a random stream of its own, so a search that goes on after any
finished generation finds what it would have found without a break.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from qml.job.presets import Preset
from qml.nas.genes import Gene, GeneSpace
from qml.nas.scoring import Evaluation
from qml.training.loop import epoch_generator

_ATTEMPTS = 20


class EvolutionarySearch:
    """The search itself, one `step` per generation.

    Args:
        space: the genes.
        evaluate: gives the worth of a gene; called once per distinct gene.
        sizes: how many parents, mutations and crossovers, and the probability of mutation.
        seed: generation ``g`` draws from the stream of (seed, "search", g).
        first: genes that the first generation contains beside random ones.
        state: continue from `state` of an earlier search.
    """

    def __init__(
        self,
        space: GeneSpace,
        evaluate: Callable[[Gene], Evaluation],
        sizes: Preset,
        seed: int,
        *,
        first: Sequence[Gene] = (),
        state: dict[str, Any] | None = None,
    ) -> None:
        self.space = space
        self.sizes = sizes
        self.seed = seed
        self.history: list[dict[str, float]] = []
        self._evaluate = evaluate
        self._first = list(first)
        self._ranked: list[Gene] = []
        self._known: dict[Gene, Evaluation] = {}
        if state is not None:
            self._load(state)

    @property
    def generation(self) -> int:
        """Number of finished generations."""
        return len(self.history)

    @property
    def best(self) -> tuple[Gene, Evaluation]:
        """The best gene so far and its evaluation."""
        gene = self._ranked[0]
        return gene, self._evaluation(gene)

    def step(self) -> dict[str, float]:
        """Run one generation; returns its line of the history."""
        population = self._population(epoch_generator(self.seed, "search", self.generation))
        # sorted() is stable: among equals the older gene stays ahead.
        self._ranked = sorted(population, key=lambda gene: self._evaluation(gene).score)
        scores = [self._evaluation(gene).score for gene in self._ranked]
        best = self._evaluation(self._ranked[0])
        self.history.append(
            {
                "generation": self.generation + 1,
                "best": best.score,
                "mean": float(np.mean(scores)),
                "loss": best.loss,
                "esp": best.esp,
                "evaluations": len(self._known),
            }
        )
        return self.history[-1]

    def state(self) -> dict[str, Any]:
        """Everything a continued search needs, JSON-able."""
        return {
            "ranked": [gene.to_json() for gene in self._ranked],
            "known": [[gene.to_json(), asdict(value)] for gene, value in self._known.items()],
            "history": self.history,
        }

    def _load(self, state: dict[str, Any]) -> None:
        self._ranked = [Gene.from_json(gene) for gene in state["ranked"]]
        self.history = list(state["history"])
        for gene_json, value in state["known"]:
            self._known[Gene.from_json(gene_json)] = Evaluation(**value)

    def _evaluation(self, gene: Gene) -> Evaluation:
        key = self.space.key(gene)
        if key not in self._known:
            self._known[key] = self._evaluate(key)
        return self._known[key]

    def _population(self, rng: np.random.Generator) -> list[Gene]:
        if not self._ranked:
            population = self._first[: self.sizes.population]
            missing = self.sizes.population - len(population)
            return self._extend(population, missing, lambda: self.space.random(rng))
        parents = self._ranked[: self.sizes.parents]

        def mutation() -> Gene:
            parent = parents[rng.integers(len(parents))]
            return self.space.mutate(parent, self.sizes.mutation_probability, rng)

        def crossover() -> Gene:
            first, second = rng.integers(len(parents), size=2)
            return self.space.cross(parents[first], parents[second], rng)

        population = self._extend(list(parents), self.sizes.mutations, mutation)
        return self._extend(population, self.sizes.crossovers, crossover)

    def _extend(self, population: list[Gene], count: int, draw: Callable[[], Gene]) -> list[Gene]:
        """Add genes that the population does not hold yet, or after some attempts others."""
        held = {self.space.key(gene) for gene in population}
        for _ in range(count):
            for _ in range(_ATTEMPTS):
                gene = draw()
                if self.space.key(gene) not in held:
                    break
            held.add(self.space.key(gene))
            population.append(gene)
        return population
