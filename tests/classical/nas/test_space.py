"""Genes: drawing, changing, crossing, encoding, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classical.errors import UsageError
from classical.nas import MobileSpace, Space, Stage

SPACE = Space({"kernel.0": (3, 5, 7), "width": (0.5, 1.0), "depth": (1, 2, 3)})
MOBILE = MobileSpace((Stage(8, (1, 2)), Stage(16, (1, 3))), resolutions=(6, 8))


@given(seed=st.integers(0, 10**6), probability=st.floats(0, 1))
def test_every_gene_is_of_the_space(seed: int, probability: float) -> None:
    rng = np.random.default_rng(seed)
    space = MOBILE.space
    first, second = space.sample(rng), space.sample(rng)
    for gene in (
        first,
        space.mutate(first, probability, rng),
        space.cross(first, second, rng),
        space.larger(first).sample(rng),
        space.opened(["kernel"]).sample(rng),
    ):
        assert space.canonical(gene) == gene
        assert list(gene) == list(space.choices)
        assert int(space.encode(gene).sum()) == len(space.choices)


def test_mutation_and_crossover_do_what_they_say() -> None:
    rng = np.random.default_rng(0)
    first, second = SPACE.smallest, SPACE.largest
    assert SPACE.mutate(first, 0, rng) == first
    drawn = [SPACE.mutate(first, 1, rng)["kernel.0"] for _ in range(300)]
    assert {k: 60 < drawn.count(k) < 140 for k in (3, 5, 7)} == dict.fromkeys((3, 5, 7), True)
    children = [SPACE.cross(first, second, rng) for _ in range(50)]
    assert {child["kernel.0"] for child in children} == {3, 7}
    assert {tuple(child.values()) for child in children} == {
        (k, w, d) for k in (3, 7) for w in (0.5, 1.0) for d in (1, 3)
    }


def test_the_encoding_is_one_hot() -> None:
    code = SPACE.encode({"kernel.0": 5, "width": 1.0, "depth": 1})
    assert torch.equal(code, torch.tensor([0.0, 1, 0, 0, 1, 1, 0, 0]))


def test_choices_of_blocks_that_are_left_out_make_no_difference() -> None:
    gene = {**MOBILE.space.largest, "depth.1": 1}
    other = {**gene, "kernel.1.2": 3, "expansion.1.1": 3}
    assert MOBILE.space.canonical(gene) == MOBILE.space.canonical(other)
    assert MOBILE.space.canonical(gene)["kernel.1.2"] == 3
    assert MOBILE.plan(gene) == MOBILE.plan(other)


def test_opened_kinds_are_free_and_larger_options_alone() -> None:
    rng = np.random.default_rng(0)
    kernels = SPACE.opened(["kernel"])
    assert kernels.size == 3
    assert all(kernels.sample(rng)["depth"] == 3 for _ in range(10))
    larger = SPACE.larger({"kernel.0": 5, "width": 1.0, "depth": 2})
    assert larger.choices == {"kernel.0": (5, 7), "width": (1.0,), "depth": (2, 3)}


def test_two_spaces_make_one() -> None:
    both = MOBILE.space | Space({"rows": (4, 8)})
    gene = {**both.largest, "depth.1": 1}
    assert both.size == 2 * MOBILE.space.size
    assert both.canonical(gene)["kernel.1.2"] == 3
    assert MOBILE.space.part(gene) == MOBILE.space.canonical(
        {name: gene[name] for name in MOBILE.space.choices}
    )
    with pytest.raises(UsageError, match="both spaces have a choice 'depth'"):
        SPACE | SPACE


def test_genes_that_do_not_fit_are_refused() -> None:
    gene = SPACE.smallest
    with pytest.raises(UsageError, match=r"no choice 'heads': it has kernel\.0, width, depth"):
        SPACE.canonical({**gene, "heads": 2})
    with pytest.raises(UsageError, match=r"kernel\.0 cannot be 4: choose one of \(3, 5, 7\)"):
        SPACE.canonical({**gene, "kernel.0": 4})
    with pytest.raises(UsageError, match="the gene does not say 'depth'"):
        SPACE.canonical({"kernel.0": 3, "width": 1.0})
    with pytest.raises(UsageError, match="at least one option, and 'a' has none"):
        Space({"a": ()})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kernels": (3, 4)}, "kernels are odd"),
        ({"kernels": (5, 3)}, "from the smallest option up"),
        ({"expansions": (1, 2)}, "expansions at least 2"),
        ({"stages": ()}, "at least one stage"),
        ({"stages": (Stage(8, (0, 1)),)}, "options are positive"),
        ({"resolutions": ()}, "from the smallest option up"),
    ],
)
def test_spaces_that_make_no_networks_are_refused(options: dict, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        MobileSpace(**{"stages": (Stage(8),), "resolutions": (8,), **options})
