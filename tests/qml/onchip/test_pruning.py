"""Gradient pruning: windows, counts, and what each method prefers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qml.nn.ansatz import add_template
from qml.onchip.pruning import METHODS, GradientPruning, weight_groups
from qsim import Circuit, UsageError

CIRCUIT = add_template(Circuit(4), "rxyzcx_0", blocks=2)  # 6 layers of 4 weights
SIZES = torch.linspace(0.1, 2.4, 24)


def masks(pruning, steps, weights=None, sizes=SIZES):
    angles = torch.linspace(-3, 3, 24) if weights is None else weights
    rng = np.random.default_rng(0)
    return torch.stack([pruning.wanted(CIRCUIT, angles, sizes, k, rng) for k in range(steps)])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("accumulation", "pruning"), [(1, 2), (2, 3)])
def test_windows_and_the_fraction_that_is_saved(method, accumulation, pruning):
    chosen = GradientPruning(method, 0.5, accumulation, pruning)
    counts = masks(chosen, 4 * (accumulation + pruning)).sum(1)
    window = [24] * accumulation + [12] * pruning
    assert counts.tolist() == window * 4
    assert 1 - counts.sum() / (24 * len(counts)) == pytest.approx(chosen.saved)
    starts = [chosen.begins(k) for k in range(8)]
    assert starts == [k % len(window) == 0 for k in range(8)]


def test_groups_are_layers_and_qubits():
    layers, qubits = weight_groups(CIRCUIT)
    # Every block has a ring of cx behind its three layers of rotations.
    assert layers.tolist() == [k for k in (0, 1, 2, 4, 5, 6) for _ in range(4)]
    assert qubits.tolist() == [0, 1, 2, 3] * 6


def test_probabilistic_draws_in_proportion_to_sizes():
    frequency = masks(GradientPruning(ratio=23 / 24, accumulation=1, pruning=2000), 2001)[1:]
    expected = SIZES / SIZES.sum()
    assert frequency.sum(1).max() == 1
    assert (frequency.float().mean(0) - expected).abs().max() < 0.02
    phase = GradientPruning("phase", 23 / 24, accumulation=0, pruning=2000)
    angles = torch.linspace(-3, 3, 24) + 2 * torch.pi
    frequency = masks(phase, 2000, angles).float().mean(0)
    wrapped = torch.linspace(-3, 3, 24).abs()
    assert (frequency - wrapped / wrapped.sum()).abs().max() < 0.02


def test_deterministic_takes_the_largest():
    found = masks(GradientPruning("deterministic", 0.75), 2)[1]
    assert found.nonzero().flatten().tolist() == list(range(18, 24))


@pytest.mark.parametrize(("method", "groups"), [("per-layer", 0), ("per-qubit", 1)])
def test_groups_come_in_turn(method, groups):
    group = weight_groups(CIRCUIT)[groups]
    found = masks(GradientPruning(method, 0.5, accumulation=0, pruning=1), 2)
    assert not (found[0] & found[1]).any()
    assert found.any(0).all()
    for mask in found:
        inside = np.unique(group[mask.numpy()])
        assert mask.sum() == np.isin(group, inside).sum()


def test_sizes_that_vanish_leave_an_even_draw():
    assert masks(GradientPruning(), 3, sizes=torch.zeros(24)).sum(1).tolist() == [24, 12, 12]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "magic"}, "no gradient pruning 'magic': use probabilistic, "),
        ({"ratio": 1.0}, "ratio from 0 to below 1"),
        ({"accumulation": 0}, "accumulation window of 1"),
        ({"pruning": 0}, "pruning window of 1 step"),
    ],
)
def test_settings_that_do_not_fit(settings, words):
    with pytest.raises(UsageError, match=words):
        GradientPruning(**settings)
