"""Genes: they stay on the device and in the design space."""

import json
from dataclasses import replace
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from qml.nas.genes import Gene, GeneSpace
from qml.nas.spaces import U3CU3
from qml.nas.supercircuit import SubConfig, SuperCircuit
from qsim.errors import UsageError

# Two lines of six and of three qubits: only the first has room for four.
DEVICE = SimpleNamespace(
    name="toy", num_qubits=9, edges=[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (6, 7), (7, 8)]
)
FRONT, ANY = (SuperCircuit(replace(U3CU3, blocks=3, keep=keep), 4) for keep in ("front", "any"))
SUPER = FRONT


@pytest.fixture(params=[FRONT, ANY], ids=["front", "any"])
def space(request) -> GeneSpace:
    return GeneSpace(request.param, DEVICE)


def is_valid(gene: Gene, supercircuit: SuperCircuit) -> bool:
    supercircuit.subcircuit(gene.config)  # refuses choices outside the space
    return len(gene.layout) == 4 == len(set(gene.layout)) and set(gene.layout) <= set(range(6))


def is_connected(layout: tuple[int, ...]) -> bool:
    return max(layout) - min(layout) == len(layout) - 1  # on a line


def test_genes_stay_on_the_device_and_in_the_design_space(space: GeneSpace) -> None:
    rng = np.random.default_rng(0)
    genes = [space.random(rng) for _ in range(50)]
    valid = partial(is_valid, supercircuit=space.supercircuit)
    assert all(valid(gene) and is_connected(gene.layout) for gene in genes)
    mutants = [space.mutate(gene, 0.4, rng) for gene in genes]
    assert all(map(valid, mutants))
    assert all(valid(space.cross(a, b, rng)) for a, b in zip(genes, mutants, strict=True))
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


def test_unused_layers_do_not_tell_genes_apart() -> None:
    space = GeneSpace(FRONT, DEVICE)
    first = Gene((0, 1, 2, 3), SubConfig((1, 2, 3, 4, 1, 1), 1))
    second = Gene((0, 1, 2, 3), SubConfig((1, 2, 4, 4, 2, 2), 1))
    assert space.key(first) == space.key(second) != first
    assert space.key(Gene((1, 0, 2, 3), first.config)) != space.key(first)


def test_a_device_without_room_is_refused() -> None:
    small = SimpleNamespace(name="small", num_qubits=5, edges=[(0, 1), (1, 2), (3, 4)])
    with pytest.raises(UsageError, match=r"needs 4 connected qubits.*small has 5"):
        GeneSpace(SUPER, small)


def test_without_a_mapping_qiskit_chooses_it() -> None:
    space, rng = GeneSpace(SUPER, DEVICE, mapping=False), np.random.default_rng(4)
    first, second = space.random(rng), space.random(rng)
    mutant, child = space.mutate(first, 0.5, rng), space.cross(first, second, rng)
    assert {gene.layout for gene in (first, second, mutant, child)} == {None}
    assert len({gene.config for gene in (first, second, mutant, child)}) == 4


@pytest.mark.parametrize("mapping", [True, False])
def test_genes_survive_json(mapping) -> None:
    gene = GeneSpace(ANY, DEVICE, mapping=mapping).random(np.random.default_rng(5))
    assert Gene.from_json(json.loads(json.dumps(gene.to_json()))) == gene
