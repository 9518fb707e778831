"""The choice of a search space, against all of its networks."""

import dataclasses
from itertools import product
from statistics import fmean

import pytest

from classical.errors import UsageError
from classical.nas import MobileSpace, Stage, evolve
from classical.tiny import TARGETS, SpaceChoice, Target, choose_space, space_family

F746 = TARGETS["STM32F746"]


@pytest.fixture(scope="module")
def mobile() -> MobileSpace:
    return MobileSpace(
        (Stage(24), Stage(48), Stage(96)),
        resolutions=(96,),
        kernels=(3, 5),
        expansions=(3, 6),
        stem_stride=2,
        in_channels=3,
    )


@pytest.fixture(scope="module")
def choice(mobile: MobileSpace) -> SpaceChoice:
    family = space_family(mobile, (0.35, 0.75, 1.5), (64, 128, 192))
    return choose_space(family, F746, networks=300)


def _all_macs(space: MobileSpace) -> list[int]:
    """Of all networks that fit, each as often as its gene is drawn."""
    choices = space.space.choices
    genes = (dict(zip(choices, options, strict=True)) for options in product(*choices.values()))
    costs = [space.costs(space.space.canonical(gene)) for gene in genes]
    return [
        cost.macs
        for cost in costs
        if cost.peak_bytes <= F746.sram_bytes and cost.flash_bytes <= F746.flash_bytes
    ]


def test_samples_have_the_mean_of_all_networks(mobile: MobileSpace) -> None:
    small = dataclasses.replace(mobile, stages=mobile.stages[:2])
    family = space_family(small, (0.5, 1.0), (128, 160))
    choice = choose_space(family, F746, networks=2000)
    exact = [_all_macs(space) for space in family]
    for sample, macs in zip(choice.samples, exact, strict=True):
        assert bool(sample.macs) == bool(macs)
        if macs:
            assert sample.mean_macs == pytest.approx(fmean(macs), rel=0.05)
    means = [fmean(macs) if macs else 0 for macs in exact]
    assert choice.best is choice.samples[means.index(max(means))]


def test_the_best_space_is_searched_within_the_limits(choice: SpaceChoice) -> None:
    best = choice.best.space
    found = evolve(choice.limited, lambda gene: best.costs(gene).macs, population=8, generations=4)
    costs = best.costs(found.gene)
    assert costs.peak_bytes <= F746.sram_bytes
    assert costs.flash_bytes <= F746.flash_bytes
    assert costs.macs > choice.best.mean_macs


def test_table_and_plot_name_all_spaces(choice: SpaceChoice) -> None:
    lines = str(choice).splitlines()
    assert len(lines) == 1 + len(choice.samples)
    assert [line for line in lines if "best" in line] == [
        lines[1 + choice.samples.index(choice.best)]
    ]
    assert "0.0%" in str(choice)
    pytest.importorskip("matplotlib")
    axis = choice.plot().axes[0]
    curves = {line.get_label(): line.get_xydata() for line in axis.get_lines()}
    assert curves.keys() == {sample.name for sample in choice.samples if sample.macs}
    assert curves[choice.best.name][-1].tolist() == [choice.best.macs[-1] / 1e6, 1.0]


def test_the_smallest_network_counts_where_draws_miss_it(mobile: MobileSpace) -> None:
    least = mobile.costs(mobile.space.smallest)
    tight = Target("tight", "", None, least.flash_bytes, least.peak_bytes, "")
    (space,) = space_family(mobile, (mobile.widths[0],), mobile.resolutions)
    assert choose_space([space], tight, networks=3).best.macs[0] == least.macs


def test_where_nothing_fits_says_how_many_bytes_and_where(mobile: MobileSpace) -> None:
    (space,) = family = space_family(mobile, (1.0,), (96,))
    tiny = Target("tiny", "", None, 1000, 2000, "")
    costs = space.costs(space.space.smallest)
    with pytest.raises(UsageError) as error:
        choose_space(family, tiny, networks=5)
    sentence = str(error.value)
    assert f"{costs.peak_bytes - 2000:,} bytes over in SRAM, at layer 2 of 13" in sentence
    assert "convolution 1x1 from 16 channels of 48x48 to 48 of 48x48" in sentence
    assert f"{costs.flash_bytes - 1000:,} bytes over in flash" in sentence
    with pytest.raises(UsageError, match="not of 0 spaces by 9"):
        choose_space((), F746, networks=9)


def test_a_host_has_no_limits(mobile: MobileSpace) -> None:
    choice = choose_space(space_family(mobile, (1.0,), (96, 224)), TARGETS["host"], networks=20)
    assert all(len(sample.macs) == 20 for sample in choice.samples)
