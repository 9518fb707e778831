"""Samples, counts and estimates of dynamic circuits, against exact probabilities."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import qsim
from qsim import (
    Circuit,
    Input,
    PauliString,
    UsageError,
    Weight,
    counts,
    expval,
    outcome_probabilities,
    samples,
)
from qsim.dynamic import execute

SHOTS = 4000


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_drawn_from(drawn: torch.Tensor, probabilities: torch.Tensor) -> None:
    """Chi-square test; outcomes that are expected less than 5 times are put together."""
    found = torch.bincount(drawn, minlength=len(probabilities)).numpy()
    exact = probabilities.double().numpy()
    expected = exact / exact.sum() * len(drawn)  # in single precision, the sum is not quite 1
    assert not found[expected < 1e-6].any()
    rare = expected < 5
    merged = [np.append(a[~rare], a[rare].sum()) for a in (found, expected)]
    if merged[1][-1] < 5:
        merged = [np.append(m[:-2], m[-2:].sum()) for m in merged]
    if len(merged[0]) > 1:
        assert chisquare(*merged).pvalue > 1e-4


@settings(max_examples=40)
@given(data=st.data())
def test_samples_have_the_exact_probabilities(
    dynamic_circuits: Callable, data: st.DataObject
) -> None:
    circuit = data.draw(dynamic_circuits(symbols=False))
    exact = outcome_probabilities(circuit)
    drawn = samples(circuit, SHOTS, generator=seeded(data.draw(st.integers(0, 99))))
    assert drawn.shape == (SHOTS,)
    assert_drawn_from(drawn, exact)


@settings(max_examples=15)
@given(data=st.data())
def test_estimates_come_close_to_expectation_values(
    dynamic_circuits: Callable, data: st.DataObject
) -> None:
    circuit = data.draw(dynamic_circuits(symbols=False))
    letters = st.text("XYZ", min_size=circuit.num_qubits, max_size=circuit.num_qubits)
    observables = [PauliString(label) for label in data.draw(st.lists(letters, min_size=2))]
    found = expval(circuit, observables, shots=SHOTS, generator=seeded(1))
    exact = expval(circuit, observables)
    assert ((found - exact).abs() < 5 / SHOTS**0.5).all()


def feedback() -> Circuit:
    circuit = Circuit(2).ry(Input(0), 0).rx(Weight(0), 1).measure(0)
    circuit.while_loop((0, 1), Circuit(2).ry(0.7, 0).cx(0, 1).measure(0, 0), most=4)
    return circuit.if_test((0, 0), Circuit(1).h(0), qubits=[1]).measure(1, 1).h(0).measure(0, 2)


WEIGHTS, INPUTS = torch.tensor([0.6]), torch.tensor([[0.4], [1.9], [2.8]])


def test_batches_are_drawn_each_from_its_own_probabilities() -> None:
    drawn = samples(feedback(), SHOTS, WEIGHTS, INPUTS, generator=seeded(5))
    assert drawn.shape == (3, SHOTS)
    for row, exact in zip(drawn, outcome_probabilities(feedback(), WEIGHTS, INPUTS), strict=True):
        assert_drawn_from(row, exact)


def test_runs_come_in_any_order() -> None:
    drawn = samples(feedback(), SHOTS, WEIGHTS, INPUTS, generator=seeded(5))[1]
    halves = drawn.reshape(2, -1)
    exact = outcome_probabilities(feedback(), WEIGHTS, INPUTS)[1]
    for half in halves:
        assert_drawn_from(half, exact)


@pytest.mark.parametrize("amplitudes", [32, 2**26])
def test_parts_of_the_shots_make_the_same_distribution(
    monkeypatch: pytest.MonkeyPatch, amplitudes: int
) -> None:
    monkeypatch.setattr(execute, "_AMPLITUDES", amplitudes)
    shots = 400
    drawn = samples(feedback(), shots, WEIGHTS, INPUTS[:2], generator=seeded(8))
    exact = outcome_probabilities(feedback(), WEIGHTS, INPUTS[:2])
    assert drawn.shape == (2, shots)
    for row, expected in zip(drawn, exact, strict=True):
        assert_drawn_from(row, expected)
    found = expval(feedback(), None, WEIGHTS, INPUTS, shots=shots, generator=seeded(8))
    exact = expval(feedback(), None, WEIGHTS, INPUTS)
    assert ((found - exact).abs() < 5 / shots**0.5).all()


@pytest.mark.parametrize("amplitudes", [8, 2**26])
def test_samples_with_a_generator_each_do_not_depend_on_the_batch(
    monkeypatch: pytest.MonkeyPatch, amplitudes: int
) -> None:
    monkeypatch.setattr(execute, "_AMPLITUDES", amplitudes)
    together = samples(feedback(), 50, WEIGHTS, INPUTS, generator=[seeded(k) for k in range(3)])
    values = expval(
        feedback(), None, WEIGHTS, INPUTS, shots=50, generator=[seeded(k) for k in range(3)]
    )
    for k, row in enumerate(INPUTS):
        alone = samples(feedback(), 50, WEIGHTS, row[None], generator=[seeded(k)])
        assert torch.equal(alone[0], together[k])
        value = expval(feedback(), None, WEIGHTS, row[None], shots=50, generator=[seeded(k)])
        torch.testing.assert_close(value[0], values[k])


def test_counts_are_bitstrings_of_the_classical_bits() -> None:
    circuit = Circuit(2, num_clbits=4).x(1).measure(1, 2).measure(0, 1)
    assert counts(circuit, 7) == {"0100": 7}
    assert samples(circuit, 2).tolist() == [4, 4]
    batch = Circuit(1).rx(Input(0), 0).measure(0)
    assert counts(batch, 3, inputs=torch.tensor([[0.0], [torch.pi]])) == [{"0": 3}, {"1": 3}]
    exact = qsim.run(feedback(), WEIGHTS, INPUTS)
    assert [sum(c.values()) for c in exact.counts(9, generator=seeded(0))] == [9, 9, 9]
    assert_drawn_from(
        exact.samples(SHOTS, generator=seeded(2))[2], exact.outcome_probabilities()[2]
    )


def test_long_circuits_do_not_run_out_of_small_numbers() -> None:
    circuit = Circuit(1)
    for _ in range(400):
        circuit.h(0).measure(0)
    assert_drawn_from(samples(circuit, 300, generator=seeded(4)), torch.tensor([0.5, 0.5]))


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "qubits of samples": (
        lambda: samples(feedback(), 5, WEIGHTS, INPUTS, qubits=[0]),
        "sampled in its classical bits: leave out qubits",
    ),
    "no classical bits": (
        lambda: counts(Circuit(1).h(0).reset(0), 5),
        "no classical bits: measure qubits into some",
    ),
    "no shots": (lambda: samples(feedback(), 0, WEIGHTS, INPUTS), "whole number from 1 on"),
    "generators": (
        lambda: samples(feedback(), 5, WEIGHTS, INPUTS, generator=[seeded(0)]),
        "1 generators do not fit a batch of 3",
    ),
    "gradient of shots": (
        lambda: expval(feedback(), None, WEIGHTS.clone().requires_grad_(), INPUTS, shots=5),
        "shots of a dynamic circuit have no gradient",
    ),
    "gradient by shifts": (
        lambda: expval(feedback(), None, WEIGHTS, INPUTS, gradient="shift"),
        "has the gradient 'adjoint' only",
    ),
    "state": (lambda: qsim.state(feedback(), WEIGHTS, INPUTS), "ends in no pure state"),
    "torch.func": (
        lambda: torch.func.grad(lambda w: expval(feedback(), None, w, INPUTS).sum())(WEIGHTS),
        "circuit with measurements does not work inside torch.func",
    ),
    "classical bits that are not there": (
        lambda: outcome_probabilities(feedback(), WEIGHTS, INPUTS, clbits=[3]),
        r"different ones from 0 to 2, not \[3\]",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_sentences(mistake: str) -> None:
    call, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence):
        call()
