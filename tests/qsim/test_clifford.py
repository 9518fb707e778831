"""Clifford circuits by stim: the values and counts of other engines, and circuits beyond these."""

from dataclasses import dataclass
from itertools import product
from math import pi

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Pauli

from qsim import (
    GATES,
    Circuit,
    Input,
    PauliString,
    PauliSum,
    UsageError,
    Weight,
    channels,
    counts,
    expval,
    run,
    samples,
    state,
    variance,
)
from qsim.families import pauli_rotation
from qsim.gates import Gate
from qsim.instructions import Instruction

pytest.importorskip("stim")

CLIFFORD = ["i", "x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "cx", "cy", "cz", "swap", "iswap",
            "dcx", "ecr"]  # fmt: skip
TURNS = ["rx", "ry", "rz", "p", "u2", "u3", "r", "rot", "rxx", "ryy", "rzz", "rzx", "globalphase"]


@st.composite
def clifford_circuits(draw: st.DrawFn) -> Circuit:
    circuit = Circuit(draw(st.integers(2, 5)))
    for _ in range(draw(st.integers(1, 25))):
        gate: Gate = GATES[draw(st.sampled_from(CLIFFORD + TURNS))]
        if draw(st.integers(0, 5)) == 5:
            size = draw(st.integers(1, circuit.num_qubits))
            gate = pauli_rotation(draw(st.text("IXYZ", min_size=size, max_size=size)))
        places = draw(st.permutations(range(circuit.num_qubits)))[: gate.num_qubits]
        turns = [draw(st.integers(-5, 5)) * pi / 2 for _ in gate.params]
        circuit.append(gate, places, turns)
    return circuit


@settings(max_examples=60)
@given(circuit=clifford_circuits(), data=st.data())
def test_values_are_those_of_other_engines(circuit: Circuit, data: st.DataObject) -> None:
    n = circuit.num_qubits
    labels = data.draw(st.lists(st.text("IXYZ", min_size=n, max_size=n), min_size=1, max_size=5))
    observables = [PauliString(label) for label in labels]
    observables.append(PauliSum([(0.5 + k, p) for k, p in enumerate(observables)]))
    expected = expval(circuit, observables)
    found = expval(circuit, observables, engine="stim")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    estimated = expval(circuit, observables[:-1], engine="stim", shots=400)
    deviation = (1 - expected[:-1] ** 2).sqrt() / 20
    assert bool(((estimated - expected[:-1]).abs() <= 6 * deviation + 1e-6).all())


def test_counts_follow_the_probabilities() -> None:
    circuit = Circuit(3).h(0).cx(0, 2).x(1).rx(pi / 2, 1)
    generator = torch.Generator().manual_seed(3)
    found = counts(circuit, 8000, engine="stim", generator=generator)
    expected = state(circuit).abs() ** 2
    assert isinstance(found, dict)
    for number, probability in enumerate(expected.tolist()):
        deviation = (8000 * probability * (1 - probability)) ** 0.5
        assert abs(found.get(f"{number:03b}", 0) - 8000 * probability) <= 5 * deviation + 1e-3
    drawn = samples(circuit, 8000, engine="stim", generator=generator, qubits=[2, 0])
    assert set(drawn.tolist()) == {0, 3}


def test_the_generator_decides() -> None:
    circuit = Circuit(4).h(range(4))
    first, again, other = (
        samples(circuit, 50, engine="stim", generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_thousands_of_qubits() -> None:
    n = 2000
    circuit = Circuit(n).h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.append(pauli_rotation("X" * n), range(n), [pi])
    parity = PauliString("X" * n)
    ends = PauliString.from_sparse("ZZ", [0, n - 1], n)
    found = expval(circuit, [parity, ends, -2.0 * ends, PauliString.z(7, n)], engine="stim")
    assert found.tolist() == [1, 1, -2, 0]
    assert set(counts(circuit, 20, engine="stim")) <= {"0" * n, "1" * n}
    assert set(samples(circuit, 20, engine="stim", qubits=[5, 1999]).tolist()) <= {0, 3}
    with pytest.raises(UsageError, match="up to 62 bits, not 2000: take counts"):
        samples(circuit, 20, engine="stim")


def test_values_have_the_dtype_that_is_asked_for() -> None:
    circuit = Circuit(1).rx(Weight(0), 0)
    for weights in (torch.zeros(1), torch.zeros(1, dtype=torch.float64)):
        assert expval(circuit, None, weights, engine="stim").dtype == weights.dtype
    found = expval(Circuit(1), engine="stim", dtype=torch.complex128)
    assert found.dtype == torch.float64


def test_weights_and_inputs_have_batches() -> None:
    circuit = Circuit(2).rx(Weight(0), 0).cx(0, 1).ry(2 * Input(0) + pi, 1)
    weights, inputs = torch.tensor([pi]), torch.tensor([[0.0], [pi / 2], [pi / 4]])
    found = expval(circuit, None, weights, inputs, engine="stim")
    torch.testing.assert_close(found, expval(circuit, None, weights, inputs), atol=1e-5, rtol=0)
    assert samples(circuit, 7, weights, inputs, engine="stim").shape == (3, 7)
    assert len(counts(circuit, 7, weights, inputs, engine="stim")) == 3


@pytest.mark.parametrize(
    ("circuit", "message"),
    [
        (Circuit(2).h(0).t(1), r"gate 1 of the circuit, t 1, is not Clifford"),
        (Circuit(2).rx(pi / 2 + 1e-4, 1), r"gate 0 of the circuit, rx\(1\.571\) 1, is not"),
        (Circuit(3).h(0).s(1).ccx(0, 1, 2), r"gate 2 of the circuit, ccx 0,1,2, is not"),
        (Circuit(7).mcx(range(6), 6), r"gate 0 of the circuit, c6x 0,.*, is not Clifford"),
        (Circuit(3).pauli_rotation(0.3, "XYZ"), r"pauli_rotation\(0\.3\) 0,1,2, is not Clifford"),
    ],
)
def test_what_is_not_clifford_is_named(circuit: Circuit, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(circuit, engine="stim")


@dataclass(frozen=True)
class PauliChannel(Instruction):
    """Pauli strings, first qubit rightmost, that happen with these probabilities."""

    errors: tuple[tuple[str, float], ...]

    def ptm(self) -> np.ndarray:
        labels = ["".join(p) for p in product("IXYZ", repeat=self.num_qubits)]
        strings = [PauliString(label) for label in labels]
        signs = [[1 if a.times(b)[0] == b.times(a)[0] else -1 for a in strings] for b in strings]
        happens = dict(self.errors)
        every = [happens.get(label, 0.0) for label in labels]
        return np.diag(np.array(signs) @ [1 - sum(every) + every[0], *every[1:]])


FLIP = PauliChannel("flip", 1, (("X", 0.1), ("Y", 0.05), ("Z", 0.2)))
PAIR = PauliChannel("pair", 2, (("XI", 0.1), ("ZY", 0.07), ("IZ", 0.2), ("XX", 0.03)))


def noisy() -> Circuit:
    circuit = Circuit(3).h(0).append(FLIP, [0]).cx(0, 2).append(PAIR, [2, 0]).s(2)
    return circuit.ry(pi / 2, 1).append(PAIR, [0, 1]).cz(1, 2).append(FLIP, [2]).h(2)


def density_matrix_of_noisy() -> np.ndarray:
    """All that can happen, each with its probability, multiplied out."""
    branches = [(1.0, Circuit(3))]
    for gate, qubits, params in noisy().operations:
        if not isinstance(gate, PauliChannel):
            for _, circuit in branches:
                circuit.append(gate, qubits, params)
            continue
        none = 1 - sum(probability for _, probability in gate.errors)
        errors = [("I" * gate.num_qubits, none), *gate.errors]
        branches = [
            (weight * probability, circuit.copy().append(pauli_rotation(label), qubits, [pi]))
            for weight, circuit in branches
            for label, probability in errors
        ]
    states = [(weight, state(c, dtype=torch.complex128).numpy()) for weight, c in branches]
    return sum(weight * np.outer(psi, psi.conj()) for weight, psi in states)


def test_pauli_channels_damp_values_and_show_in_counts() -> None:
    rho = density_matrix_of_noisy()
    labels = ["".join(p) for p in product("IXYZ", repeat=3)]
    expected = [np.trace(rho @ Pauli(label).to_matrix()).real for label in labels]
    assert max(abs(v) for v in expected[1:]) > 0.2
    found = expval(noisy(), [PauliString(label) for label in labels], engine="stim")
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    shots = counts(noisy(), 20_000, engine="stim", generator=torch.Generator().manual_seed(5))
    for number, probability in enumerate(np.diag(rho).real):
        deviation = (20_000 * probability * (1 - probability)) ** 0.5
        assert abs(shots.get(f"{number:03b}", 0) - 20_000 * probability) <= 5 * deviation + 1e-3


def test_other_instructions_are_named() -> None:
    for instruction in (Instruction("mine", 1), channels.amplitude_damping(0.1)):
        circuit = Circuit(2).h(0).append(instruction, [1])
        with pytest.raises(UsageError, match=r"instruction 1 of the circuit, (mine|amp.*) 1, is"):
            run(circuit, engine="stim")


def test_what_it_cannot_do_is_refused() -> None:
    circuit = Circuit(1).rx(Weight(0), 0)
    weights = torch.tensor([pi], requires_grad=True)
    for ask, message in (
        (lambda: expval(circuit, None, weights, engine="stim"), "no gradients, but weights"),
        (lambda: expval(Circuit(1), engine="stim", gradient="shift"), "has no gradients"),
        (lambda: state(Circuit(1), engine="stim"), "keeps no amplitudes"),
        (lambda: variance(Circuit(1), engine="stim"), "keeps no amplitudes"),
        (lambda: run(Circuit(1), engine="stim", initial_state=torch.tensor([0, 1 + 0j])),
         "starts from"),
        (lambda: counts(Circuit(1), 0, engine="stim"), "shots are a whole number"),
        (lambda: expval(circuit, engine="stim"), r"weights of shape \[1\]"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            ask()
