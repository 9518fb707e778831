"""The co-search: genes stay valid, and a resumed search repeats an unbroken one."""

import json
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from compile import Device, compile
from qml.data.tasks import Split
from qml.job.presets import PRESETS, Preset, load_preset
from qml.nas.genes import Gene, GeneSpace
from qml.nas.scoring import READING_ERROR, Evaluation, SubCircuitScore, surviving_signals
from qml.nas.search import EvolutionarySearch
from qml.nas.spaces import U3CU3
from qml.nas.supercircuit import SubConfig, SuperCircuit
from qml.nn.encoders import rotation_encoder
from qml.nn.model import Classifier
from qml.training.loop import TrainConfig
from qsim import Circuit, expval
from qsim.errors import UsageError

SUPER = SuperCircuit(replace(U3CU3, blocks=3), 4, rotation_encoder(Circuit(4), range(16)))
# Two lines of six and of three qubits: only the first has room for four.
DEVICE = SimpleNamespace(
    name="toy", num_qubits=9, edges=[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (6, 7), (7, 8)]
)
SIZES = replace(PRESETS["tiny"], parents=4, mutations=6, crossovers=4)


@pytest.fixture
def space() -> GeneSpace:
    return GeneSpace(SUPER, DEVICE)


def is_valid(gene: Gene) -> bool:
    SUPER.subcircuit(gene.config)  # refuses choices outside the space
    return len(gene.layout) == 4 == len(set(gene.layout)) and set(gene.layout) <= set(range(6))


def is_connected(layout: tuple[int, ...]) -> bool:
    return max(layout) - min(layout) == len(layout) - 1  # on a line


def few_gates_on_low_qubits(gene: Gene) -> Evaluation:
    """A score with one best gene: the smallest circuit on qubits 0, 1, 2, 3 in this order."""
    used = 2 * gene.config.blocks
    score = sum(gene.config.widths[:used]) + sum(abs(q - i) for i, q in enumerate(gene.layout))
    return Evaluation(float(score), 0.5, 0.25)


def search(space: GeneSpace, evaluate=few_gates_on_low_qubits, seed=3, **options):
    return EvolutionarySearch(space, evaluate, SIZES, seed, **options)


def test_genes_stay_on_the_device_and_in_the_design_space(space: GeneSpace) -> None:
    rng = np.random.default_rng(0)
    genes = [space.random(rng) for _ in range(50)]
    assert all(is_valid(gene) and is_connected(gene.layout) for gene in genes)
    mutants = [space.mutate(gene, 0.4, rng) for gene in genes]
    assert all(map(is_valid, mutants))
    assert all(is_valid(space.cross(a, b, rng)) for a, b in zip(genes, mutants, strict=True))
    crossed = [space.cross(a, b, rng) for a, b in pairwise(genes)]
    assert all(is_connected(gene.layout) for gene in crossed)


def test_mutation_follows_its_probability(space: GeneSpace) -> None:
    rng = np.random.default_rng(1)
    gene = space.random(rng)
    assert space.mutate(gene, 0.0, rng) == gene
    mutants = [space.mutate(gene, 1.0, rng) for _ in range(30)]
    assert len({mutant.layout for mutant in mutants}) > 3
    assert len({mutant.config for mutant in mutants}) > 25


def test_crossover_takes_every_element_from_a_parent(space: GeneSpace) -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        first, second = space.random(rng), space.random(rng)
        child = space.cross(first, second, rng)
        choices = zip(
            child.config.choices, first.config.choices, second.config.choices, strict=True
        )
        assert all(choice in parents for choice, *parents in choices)
        assert set(child.layout) <= {*first.layout, *second.layout}


def test_crossover_does_not_tear_a_mapping_apart() -> None:
    far = SimpleNamespace(
        name="two", num_qubits=8, edges=[(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7)]
    )
    space = GeneSpace(SUPER, far)
    config = SUPER.largest()
    low, high = Gene((0, 1, 2, 3), config), Gene((4, 5, 6, 7), config)
    rng = np.random.default_rng(3)
    children = {space.cross(low, high, rng).layout for _ in range(30)}
    assert children == {low.layout, high.layout}


def test_unused_widths_do_not_tell_genes_apart(space: GeneSpace) -> None:
    first = Gene((0, 1, 2, 3), SubConfig((1, 2, 3, 4, 1, 1), 1))
    second = Gene((0, 1, 2, 3), SubConfig((1, 2, 4, 4, 2, 2), 1))
    assert space.key(first) == space.key(second) != first
    assert space.key(Gene((1, 0, 2, 3), first.config)) != space.key(first)


def test_a_device_without_room_is_refused() -> None:
    small = SimpleNamespace(name="small", num_qubits=5, edges=[(0, 1), (1, 2), (3, 4)])
    with pytest.raises(UsageError, match=r"needs 4 connected qubits.*small has 5"):
        GeneSpace(SUPER, small)


def test_the_search_finds_the_best_gene(space: GeneSpace) -> None:
    found = search(space)
    for _ in range(40):
        found.step()
    gene, evaluation = found.best
    assert evaluation.score == 2
    assert gene.layout == (0, 1, 2, 3)
    best = [line["best"] for line in found.history]
    assert best == sorted(best, reverse=True)
    assert all(line["best"] <= line["mean"] for line in found.history)


def test_a_resumed_search_equals_an_unbroken_one(space: GeneSpace) -> None:
    unbroken = search(space)
    for _ in range(6):
        unbroken.step()
    resumed = search(space)
    for _ in range(6):
        resumed.step()
        resumed = search(space, state=json.loads(json.dumps(resumed.state())))
    assert resumed.state() == unbroken.state()


def test_the_seed_decides(space: GeneSpace) -> None:
    searches = [search(space, seed=seed) for seed in (0, 0, 1)]
    for each in searches:
        each.step()
    first, again, other = (each.state() for each in searches)
    assert first == again != other


def test_every_distinct_gene_is_evaluated_once(space: GeneSpace) -> None:
    seen = []

    def count(gene: Gene) -> Evaluation:
        seen.append(gene)
        return few_gates_on_low_qubits(gene)

    found = search(space, count)
    lines = [found.step() for _ in range(5)]
    assert len(seen) == len(set(seen)) == lines[-1]["evaluations"]
    assert len(seen) <= 14 + 4 * 10  # parents are known
    assert found.generation == 5


def test_given_genes_take_part(space: GeneSpace) -> None:
    best = Gene((0, 1, 2, 3), SubConfig((1,) * 6, 1))
    found = search(space, first=[best])
    found.step()
    assert found.best[0] == best


def scores(tuning_epochs: int) -> SubCircuitScore:
    model = Classifier(SUPER.full(), 4, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    x, y = 3 * torch.rand(24, 16, generator=generator), torch.arange(24) % 4
    tuning = TrainConfig(tuning_epochs, lr=0.1, batch_size=12) if tuning_epochs else None
    device = Device.from_name("quito")
    return SubCircuitScore(SUPER, model, Split(x, y), Split(x, y), device, tuning, 5)


SMALL = SubConfig((4, 3, 2, 1, 1, 1), 2)


def test_a_score_is_the_loss_of_noisy_readings() -> None:
    score = scores(0)
    gene = Gene((0, 1, 3, 4), SMALL)
    weights = score.model.weights.detach()
    circuit = SUPER.subcircuit(gene.config)
    compiled = compile(circuit.bind(weights=weights), score.device, layout=gene.layout, seed=5)
    ideal = expval(circuit, weights=weights, inputs=score.valid.x)

    def loss(readings: torch.Tensor) -> float:
        return cross_entropy(score.model.logits(readings), score.valid.y).item()

    found = score(gene)
    assert found.esp == compiled.esp
    assert found.loss == pytest.approx(loss(ideal), rel=1e-5)
    generator = torch.Generator().manual_seed(0)
    signals = torch.tensor(surviving_signals(compiled, score.device))
    draws = [READING_ERROR * torch.randn(24, 4, generator=generator) for _ in range(500)]
    expected = [loss((signals * ideal + draw) / signals.mean()) for draw in draws]
    spread = np.std(expected) / np.sqrt(8)  # the score is a mean of eight
    assert found.score == pytest.approx(np.mean(expected), abs=5 * spread)


def test_signals_survive_the_gates_of_their_light_cone() -> None:
    device = Device.from_name("quito")
    circuit = Circuit(4).sx(0).cx(0, 1).sx(1).sx(2).cx(2, 1).sx(1)
    compiled = compile(circuit, device, layout=(0, 1, 2, 4), level=0)
    one, two, readout = device.one_qubit_error, device.two_qubit_error, device.readout_error
    first = (1 - one(0)) * (1 - two(0, 1))
    second = first * (1 - one(1)) * (1 - one(2)) * (1 - two(1, 2))
    expected = [first, second * (1 - one(1)), second, 1.0]
    assert surviving_signals(compiled, device) == pytest.approx(
        [p * (1 - 2 * readout(q)) for p, q in zip(expected, (0, 1, 2, 4), strict=True)]
    )


def test_a_mapping_with_more_errors_scores_worse() -> None:
    score = scores(0)
    good, bad = score(Gene((0, 1, 3, 4), SMALL)), score(Gene((2, 4, 0, 3), SMALL))
    assert good.loss == bad.loss
    assert good.esp > bad.esp
    assert good.score < bad.score


def test_tuning_lowers_the_loss_and_does_not_depend_on_the_order() -> None:
    genes = [Gene((0, 1, 3, 4), SMALL), Gene((0, 1, 3, 4), SUPER.largest())]
    plain, forth, back = scores(0), scores(20), scores(20)
    tuned = [forth(gene) for gene in genes]
    assert [back(gene) for gene in reversed(genes)] == tuned[::-1]
    for gene, evaluation in zip(genes, tuned, strict=True):
        assert evaluation.loss < plain(gene).loss


def test_the_paper_preset_has_the_sizes_of_the_paper() -> None:
    paper = load_preset("paper")
    assert (paper.parents, paper.mutations, paper.crossovers) == (10, 20, 10)
    assert (paper.population, paper.generations, paper.mutation_probability) == (40, 40, 0.4)
    assert (paper.blocks, paper.super_epochs, paper.epochs) == (8, 200, 200)
    assert isinstance(paper, Preset)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown preset 'huge': choose one of default, paper"):
        load_preset("huge")
