"""Criteria for ranges: against formulas, and each best at what it minimizes."""

import math

import pytest
import torch

from classical.errors import UsageError
from classical.quantization import ACIQ, KL, MSE, MinMax, Percentile, Scheme, fit
from classical.quantization.calibration import Calibration, fit_activations

CRITERIA = [MinMax(), Percentile(), MSE(), KL(), ACIQ(), ACIQ("gauss")]


def _laplace(n: int = 20_000) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.distributions.Laplace(0.0, 1.0).sample((n,))


def _error(x: torch.Tensor, calibration: Calibration, bits: int = 4) -> float:
    return float((fit(x, Scheme(bits), calibration).round(x) - x).square().mean())


def test_min_max_and_percentile_by_hand() -> None:
    x = torch.arange(101.0)[None] - 20
    assert [float(v) for v in MinMax()(x, Scheme())] == [-20, 80]
    assert [float(v) for v in Percentile(90)(x, Scheme())] == [-10, 70]


@pytest.mark.parametrize(("bits", "cut"), [(2, 2.83), (3, 3.89), (4, 5.03)])
def test_aciq_cuts_laplace_where_the_paper_does(bits: int, cut: float) -> None:
    x = _laplace()[None]
    low, high = ACIQ()(x, Scheme(bits))
    width = float((x - x.mean()).abs().mean())
    assert float(high - x.mean()) == pytest.approx(cut * width, rel=0.01)
    assert float(x.mean() - low) == pytest.approx(cut * width, rel=0.01)


@pytest.mark.parametrize(("bits", "cut"), [(2, 1.71), (3, 2.15), (4, 2.55)])
def test_aciq_cuts_gauss_where_the_paper_does(bits: int, cut: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 20_000)
    _, high = ACIQ("gauss")(x, Scheme(bits))
    assert float(high - x.mean()) == pytest.approx(cut * float(x.std()), rel=0.01)


def test_aciq_takes_the_values_of_relu_for_half_a_density() -> None:
    x = _laplace().relu()[None]
    low, high = ACIQ()(x, Scheme(4, symmetric=False))
    assert float(low) == 0
    assert float(high) == pytest.approx(6.20, rel=0.03)  # that of 5 bits, for all of it


def test_cutting_beats_keeping_outliers() -> None:
    x = torch.cat([_laplace(), torch.tensor([40.0])])
    keeping = _error(x, MinMax())
    for criterion in CRITERIA[1:]:
        assert _error(x, criterion) < keeping / 5
    assert _error(x, MSE()) <= min(_error(x, criterion) for criterion in CRITERIA) * 1.001


def test_kl_keeps_what_fits_and_cuts_an_outlier() -> None:
    levels = torch.linspace(0, 1, 2048).repeat(4)
    assert fit(levels, Scheme(8), KL()).scale == pytest.approx(1 / 127, rel=0.01)
    x = torch.cat([_laplace(), torch.tensor([1000.0])])
    assert float(fit(x, Scheme(8), KL()).scale) < 100 / 127


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("symmetric", [True, False])
def test_ranges_lie_within_the_data_and_blocks_are_apart(
    criterion: Calibration, symmetric: bool
) -> None:
    torch.manual_seed(1)
    x = torch.stack([torch.randn(500), 100 * torch.randn(500).relu(), torch.zeros(500)])
    low, high = criterion(x, Scheme(4, symmetric, per="channel"))
    assert bool((low >= x.amin(1)).all())
    assert bool((high <= x.amax(1)).all())
    assert float(high[1]) > 10 * float(high[0]) > 0 == float(high[2])


@pytest.mark.parametrize("criterion", CRITERIA)
def test_useless_data_are_refused(criterion: Calibration) -> None:
    with pytest.raises(UsageError, match=r"nothing to calibrate on: the data have shape \[0, 3\]"):
        fit(torch.zeros(0, 3), Scheme(), criterion)
    with pytest.raises(UsageError, match="a value that is not finite"):
        fit(torch.tensor([1.0, math.nan]), Scheme(), criterion)
    with pytest.raises(UsageError, match="the values of 'relu' are all 0 on the calibration data"):
        fit_activations(torch.zeros(5), Scheme(), criterion, "'relu'")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="above 50 and up to 100, not at 101"):
        Percentile(101)
    with pytest.raises(UsageError, match="one of laplace, gauss, not 'cauchy'"):
        ACIQ("cauchy")
    with pytest.raises(UsageError, match="up to 8 bits, not 12"):
        fit(_laplace(100), Scheme(12), KL())
