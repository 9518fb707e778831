"""Channels and noisy circuits for Hypothesis to draw."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import strategies as st

from qsim import Channel, Circuit, channels

_PARTS = st.floats(0.0, 1.0, allow_subnormal=False)
_ANGLES = st.floats(-3.0, 3.0)


def _random_kraus(num_qubits: int, count: int, seed: int) -> Channel:
    generator = np.random.default_rng(seed)
    shape = (count * 2**num_qubits, 2**num_qubits)
    columns = generator.normal(size=shape) + 1j * generator.normal(size=shape)
    return channels.kraus(np.linalg.qr(columns)[0].reshape(count, *[2**num_qubits] * 2))


def _pauli(labels: Sequence[str]) -> st.SearchStrategy[Channel]:
    weights = st.lists(_PARTS, min_size=len(labels), max_size=len(labels))
    return weights.map(
        lambda found: channels.pauli_channel(
            {s: w / (1 + sum(found)) for s, w in zip(labels, found, strict=True)}
        )
    )


def _relaxation(t1: float, ratio: float, time: float, population: float) -> Channel:
    return channels.thermal_relaxation(t1, ratio * t1, time, population)


ALONE = st.one_of(
    st.builds(channels.bit_flip, _PARTS),
    st.builds(channels.phase_flip, _PARTS),
    st.builds(channels.bit_phase_flip, _PARTS),
    st.builds(channels.depolarizing, st.floats(0, 4 / 3)),
    _pauli(["X", "Y", "Z"]),
    st.builds(channels.amplitude_damping, _PARTS),
    st.builds(channels.generalized_amplitude_damping, _PARTS, _PARTS),
    st.builds(channels.phase_damping, _PARTS),
    st.builds(_relaxation, st.floats(0.5, 5), st.floats(0.1, 2), st.floats(0, 3), _PARTS),
    st.builds(lambda a, b: channels.reset_error(a / 2, b / 2), _PARTS, _PARTS),
    st.builds(channels.over_rotation, st.sampled_from("XYZ"), _ANGLES),
    st.builds(_random_kraus, st.just(1), st.integers(1, 4), st.integers(0, 99)),
)
TOGETHER = st.one_of(
    st.builds(channels.depolarizing, st.floats(0, 16 / 15), st.just(2)),
    _pauli(["XI", "ZZ", "YX"]),
    st.builds(channels.crosstalk_zz, _ANGLES),
    st.builds(channels.over_rotation, st.sampled_from(["XY", "ZX"]), _ANGLES),
    st.builds(_random_kraus, st.just(2), st.integers(1, 4), st.integers(0, 99)),
)


@pytest.fixture(scope="session")
def channel_strategy() -> st.SearchStrategy[Channel]:
    """Channels of every kind on one or two qubits."""
    return st.one_of(ALONE, TOGETHER)


@st.composite
def _noisy(draw: st.DrawFn, pure: st.SearchStrategy[Circuit]) -> Circuit:
    circuit = draw(pure)
    noisy = Circuit(circuit.num_qubits, circuit.num_weights, circuit.num_inputs)
    kinds = st.one_of(ALONE, TOGETHER) if circuit.num_qubits > 1 else ALONE
    for operation in circuit.operations:
        noisy.append(*operation)
        if draw(st.booleans()):
            channel = draw(kinds)
            places = st.permutations(range(circuit.num_qubits))
            noisy.append(channel, draw(places)[: channel.num_qubits])
    return noisy


@pytest.fixture(scope="session")
def noisy_circuits() -> Callable[[st.SearchStrategy[Circuit]], st.SearchStrategy[Circuit]]:
    """noisy_circuits(strategy for pure ones) -> strategy."""
    return _noisy
