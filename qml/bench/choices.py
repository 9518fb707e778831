"""How cells of any task choose circuits: by search, by size."""

from __future__ import annotations

from collections.abc import Sequence

from qml.nas.estimators import Candidate, Estimate
from qml.nas.evaluation import Evaluator
from qml.nas.evaluations import Evaluations
from qml.nas.genes import Gene, GeneSpace
from qml.nas.search import EvolutionarySearch, Ranked, SearchConfig, by_score
from qml.nas.supercircuit import SubConfig, SuperCircuit
from qml.pools import OneProcess


def noise_free(candidate: Candidate) -> Estimate:
    """The score of a search that knows nothing of noise."""
    return Estimate(candidate.loss)


def searched(
    space: GeneSpace,
    inherited: Evaluator,
    trained: Evaluator,
    config: SearchConfig,
    seed: int,
    count: int,
) -> Gene:
    """The best gene of an evolutionary search: see `final`.

    Args:
        space: the genes.
        inherited, trained: score genes with inherited weights, and after training.
        config: sizes of the search.
        seed: of the search.
        count: circuits that are trained.
    """
    evaluations = Evaluations(space, OneProcess(inherited))
    EvolutionarySearch(space, evaluations, config, seed).run()
    return final(space, trained, evaluations.found, count)


def final(space: GeneSpace, trained: Evaluator, found: Sequence[Ranked], count: int) -> Gene:
    """The best of the best genes, one for each circuit, after they are trained further.

    Inherited weights are those of many circuits, which says less of the best few.
    """
    leading: dict[SubConfig, Gene] = {}
    for gene, _ in sorted(found, key=lambda pair: pair[1].score):
        leading.setdefault(gene.config, gene)
    genes = list(leading.values())[:count]
    scores = Evaluations(space, OneProcess(trained))(genes)
    return genes[by_score(scores)[0]]


def nearest_size(supercircuit: SuperCircuit, genes: Sequence[Gene], wanted: int) -> Gene:
    """The gene whose circuit has about that many angles."""

    def distance(gene: Gene) -> int:
        return abs(supercircuit.dense(gene.config)[0].num_weights - wanted)

    return min(genes, key=distance)
