"""Evolutionary co-search of sub-circuit and qubit mapping (QuantumNAS, arXiv:2107.10845).

A gene is a qubit mapping and a sub-circuit of the SuperCircuit (`qml.nas.genes`). A generation is
the parents, mutations of them and uniform crossovers between them; the best become the next
parents. Each generation draws from a random stream of its own, so everything follows from the seed
and the evaluations: where these are kept (`qml.nas.evaluations`), a search that was stopped
anywhere runs again from the start, without evaluating anything twice.

    space = GeneSpace(supercircuit, device)
    evaluator = Evaluator(Inherited(supercircuit, weights), objective, device, ExactNoise())
    log = EvaluationLog("search.jsonl", evaluator.about())
    evaluations = Evaluations(space, OneProcess(evaluator), log=log)
    search = EvolutionarySearch(space, evaluations, SearchConfig(), seed=0)
    gene, evaluation = search.run()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from qml.nas.evaluation import Evaluation, Evaluator
from qml.nas.evaluations import Evaluations
from qml.nas.genes import Gene, GeneSpace
from qml.nas.supercircuit import SuperCircuit
from qml.training.loop import epoch_generator
from qsim.errors import UsageError

_ATTEMPTS = 20
Ranked: TypeAlias = tuple[Gene, Evaluation]
Rank: TypeAlias = Callable[[Sequence[Evaluation]], Sequence[int]]


@dataclass(frozen=True)
class SearchConfig:
    """Sizes of the search, by default those of QuantumNAS.

    Attributes:
        parents, mutations, crossovers: their sum is the population.
        generations: how many.
        mutation_probability: of every element of a gene.
    """

    parents: int = 10
    mutations: int = 20
    crossovers: int = 10
    generations: int = 40
    mutation_probability: float = 0.4

    def __post_init__(self) -> None:
        counts = (self.parents, self.generations, self.mutations + 1, self.crossovers + 1)
        if min(counts) < 1 or not 0 <= self.mutation_probability <= 1:
            raise UsageError(
                "a search takes one parent or more, no negative sizes and a probability of "
                f"mutation from 0 to 1, not {self}"
            )

    @property
    def population(self) -> int:
        """Genes in a generation."""
        return self.parents + self.mutations + self.crossovers

    @property
    def evaluations(self) -> int:
        """Genes that are evaluated at most: parents are known."""
        return self.population + (self.generations - 1) * (self.mutations + self.crossovers)


class EvolutionarySearch:
    """The search itself, one `step` per generation.

    Args:
        space: the genes.
        evaluations: give the worth of genes.
        config: sizes.
        seed: generation ``g`` draws from the stream of (seed, "search", g).
        first: genes that the first generation contains beside random ones, such as some that are
            `placed_by_qiskit`.
        rank: gives the places of evaluations, best first: by the score, or as
            `qml.nas.pareto.ParetoRank` by several objectives.
    """

    def __init__(
        self,
        space: GeneSpace,
        evaluations: Evaluations,
        config: SearchConfig,
        seed: int,
        *,
        first: Sequence[Gene] = (),
        rank: Rank | None = None,
    ) -> None:
        self.space = space
        self.config = config
        self.seed = seed
        self.history: list[dict[str, float]] = []
        self._evaluations = evaluations
        self._first = list(first)
        self._rank = rank or by_score
        self._ranked: list[Ranked] = []

    @property
    def generation(self) -> int:
        """Number of finished generations."""
        return len(self.history)

    @property
    def best(self) -> Ranked:
        """The best gene so far and its evaluation."""
        return self._ranked[0]

    def run(self) -> Ranked:
        """All generations that are left; returns the best gene and its evaluation."""
        while self.generation < self.config.generations:
            self.step()
        return self.best

    def step(self) -> dict[str, float]:
        """Run one generation; returns its line of the history."""
        population = self._population(epoch_generator(self.seed, "search", self.generation))
        evaluations = self._evaluations(population)
        pairs = list(zip(population, evaluations, strict=True))
        self._ranked = [pairs[place] for place in self._rank(evaluations)]
        _, best = self.best
        self.history.append(
            {
                "generation": self.generation + 1,
                "best": best.score,
                "mean": float(np.mean([evaluation.score for _, evaluation in self._ranked])),
                "loss": best.loss,
                "esp": best.esp,
                "evaluations": len(self._evaluations),
            }
        )
        return self.history[-1]

    def _population(self, rng: np.random.Generator) -> list[Gene]:
        config, space = self.config, self.space
        if not self._ranked:
            population = self._first[: config.population]
            missing = config.population - len(population)
            return extend(space, population, missing, lambda: space.random(rng))
        parents = [gene for gene, _ in self._ranked[: config.parents]]

        def mutation() -> Gene:
            parent = parents[rng.integers(len(parents))]
            return space.mutate(parent, config.mutation_probability, rng)

        def crossover() -> Gene:
            first, second = rng.integers(len(parents), size=2)
            return space.cross(parents[first], parents[second], rng)

        population = extend(space, parents, config.mutations, mutation)
        return extend(space, population, config.crossovers, crossover)


def random_search(
    space: GeneSpace, evaluations: Evaluations, count: int, seed: int
) -> list[Ranked]:
    """As many different random genes, best first: what a search is compared with.

    In a space with fewer genes, some are drawn again.
    """
    rng = epoch_generator(seed, "search/random", 0)
    genes = extend(space, [], count, lambda: space.random(rng))
    found = evaluations(genes)
    return [(genes[place], found[place]) for place in by_score(found)]


def human_designs(supercircuit: SuperCircuit) -> list[Gene]:
    """All gates of the first b blocks, for every b, on qubits that Qiskit chooses.

    They are what QuantumNAS calls human-designed circuits.
    """
    blocks = range(1, supercircuit.space.blocks + 1)
    return [Gene(None, supercircuit.largest(count)) for count in blocks]


def placed_by_qiskit(evaluator: Evaluator, genes: Sequence[Gene]) -> list[Gene]:
    """The same circuits where Qiskit would place them: in good corners of a large device."""
    unplaced = [Gene(None, gene.config) for gene in genes]
    layouts = [evaluator.compiled(gene).initial_layout for gene in unplaced]
    return [Gene(layout, gene.config) for layout, gene in zip(layouts, genes, strict=True)]


def extend(
    space: GeneSpace, population: Sequence[Gene], count: int, draw: Callable[[], Gene]
) -> list[Gene]:
    """Add genes that the population does not hold yet, or after some attempts others."""
    extended = list(population)
    held = {space.key(gene) for gene in extended}
    for _ in range(count):
        for _ in range(_ATTEMPTS):
            gene = draw()
            if space.key(gene) not in held:
                break
        held.add(space.key(gene))
        extended.append(gene)
    return extended


def by_score(evaluations: Sequence[Evaluation]) -> list[int]:
    """Places of the evaluations, smallest score first."""
    # sorted() is stable: among equals the older gene stays ahead.
    return sorted(range(len(evaluations)), key=lambda place: evaluations[place].score)
