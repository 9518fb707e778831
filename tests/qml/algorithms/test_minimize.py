"""Minimizing: the minimum of known functions, by any optimizer."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from qml.algorithms.minimize import minimize, small_weights
from qsim import Circuit, Weight
from qsim.errors import UsageError

GOAL = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
OPTIMIZERS = {
    "lbfgs": {},
    "adam": {"optimizer": partial(torch.optim.Adam, lr=0.1), "steps": 1000},
    "sgd": {"optimizer": partial(torch.optim.SGD, lr=0.2), "steps": 1000},
}


def bowl(weights):
    return 3 + (weights - GOAL).square().sum()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_bottom_of_a_bowl(name):
    start = torch.zeros(3, dtype=torch.float64)
    found = minimize(bowl, start, **OPTIMIZERS[name])
    torch.testing.assert_close(found.weights, GOAL, atol=1e-5, rtol=0)
    assert found.value == found.history[-1] == pytest.approx(3, abs=1e-9)
    assert found.history[0] == bowl(start).item()
    assert not start.any()
    assert not found.weights.requires_grad


def test_it_stops_at_the_tolerance():
    found = minimize(bowl, GOAL + 1e-3, optimizer=partial(torch.optim.SGD, lr=0.1), tolerance=1e-2)
    assert len(found.history) == 2


def test_no_steps_leave_the_weights():
    assert torch.equal(minimize(bowl, GOAL + 1, steps=0).weights, GOAL + 1)


def test_functions_that_are_not_finite():
    with pytest.raises(UsageError, match="became nan after 0 steps"):
        minimize(lambda w: w.sum() * float("nan"), GOAL)


def test_small_weights_come_from_the_seed():
    circuit = Circuit(1).ry(Weight(0), 0).rz(Weight(1), 0)
    assert torch.equal(small_weights(circuit, 3), small_weights(circuit, 3))
    assert not torch.equal(small_weights(circuit, 3), small_weights(circuit, 4))
