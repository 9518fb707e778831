"""Grover's search and phase estimation against their formulas."""

from __future__ import annotations

from math import asin, pi, sin, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qml.algorithms.search import (
    estimated_phases,
    grover,
    grover_iterations,
    phase_estimation,
    phase_oracle,
)
from qsim import Circuit, probabilities
from qsim.errors import UsageError


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.data())
def test_success_by_the_formula(n, data):
    marked = data.draw(st.sets(st.integers(0, 2**n - 1), min_size=1))
    iterations = data.draw(st.integers(0, 5))
    found = probabilities(grover(n, marked, iterations))[sorted(marked)].sum().item()
    expected = sin((2 * iterations + 1) * asin(sqrt(len(marked) / 2**n))) ** 2
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("n", "marked"), [(5, 1), (8, 3), (6, 64), (4, 5)])
def test_no_other_number_of_iterations_is_better(n, marked):
    angle = asin(sqrt(marked / 2**n))
    success = [sin((2 * k + 1) * angle) ** 2 for k in range(int(pi / (2 * angle)) + 1)]
    best = grover_iterations(n, marked)
    assert success[best] == pytest.approx(max(success))
    assert probabilities(grover(n, range(marked)))[:marked].sum() == pytest.approx(
        success[best], abs=1e-4
    )


def test_three_ways_to_name_an_oracle():
    def marks(numbers):
        return numbers % 5 == 3

    circuit = phase_oracle(4, [3, 8, 13])
    expected = probabilities(grover(4, [3, 8, 13]))
    for oracle, iterations in ((marks, None), (circuit, grover_iterations(4, 3))):
        assert probabilities(grover(4, oracle, iterations)).tolist() == pytest.approx(
            expected.tolist(), abs=1e-6
        )


@pytest.mark.parametrize("marked", [[], lambda numbers: False])
def test_nothing_is_marked(marked):
    with pytest.raises(UsageError, match="not 0"):
        grover(3, marked)


def test_states_that_there_are_not():
    with pytest.raises(UsageError, match="0 to 7"):
        grover(3, [8])


def test_a_circuit_does_not_tell_how_often():
    with pytest.raises(UsageError, match="grover_iterations"):
        grover(2, Circuit(2).cz(0, 1))


@pytest.mark.parametrize("k", [0, 3, 9, 15])
def test_phases_that_fit_are_certain(k):
    found = estimated_phases(Circuit(1).p(2 * pi * k / 16, 0), 4, Circuit(1).x(0))
    assert found[k].item() == pytest.approx(1, abs=1e-5)


def test_other_phases_by_the_formula():
    """|sum_j exp(2 pi i j (phase - k / N)) / N|^2 (Nielsen and Chuang, 5.2)."""
    phase, bits = 0.29, 3
    j, k = np.arange(8), np.arange(8)[:, None]
    expected = np.abs(np.exp(2j * pi * j * (phase - k / 8)).mean(1)) ** 2
    found = estimated_phases(Circuit(1).p(2 * pi * phase, 0), bits, Circuit(1).x(0))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_eigenstates_of_a_rotation_about_two_qubits():
    found = estimated_phases(Circuit(2).rzz(pi / 2, 0, 1), 3, Circuit(2).h(0))
    assert found[[1, 7]].tolist() == pytest.approx([0.5, 0.5], abs=1e-5)


def test_no_bits():
    with pytest.raises(UsageError, match="bits is 1 or more"):
        phase_estimation(Circuit(1).x(0), 0)
