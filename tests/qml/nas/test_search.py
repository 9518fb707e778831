"""The co-search: it finds the best genes, from the seed and the evaluations alone."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from compile import Device
from qml.data.tasks import Split
from qml.nas.estimators import ExactNoise
from qml.nas.evaluation import Evaluation, Evaluator, Inherited, Tuned
from qml.nas.evaluations import EvaluationLog, Evaluations
from qml.nas.genes import Gene, GeneSpace
from qml.nas.objectives import Energy
from qml.nas.search import EvolutionarySearch, SearchConfig, human_designs, random_search
from qml.nas.spaces import U3CU3, find_space
from qml.nas.supercircuit import Shrinking, SubConfig, SuperCircuit
from qml.nn.model import QuantumLayer
from qml.pools import OneProcess
from qml.training.loop import TrainConfig, fit
from qsim import PauliSum
from qsim.errors import UsageError

SUPER = SuperCircuit(replace(U3CU3, blocks=3), 4)
# Two lines of six and of three qubits: only the first has room for four.
DEVICE = SimpleNamespace(
    name="toy", num_qubits=9, edges=[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (6, 7), (7, 8)]
)
SPACE = GeneSpace(SUPER, DEVICE)
SIZES = SearchConfig(parents=4, mutations=6, crossovers=4, generations=6)
ABOUT = {"seed": 0}


def few_gates_on_low_qubits(gene: Gene) -> Evaluation:
    """A score with one best gene: the smallest circuit on qubits 0, 1, 2, 3 in this order."""
    used = 2 * gene.config.blocks
    score = sum(gene.config.layers[:used]) + sum(abs(q - i) for i, q in enumerate(gene.layout))
    return Evaluation(float(score), 0.5, None, 0.25, used, score)


class Counting(OneProcess):
    """Remembers what it evaluates, and stops after so many."""

    def __init__(self, last: int = 10**9) -> None:
        super().__init__(self.evaluate)
        self.seen: list[Gene] = []
        self.last = last

    def evaluate(self, gene: Gene) -> Evaluation:
        if len(self.seen) == self.last:
            raise KeyboardInterrupt
        self.seen.append(gene)
        return few_gates_on_low_qubits(gene)


def search(pool=None, seed=3, sizes=SIZES, log=None, **options) -> EvolutionarySearch:
    evaluations = Evaluations(SPACE, pool or Counting(), log=log)
    return EvolutionarySearch(SPACE, evaluations, sizes, seed, **options)


def test_the_search_finds_the_best_gene() -> None:
    found = search(sizes=replace(SIZES, generations=40))
    gene, evaluation = found.run()
    assert found.generation == 40
    assert evaluation.score == 2
    assert gene.layout == (0, 1, 2, 3)
    best = [line["best"] for line in found.history]
    assert best == sorted(best, reverse=True)
    assert all(line["best"] <= line["mean"] for line in found.history)


@pytest.mark.parametrize("stopped_after", [0, 5, 14, 23, 40])
def test_a_resumed_search_equals_an_unbroken_one(tmp_path, stopped_after) -> None:
    unbroken = Counting()
    whole = search(unbroken)
    whole.run()
    path = tmp_path / "evaluations.jsonl"
    first, second = Counting(stopped_after), Counting()
    with pytest.raises(KeyboardInterrupt):
        search(first, log=EvaluationLog(path, ABOUT)).run()
    resumed = search(second, log=EvaluationLog(path, ABOUT))
    assert resumed.run() == whole.best
    assert resumed.history == whole.history
    assert first.seen + second.seen == unbroken.seen  # nothing twice, nothing lost


def test_the_seed_decides() -> None:
    first, again, other = (search(seed=seed) for seed in (0, 0, 1))
    for each in (first, again, other):
        each.run()
    assert first.history == again.history != other.history


def test_every_distinct_gene_is_evaluated_once() -> None:
    pool = Counting()
    found = search(pool)
    found.run()
    assert len(pool.seen) == len(set(pool.seen)) == found.history[-1]["evaluations"]
    assert len(pool.seen) <= 14 + 5 * 10  # parents are known


def test_given_genes_take_part() -> None:
    best = Gene((0, 1, 2, 3), SubConfig((1,) * 6, 1))
    found = search(first=[best])
    found.step()
    assert found.best[0] == best


def test_random_search_draws_as_many_different_genes() -> None:
    pool = Counting()
    found = random_search(SPACE, Evaluations(SPACE, pool), 50, seed=1)
    assert len(found) == len(set(pool.seen)) == 50
    scores = [evaluation.score for _, evaluation in found]
    assert scores == sorted(scores)
    assert [few_gates_on_low_qubits(gene) for gene, _ in found] == [e for _, e in found]


def test_human_designs_have_all_gates_of_their_blocks() -> None:
    designs = human_designs(SUPER)
    assert [SUPER.dense(gene.config)[0].count_ops() for gene in designs] == [
        {"u3": 4 * blocks, "cu3": 4 * blocks} for blocks in (1, 2, 3)
    ]
    assert {gene.layout for gene in designs} == {None}


def test_the_sizes_of_the_paper() -> None:
    paper = SearchConfig()
    assert (paper.parents, paper.mutations, paper.crossovers) == (10, 20, 10)
    assert (paper.population, paper.generations, paper.mutation_probability) == (40, 40, 0.4)


@pytest.mark.parametrize(
    "wrong", [{"parents": 0}, {"mutations": -1}, {"mutation_probability": 1.5}, {"generations": 0}]
)
def test_sizes_that_do_not_fit(wrong) -> None:
    with pytest.raises(UsageError, match="a search takes one parent or more"):
        SearchConfig(**wrong)


@pytest.mark.parametrize("keep", ["front", "any"])
def test_energies_are_searched_like_classes(keep) -> None:
    # Transverse-field Ising chain of two qubits, -ZZ - XI - IX: the lowest energy is -sqrt(5).
    hamiltonian = PauliSum(["ZZ", "XI", "IX"], [-1.0, -1.0, -1.0])
    ansatz = SuperCircuit(replace(find_space("rxyz"), blocks=2, keep=keep), 2)
    quito = Device.from_name("quito")
    model = QuantumLayer(ansatz.full(), [hamiltonian], generator=torch.Generator().manual_seed(0))
    steps = Split(torch.zeros(60, 0), torch.zeros(60))  # no inputs, no targets
    schedule = {"config": TrainConfig(1, 0.1, 1), "seed": 0, "loss": mean_energy}
    sampler = ansatz.sampler(shrinking=Shrinking(60, stages=5))
    fit(model, steps, steps, sampler=sampler, **schedule)
    circuits = Tuned(Inherited(ansatz, model.weights), model, steps, steps, **schedule)
    evaluate = Evaluator(circuits, Energy(hamiltonian), quito, ExactNoise())
    space = GeneSpace(ansatz, quito)
    evaluations = Evaluations(space, OneProcess(evaluate))
    sizes = SearchConfig(parents=2, mutations=4, crossovers=2, generations=3)
    _, found = EvolutionarySearch(space, evaluations, sizes, seed=0).run()
    assert found.loss == pytest.approx(-(5**0.5), abs=0.05)
    assert found.loss < found.score < -1.9


def mean_energy(outputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return outputs.mean()
