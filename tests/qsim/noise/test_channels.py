"""Every channel against Qiskit's, formulas, and the sentences for those that are not physical."""

import json
import pickle
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import PTM, Choi, Kraus, Operator, SuperOp

from qsim import Channel, Circuit, UsageError, channels
from qsim.noise.channels import CHANNELS, make_channel
from qsim.trig import pauli_matrix

EXAMPLES: dict[str, tuple[Any, ...]] = {
    "bit_flip": (0.1,),
    "phase_flip": (0.2,),
    "bit_phase_flip": (0.3,),
    "pauli_channel": ({"XI": 0.1, "ZY": 0.25},),
    "depolarizing": (0.3, 2),
    "amplitude_damping": (0.4,),
    "generalized_amplitude_damping": (0.4, 0.3),
    "phase_damping": (0.35,),
    "thermal_relaxation": (50e-6, 70e-6, 1e-6, 0.1),
    "reset_error": (0.2, 0.1),
    "over_rotation": ("ZX", 0.2),
    "crosstalk_zz": (0.15,),
    "unitary_error": (np.array([[0, 1j], [1, 0]]),),
    "kraus": ([np.diag([1, 0.6]), [[0, 0.8], [0, 0]]],),
}


@pytest.fixture(params=CHANNELS)
def channel(request: pytest.FixtureRequest) -> Channel:
    return CHANNELS[request.param](*EXAMPLES[request.param])


def test_channel_is_physical_and_its_matrix_is_qiskits(channel: Channel) -> None:
    theirs = Kraus(list(channel.kraus))
    assert theirs.is_cptp(atol=1e-10)
    np.testing.assert_allclose(channel.ptm(), PTM(theirs).data.real, atol=1e-12)
    np.testing.assert_allclose(channel.ptm()[0], np.eye(4**channel.num_qubits)[0], atol=1e-12)


def test_channel_survives_json_pickle_and_hash(channel: Channel) -> None:
    arguments = json.loads(json.dumps(channel.arguments))
    for again in (make_channel(channel.name, arguments), pickle.loads(pickle.dumps(channel))):  # noqa: S301
        assert again == channel
        assert hash(again) == hash(channel)
    circuit = Circuit(3).append(channel, [2, 0][: channel.num_qubits])
    assert Circuit.from_dict(json.loads(json.dumps(circuit.to_dict()))) == circuit


def test_numbers_of_numpy_go_into_json() -> None:
    circuit = Circuit(1).append(channels.bit_flip(np.float32(0.25)), 0)
    circuit.append(channels.pauli_channel({"X": np.float32(0.5)}), 0)
    assert Circuit.from_dict(json.loads(json.dumps(circuit.to_dict()))) == circuit


@settings(max_examples=100)
@given(data=st.data())
def test_drawn_channels_are_qiskits(
    data: st.DataObject, channel_strategy: st.SearchStrategy[Channel]
) -> None:
    channel = data.draw(channel_strategy)
    theirs = Kraus(list(channel.kraus))
    assert theirs.is_cptp(atol=1e-8)
    np.testing.assert_allclose(channel.ptm(), PTM(theirs).data.real, atol=1e-10)


@pytest.mark.parametrize("num_qubits", [1, 2, 3])
def test_depolarizing_mixes_with_the_identity(num_qubits: int) -> None:
    found = SuperOp(Kraus(list(channels.depolarizing(0.3, num_qubits).kraus)))
    dim = 2**num_qubits
    mixed = SuperOp(Choi(np.eye(dim**2) / dim))
    expected = 0.7 * SuperOp(Operator(np.eye(dim))) + 0.3 * mixed
    np.testing.assert_allclose(found.data, expected.data, atol=1e-12)


@pytest.mark.parametrize(("t1", "t2"), [(50.0, 30.0), (50.0, 90.0), (50.0, 100.0), (None, 40.0)])
def test_relaxation_is_exponential(t1: float | None, t2: float) -> None:
    matrix = channels.thermal_relaxation(t1, t2, 7.0, 0.2).ptm()
    decay = np.exp(-7.0 / t1) if t1 else 1.0
    np.testing.assert_allclose(np.diag(matrix)[[1, 2]], np.exp(-7.0 / t2), atol=1e-12)
    np.testing.assert_allclose(matrix[3], [0.6 * (1 - decay), 0, 0, decay], atol=1e-12)


def test_two_relaxations_are_one_of_twice_the_time() -> None:
    once = channels.thermal_relaxation(50.0, 70.0, 3.0, 0.1).ptm()
    twice = channels.thermal_relaxation(50.0, 70.0, 6.0, 0.1).ptm()
    np.testing.assert_allclose(once @ once, twice, atol=1e-12)


def test_pauli_strings_act_on_the_first_qubit_with_their_last_letter() -> None:
    channel = channels.pauli_channel({"XZ": 1.0})
    np.testing.assert_allclose(channel.kraus[0], pauli_matrix("XZ"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("depolarizing", "pauli"),
        ("phase_damping", "pauli"),
        ("crosstalk_zz", "mixed-unitary"),
        ("amplitude_damping", "general"),
        ("reset_error", "general"),
    ],
)
def test_kinds(name: str, kind: str) -> None:
    assert CHANNELS[name](*EXAMPLES[name]).kind == kind


def test_circuits_take_channels() -> None:
    circuit = Circuit(2).h(0).append(channels.depolarizing(0.1, 2), [1, 0])
    assert not circuit.is_unitary
    assert "depolarizing" in str(circuit)
    assert circuit == circuit.copy()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: channels.bit_flip(1.2), "from 0 to 1, not 1.2"),
        (lambda: channels.amplitude_damping(-0.1), "from 0 to 1, not -0.1"),
        (lambda: channels.phase_damping(float("nan")), "from 0 to 1"),
        (lambda: channels.depolarizing(1.4), "from 0 to 1.33333"),
        (lambda: channels.depolarizing(0.1, 9), "1 to 4 qubits"),
        (lambda: channels.pauli_channel({"X": 0.7, "Z": 0.7}), "add up to 1.4"),
        (lambda: channels.pauli_channel({"X": 0.1, "ZZ": 0.1}), "of one length"),
        (lambda: channels.pauli_channel({"Q": 0.1}), "Pauli strings"),
        (lambda: channels.pauli_channel({}), "Pauli strings"),
        (lambda: channels.thermal_relaxation(1.0, 2.5, 0.1), "T2 = 2.5 is above 2 T1 = 2.0"),
        (lambda: channels.thermal_relaxation(1.0, None, 0.1), "above 2 T1"),
        (lambda: channels.thermal_relaxation(-1.0, 1.0, 0.1), "T1 is a positive time"),
        (lambda: channels.thermal_relaxation(1.0, 1.0, -0.1), "0 or more"),
        (lambda: channels.thermal_relaxation(1.0, 1.0, 0.1, 1.5), "excited population"),
        (lambda: channels.reset_error(0.6, 0.6), "at most 1, not 1.2"),
        (lambda: channels.over_rotation("X", float("inf")), "finite"),
        (lambda: channels.unitary_error([[1, 1], [0, 1]]), "not unitary"),
        (lambda: channels.kraus([np.eye(2), np.eye(2)]), "does not preserve the trace"),
        (lambda: channels.kraus([np.eye(3)]), "square matrices"),
        (lambda: channels.kraus([np.eye(2), np.eye(4)]), "square matrices"),
        (lambda: channels.kraus([]), "square matrices"),
        (lambda: channels.kraus("no"), "square matrices"),
        (lambda: make_channel("bit_flop", []), "there is no channel 'bit_flop'"),
        (lambda: make_channel("bit_flip", []), "does not take"),
        (lambda: Circuit(2).append(channels.bit_flip(0.1), [0, 1]), "acts on 1 qubit, not 2"),
        (lambda: Circuit(1).append(channels.bit_flip(0.1), 0).inverse(), "gates alone"),
        (lambda: channels.pauli_channel(3), "probabilities by Pauli string, such as"),
        (lambda: channels.pauli_channel({1: 0.2}), "strings of one length from 1 to 4, not [1]"),
        (lambda: channels.thermal_relaxation("a", 1.0, 1.0), "T1 is a positive time"),
        (lambda: channels.thermal_relaxation(1.0, 1.0, None), "0 or more, not None"),
    ],
)
def test_what_is_not_physical_gets_a_sentence(call: Any, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        call()
