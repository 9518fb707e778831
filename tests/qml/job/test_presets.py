"""Sizes of the main job by name."""

import pytest

from qml.job.presets import Preset, load_preset
from qsim.errors import UsageError


def test_the_paper_preset_has_the_sizes_of_the_paper() -> None:
    paper = load_preset("paper")
    assert (paper.parents, paper.mutations, paper.crossovers) == (10, 20, 10)
    assert (paper.population, paper.generations, paper.mutation_probability) == (40, 40, 0.4)
    assert (paper.blocks, paper.super_epochs, paper.epochs) == (None, 200, 200)
    assert isinstance(paper, Preset)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown preset 'huge': choose one of default, paper"):
        load_preset("huge")
