"""Noise models, measurements and feed-forward by stim: the values and counts of exact results."""

from math import pi

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from qsim import (
    Circuit,
    NoiseModel,
    PauliString,
    UsageError,
    Weight,
    channels,
    counts,
    expval,
    outcome_probabilities,
    probabilities,
    run,
    samples,
)

pytest.importorskip("stim")

SHOTS = 4000
ONE = ["x", "y", "z", "h", "s", "sx"]
TWO = ["cx", "cz", "swap"]


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_follows(found: dict[str, int], exact: list[float]) -> None:
    """Counts have these probabilities, by a chi-square test."""
    number = [
        found.get(f"{value:0{len(exact).bit_length() - 1}b}", 0) for value in range(len(exact))
    ]
    assert sum(number) == SHOTS
    assert not any(n for n, p in zip(number, exact, strict=True) if p < 1e-9)
    often = [value for value, p in enumerate(exact) if p * SHOTS >= 5]
    total = sum(number[v] for v in often)
    expected = [exact[v] * total / sum(exact[v] for v in often) for v in often]
    if len(often) > 1:
        assert chisquare([number[v] for v in often], expected).pvalue > 1e-5


@st.composite
def pauli_models(draw: st.DrawFn, num_qubits: int, even: bool) -> NoiseModel:
    chance = st.floats(0, 0.2)
    pauli = channels.pauli_channel({"X": draw(chance), "Y": draw(chance), "Z": draw(chance)})
    pair = channels.pauli_channel({"XI": draw(chance), "ZY": draw(chance), "IZ": draw(chance)})
    model = NoiseModel(basis=frozenset([*ONE, *TWO, "rx"]))
    model = model.add("h", pauli).add("cx", pair).add("cz", channels.phase_flip(0.1), [1, 0])
    model = model.add("swap", channels.depolarizing(0.2, 2)).add("sx", channels.bit_flip(0.05))
    for qubit in draw(st.sets(st.integers(0, num_qubits - 1))):
        p01 = draw(chance)
        model = model.add_readout(qubit, p01, p01 if even else draw(chance))
    return model


def add_gate(draw: st.DrawFn, circuit: Circuit) -> None:
    places = draw(st.permutations(range(circuit.num_qubits)))
    if draw(st.booleans()):
        circuit.append(draw(st.sampled_from(TWO)), places[:2])
    elif draw(st.integers(0, 4)) == 4:
        circuit.rx(draw(st.integers(-3, 3)) * pi / 2, places[0])
    else:
        circuit.append(draw(st.sampled_from(ONE)), places[0])


@settings(max_examples=60)
@given(data=st.data())
def test_noisy_values_are_exact(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 4))
    circuit = Circuit(n)
    for _ in range(data.draw(st.integers(1, 15))):
        add_gate(data.draw, circuit)
    model = data.draw(pauli_models(n, even=False))
    labels = data.draw(st.lists(st.text("IXYZ", min_size=n, max_size=n), min_size=1, max_size=5))
    observables = [*map(PauliString, labels), 0.3 * PauliString(labels[0]) + PauliString("Z" * n)]
    given_ = {"noise": model, "dtype": torch.complex128}
    expected = expval(circuit, observables, **given_)
    found = expval(circuit, observables, engine="stim", **given_)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_noisy_counts_and_estimates_follow_exact_results() -> None:
    model = NoiseModel().add("cx", channels.depolarizing(0.2, 2)).add("h", channels.bit_flip(0.1))
    model = model.add_readout(0, 0.02, 0.3).add_readout(2, 0.1, 0.1)
    circuit = Circuit(3).h(0).cx(0, 1).h(2).cx(2, 1).h(2)
    exact = probabilities(circuit, noise=model, dtype=torch.complex128)
    found = counts(circuit, SHOTS, engine="stim", noise=model, generator=seeded())
    assert_follows(found, exact.tolist())
    labels = [PauliString(label) for label in ("XXX", "ZZZ", "IXX", "YIX")]
    values = expval(circuit, labels, noise=model, engine="stim", shots=40_000, generator=seeded())
    torch.testing.assert_close(values, expval(circuit, labels, noise=model), atol=0.03, rtol=0)


@settings(max_examples=40)
@given(data=st.data())
def test_feed_forward_and_misread_bits_follow_exact_results(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 3))
    circuit, written = Circuit(n, num_clbits=3), set()
    for _ in range(data.draw(st.integers(4, 18))):
        kind = data.draw(st.integers(0, 5))
        qubit = data.draw(st.integers(0, n - 1))
        if kind == 0:
            circuit.reset(qubit)
        elif kind == 1:
            bit = data.draw(st.integers(0, 2))
            circuit.measure(qubit, bit)
            written.add(bit)
        elif kind == 2 and written:
            bit = data.draw(st.sampled_from(sorted(written)))
            bodies = [Circuit(2).append("y" if k else "z", k % 2) for k in range(2)]
            bodies[0].rx(pi, 1)
            chosen = data.draw(st.sampled_from([bodies, [bodies[1], None]]))
            places = data.draw(st.permutations(range(n)))[:2]
            circuit.if_test((bit, data.draw(st.integers(0, 1))), *chosen, qubits=places)
        else:
            add_gate(data.draw, circuit)
    circuit.measure(range(n), range(n))
    model = data.draw(st.none() | pauli_models(n, even=True))
    if model is not None:
        model = NoiseModel(model.gates, model.readout, basis=model.basis)
    exact = outcome_probabilities(circuit, noise=model, dtype=torch.complex128)
    found = counts(circuit, SHOTS, engine="stim", noise=model, generator=seeded())
    assert_follows(found, exact.clamp(min=0).tolist())


def test_bits_that_nothing_reads_may_be_misread_unevenly() -> None:
    model = NoiseModel().add("x", channels.bit_flip(0.1)).add_readout(0, 0.05, 0.4)
    circuit = Circuit(1).h(0).measure(0).reset(0).x(0).measure(0, 1)
    exact = outcome_probabilities(circuit, noise=model, dtype=torch.complex128)
    found = counts(circuit, SHOTS, engine="stim", noise=model, generator=seeded())
    assert_follows(found, exact.tolist())


def test_teleportation_over_hundreds_of_qubits() -> None:
    length = 300
    circuit = Circuit(2 * length + 1).x(0)
    for k in range(length):
        a, b, c = 2 * k, 2 * k + 1, 2 * k + 2
        circuit.h(b).cx(b, c).cx(a, b).h(a).measure([a, b], [0, 1])
        circuit.if_test((1, 1), Circuit(1).x(0), qubits=[c])
        circuit.if_test((0, 1), Circuit(1).z(0), qubits=[c])
    end = PauliString.from_sparse("Z", [2 * length], 2 * length + 1)
    assert expval(circuit, [end], engine="stim", shots=50).tolist() == [-1]
    circuit.measure(2 * length, 2)
    drawn = samples(circuit, 50, engine="stim")
    assert set((drawn >> 2).tolist()) == {1}


def test_weights_reach_bodies_and_batches() -> None:
    circuit = Circuit(2).h(0).measure(0).if_test((0, 1), Circuit(1).rx(Weight(0), 0), qubits=[1])
    circuit.measure(1)
    drawn = samples(circuit, 40, torch.tensor([[pi], [0.0], [3 * pi]]), engine="stim")
    assert [set(row) for row in drawn.tolist()] == [{0, 3}, {0, 1}, {0, 3}]


FLIP = channels.bit_flip(0.1)
MEASURED = Circuit(2).h(0).measure([0, 1])


@pytest.mark.parametrize(
    ("circuit", "noise", "message"),
    [
        (Circuit(1).h(0), NoiseModel().add("h", channels.amplitude_damping(0.1)),
         r"the noise model has amplitude_damping\(0.1\) 0, but engine='stim' runs .* Pauli"),
        (Circuit(3).ccx(0, 1, 2), NoiseModel().add("h", FLIP), "after the gate h, but"),
        (Circuit(1).h(0), NoiseModel().add_relaxation(0, 1.0, 1.0).add_duration("h", 0.1),
         None),
        (MEASURED.copy().if_test((0, 1), Circuit(1).h(0)), None, r"X, Y and Z .* not if_else\(c"),
        (MEASURED.copy().if_test((0, 1), Circuit(1).t(0)), None, r"X, Y and Z without noise"),
        (MEASURED.copy().if_test((0, 1), Circuit(1).measure(0)), None, r"X, Y and Z"),
        (MEASURED.copy().if_test(([0, 1], 3), Circuit(1).x(0)), None, "one classical bit"),
        (MEASURED.copy().while_loop((0, 1), Circuit(1).x(0), 2), None, "one classical bit decide"),
        (Circuit(1).if_test((0, 1), Circuit(1).x(0)), None, "reads classical bit 0 before"),
        (MEASURED.copy().if_test((0, 1), Circuit(1).x(0)),
         NoiseModel().add("x", channels.bit_flip(0.1)), "without noise under a condition"),
        (MEASURED.copy().if_test((0, 1), Circuit(1).x(0)), NoiseModel().add_readout(0, 0.1, 0.2),
         r"reads a bit whose readout errors \(0.1, 0.2\) differ"),
        (MEASURED.copy().t(1), None, "gate 3 of the circuit, t 1, is not Clifford"),
        (MEASURED, 0.1, "noise is a NoiseModel, not float"),
    ],
)  # fmt: skip
def test_what_stim_cannot_do_is_named(
    circuit: Circuit, noise: NoiseModel | None, message: str | None
) -> None:
    if message is None:
        np.testing.assert_allclose(
            expval(circuit, engine="stim", noise=noise), expval(circuit, noise=noise), atol=1e-6
        )
        return
    with pytest.raises(UsageError, match=message):
        run(circuit, engine="stim", noise=noise)


def test_results_of_measured_circuits_are_those_of_bits() -> None:
    for ask, message in (
        (lambda: expval(MEASURED, engine="stim"), "pass shots="),
        (lambda: samples(MEASURED, 5, qubits=[0], engine="stim"), "sampled in its classical bits"),
        (lambda: samples(Circuit(1).reset(0), 5, engine="stim"), "no classical bits"),
        (lambda: expval(Circuit(13), [PauliString("Z" * 13)], engine="stim",
                        noise=NoiseModel().add_readout(range(13), 0.1, 0.2)), "more than 12 qub"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            ask()
