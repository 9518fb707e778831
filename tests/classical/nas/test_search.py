"""Searches under limits, and the predictor of accuracy."""

from itertools import product

import numpy as np
import pytest
import torch

from classical.errors import UsageError
from classical.nas import (
    ACCELERATORS,
    Accelerator,
    AccuracyPredictor,
    Gene,
    Limited,
    MobileSpace,
    evolve,
    random_search,
)


def _score(gene: Gene) -> float:
    """Additive, and best for the largest of everything: limits pull against it."""
    return sum(0.1 * value for name, value in gene.items() if name != "width") + gene["width"]


def test_everything_that_is_tried_meets_the_limits(mobile: MobileSpace) -> None:
    limits = {"macs": 60_000, "peak_bytes": 2_500, "flash_bytes": 4_000}
    limited = mobile.under(**limits)
    for found in (random_search(limited, _score, 40), evolve(limited, _score, 12, 3)):
        for gene, score in found.history:
            costs = mobile.costs(gene)
            assert all(getattr(costs, name) <= limit for name, limit in limits.items())
            assert score == _score(gene) <= found.score
        assert found.score == _score(found.gene)


def test_evolution_beats_chance_at_equal_cost(mobile: MobileSpace) -> None:
    limited = mobile.under(macs=80_000)
    for seed in range(3):
        evolved = evolve(limited, _score, 20, 10, seed=seed)
        drawn = random_search(limited, _score, len(evolved.history), seed=seed)
        assert len(evolved.history) == 20 + 10 * 15
        assert evolved.score > drawn.score


def test_searches_repeat_themselves(mobile: MobileSpace) -> None:
    limited = mobile.under(macs=80_000)
    assert evolve(limited, _score, 8, 2, seed=3) == evolve(limited, _score, 8, 2, seed=3)
    assert random_search(limited, _score, 5, 1) != random_search(limited, _score, 5, 2)


def test_loose_limits_leave_genes_alone(mobile: MobileSpace) -> None:
    limited = mobile.under(macs=1e12)
    for seed in range(5):
        drawn, free = (s.sample(np.random.default_rng(seed)) for s in (limited, mobile.space))
        assert drawn == free


def test_limits_that_no_network_meets_are_refused(mobile: MobileSpace) -> None:
    least = mobile.costs(mobile.space.smallest).macs
    with pytest.raises(UsageError, match=f"meets macs <= 10: the smallest has {least:,}, so raise"):
        mobile.under(macs=10)
    assert mobile.under(macs=least).sample(np.random.default_rng(0)) == mobile.space.smallest
    with pytest.raises(UsageError, match="no cost 'ram': limit one of macs, peak_bytes, flash"):
        mobile.under(ram=10)


def test_settings_that_make_no_search_are_refused(mobile: MobileSpace) -> None:
    limited = mobile.under(macs=1e12)
    with pytest.raises(UsageError, match="population of at least 4"):
        evolve(limited, _score, population=3)
    with pytest.raises(UsageError, match="are fractions"):
        evolve(limited, _score, mutation=2)
    with pytest.raises(UsageError, match="at least 1 gene"):
        random_search(limited, _score, 0)


def test_network_and_accelerator_are_searched_together(mobile: MobileSpace) -> None:
    both = mobile.space.opened(["kernel"]) | ACCELERATORS

    def speed(gene: Gene) -> float:
        return -Accelerator.from_gene(gene).run(mobile.plan(gene)).seconds

    found = evolve(Limited(both, Accelerator.from_gene, {"area": 400}), speed, 20, 10)
    small = {**mobile.space.largest, **{n: 3 for n in mobile.space.choices if "kernel" in n}}
    chips = [Accelerator(*sizes) for sizes in product(*ACCELERATORS.choices.values())]
    fitting = [chip for chip in chips if chip.area <= 400]
    assert Accelerator.from_gene(found.gene) in fitting
    best = min(chip.run(mobile.plan(small)).seconds for chip in fitting)
    assert -found.score == pytest.approx(best)
    assert best < max(chip.run(mobile.plan(small)).seconds for chip in fitting) / 1.5


def test_a_predictor_ranks_genes_it_has_not_seen(mobile: MobileSpace) -> None:
    rng = np.random.default_rng(0)
    genes = [mobile.space.sample(rng) for _ in range(250)]
    predictor = AccuracyPredictor(mobile.space, width=64)
    scores = [_score(gene) for gene in genes]
    assert predictor.fit(genes[:200], scores[:200]) < 0.05
    predicted = [predictor.predict(gene) for gene in genes[200:]]
    ranks = torch.tensor([predicted, scores[200:]]).argsort(1).argsort(1).double()
    assert torch.corrcoef(ranks)[0, 1] > 0.9
    assert abs(np.mean(predicted) - np.mean(scores)) < 0.2


def test_a_predictor_refuses_what_it_cannot_learn_from(mobile: MobileSpace) -> None:
    predictor = AccuracyPredictor(mobile.space, width=8)
    with pytest.raises(UsageError, match="not from 1 genes and 1 scores"):
        predictor.fit([mobile.space.smallest], [1.0])
    with pytest.raises(UsageError, match="does not say 'resolution'"):
        predictor.predict({})
