"""Noise models: where channels go, the schedule, files, and what does not fit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qsim import (
    Channel,
    Circuit,
    NoiseModel,
    PauliString,
    UsageError,
    channels,
    density_matrix,
    expval,
)

FLIP, MIX = channels.bit_flip(0.1), channels.depolarizing(0.2, 2)


def names(circuit: Circuit) -> list[str]:
    return [f"{op.gate.name} {','.join(map(str, op.qubits))}" for op in circuit.operations]


def test_channels_follow_their_gates() -> None:
    crosstalk = channels.crosstalk_zz(0.1)
    noise = (
        NoiseModel()
        .add("cnot", MIX)
        .add("h", FLIP)
        .add("h", channels.phase_flip(0.1), [1])
        .add("cx", FLIP, [1, 0])
        .add("cx", crosstalk, [1, 0], on=[0, 2])
    )
    circuit = Circuit(3).h(0).h(1).cx(0, 1).cx(1, 0).barrier()
    assert names(noise.applied(circuit)) == [
        "h 0",
        "bit_flip 0",
        "h 1",
        "phase_flip 1",
        "cx 0,1",
        "depolarizing 0,1",
        "cx 1,0",
        "bit_flip 1",
        "bit_flip 0",
        "crosstalk_zz 0,2",
        "barrier 0,1,2",
    ]


def test_a_model_is_the_circuit_with_channels() -> None:
    noise = NoiseModel().add("cx", MIX).add("ry", FLIP)
    circuit = Circuit(2).ry(0.4, 0).cx(0, 1)
    written = Circuit(2).ry(0.4, 0).append(FLIP, 0).cx(0, 1).append(MIX, [0, 1])
    torch.testing.assert_close(density_matrix(circuit, noise=noise), density_matrix(written))


def test_waiting_qubits_relax_as_late_as_gates_allow() -> None:
    noise = (
        NoiseModel(basis=frozenset({"x", "sx", "cx"}))
        .add_relaxation([0, 1, 2], 100e-6, 80e-6)
        .add_duration("x", 1e-6)
        .add_duration("sx", 2e-6)
        .add_duration("sx", 5e-6, [2])
        .add_duration("cx", 10e-6)
    )
    # Microseconds before the end: x on 0 from 1 to 0, sx on 1 from 2 to 0, cx 0,1 from 12 to 2,
    # x on 0 from 13 to 12, sx on 2 from 5 to 0, cx 0,2 from 23 to 13.
    circuit = Circuit(3).cx(0, 2).x(0).sx(2).cx(0, 1).sx(1).x(0)
    applied = noise.applied(circuit).operations
    waits = [op for op in applied if isinstance(op.gate, Channel)]
    assert [(op.qubits, op.gate.arguments[2]) for op in waits] == [((2,), 8e-6), ((0,), 1e-6)]
    # Another gate on 1 moves all that comes before it on its neighbours.
    later = noise.applied(circuit.copy().x(1).barrier()).operations
    waits = [op for op in later if isinstance(op.gate, Channel)]
    assert [(op.qubits, op.gate.arguments[2]) for op in waits] == [((2,), 9e-6), ((0,), 2e-6)]


def test_idle_time_shrinks_coherence() -> None:
    noise = (
        NoiseModel()
        .add_relaxation(0, None, 50e-6)
        .add_duration("h", 0.0)
        .add_duration("x", 10e-6)
        .add_duration("cx", 0.0)
    )
    circuit = Circuit(2).h(0).cx(0, 1).x(1).cx(0, 1)
    found = expval(circuit, [PauliString("IX")], noise=noise, dtype=torch.complex128)
    assert found.item() == pytest.approx(np.exp(-10 / 50), abs=1e-12)


def test_numbers_make_the_stated_infidelities() -> None:
    noise = NoiseModel.from_numbers(
        2,
        errors={"sx": 1e-3, "cx": 2e-2},
        durations={"sx": 30e-9, "cx": 300e-9, "rz": 0.0},
        t1=[80e-6, 60e-6],
        t2=50e-6,
        readout=[(0.01, 0.03), (0.02, 0.05)],
    )
    assert noise.basis == {"sx", "cx", "rz"}
    assert noise.readout_errors == {0: (0.01, 0.03), 1: (0.02, 0.05)}
    for gate, qubits, error in (("sx", (1,), 1e-3), ("cx", (0, 1), 2e-2)):
        empty = Circuit(2).append(gate, qubits)
        following = [op for op in noise.applied(empty).operations if isinstance(op.gate, Channel)]
        total = np.eye(4 ** len(qubits))
        for operation in following:
            matrix = operation.gate.ptm()
            if operation.gate.num_qubits < len(qubits):
                parts = [matrix if q == operation.qubits[0] else np.eye(4) for q in (1, 0)]
                matrix = np.kron(*parts)
            total = matrix @ total
        dim = 2 ** len(qubits)
        fidelity = (np.trace(total) / dim + 1) / (dim + 1)
        assert fidelity == pytest.approx(1 - error, abs=1e-12)


def full_model() -> NoiseModel:
    return (
        NoiseModel(basis=frozenset({"cx", "sx"}))
        .add("cx", channels.pauli_channel({"XI": 0.1}), [0, 1])
        .add("cx", channels.crosstalk_zz(0.1), [0, 1], on=[1, 2])
        .add("sx", channels.kraus([np.diag([1, 0.6]), [[0, 0.8], [0, 0]]]))
        .add("sx", channels.unitary_error([[0, 1j], [1, 0]]), [2])
        .add_readout([0, 2], 0.01, 0.02)
        .add_relaxation([1], 50e-6, 60e-6, 0.1)
        .add_relaxation([2], None, None)
        .add_duration("cx", 300e-9, [0, 1])
        .add_duration("sx", 30e-9)
    )


def test_models_survive_files(tmp_path: Path) -> None:
    model = full_model()
    path = model.save(tmp_path / "deep" / "noise.json")
    again = NoiseModel.load(path)
    assert again == model
    assert hash(again) == hash(model)
    assert [p.name for p in path.parent.iterdir()] == ["noise.json"]
    assert json.loads(path.read_text())["version"] == 1


@settings(max_examples=25)
@given(data=st.data())
def test_any_channel_survives_json(
    data: st.DataObject, channel_strategy: st.SearchStrategy[Channel]
) -> None:
    channel = data.draw(channel_strategy)
    model = NoiseModel().add("cx" if channel.num_qubits == 2 else "h", channel)
    assert NoiseModel.from_dict(json.loads(json.dumps(model.to_dict()))) == model


def test_models_are_cut_to_some_qubits() -> None:
    part = full_model().on([2, 1])
    assert {noise.qubits for noise in part.gates} == {None, (0,)}
    assert part.readout_errors == {0: (0.01, 0.02)}
    assert {known.qubit for known in part.relaxation} == {0, 1}
    assert {duration.gate for duration in part.durations} == {"sx"}


def test_a_growing_circuit_gets_its_noise() -> None:
    noise, circuit = NoiseModel().add("x", channels.bit_flip(0.5)), Circuit(1).x(0)
    assert expval(circuit, noise=noise).item() == pytest.approx(0)
    circuit.x(0).ry(0.0, 0)
    assert expval(circuit, noise=noise).item() == pytest.approx(0)
    assert expval(circuit).item() == pytest.approx(1)


BASIS = NoiseModel(basis=frozenset({"sx", "rz"}))


def run(noise: NoiseModel, circuit: Circuit) -> Callable[[], Any]:
    return lambda: expval(circuit, noise=noise)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            run(NoiseModel().add("cx", MIX), Circuit(2).h(0)),
            "after the gate cx, but the",
        ),
        (run(NoiseModel().add_readout(2, 0.1, 0.1), Circuit(2).h(0)), "names qubit 2"),
        (run(NoiseModel().add("h", FLIP, [3]), Circuit(2).h(0)), "names qubit 3"),
        (run(BASIS, Circuit(2).h(0)), "knows the gates rz, sx, but the circuit has h: compile it"),
        (
            run(NoiseModel().add_relaxation(0, 1.0, 1.0), Circuit(2).h(0)),
            "no duration of h on \\[0\\]",
        ),
        (lambda: NoiseModel().add("hh", FLIP), "no gate 'hh'"),
        (lambda: NoiseModel().add(3, FLIP), "by its name"),  # type: ignore[arg-type]
        (lambda: NoiseModel().add("h", 0.1), "is a channel, not 0.1"),  # type: ignore[arg-type]
        (lambda: NoiseModel().add("h", MIX), "acts on 2 qubits, but h on 1"),
        (lambda: NoiseModel().add("h", FLIP, [0, 1]), "h acts on 1 qubits, not on"),
        (
            lambda: NoiseModel().add("h", MIX, on=[0, 1]),
            "is said by both qubits=..., those of the gate, and on=..., 2",
        ),
        (lambda: NoiseModel().add("cx", MIX, [0, 0]), "different whole numbers"),
        (lambda: NoiseModel().add_readout(0, 1.1, 0.1), "to read 1 for |0>"),
        (lambda: NoiseModel().add_relaxation(0, 1.0, 3.0), "above 2 T1"),
        (lambda: NoiseModel().add_duration("h", -1.0), "0 seconds or more"),
        (lambda: NoiseModel.from_dict({}), "no qsim noise model"),
        (lambda: NoiseModel.from_dict({"format": "qsim noise model", "version": 9}), "version 9"),
        (
            lambda: NoiseModel.from_dict({"format": "qsim noise model", "version": 1}),
            "no noise model as 'to_dict' writes it",
        ),
        (lambda: NoiseModel.load("/nonexistent/noise.json"), "cannot read"),
        (lambda: NoiseModel.from_numbers(2, errors={"cx": 1.5}), "from 0 to below 1"),
        (lambda: NoiseModel.from_numbers(2, errors={"no": 0.1}), "no gate 'no'"),
        (lambda: NoiseModel.from_numbers(2, errors={}, t1=[1.0]), "have 2 entries"),
    ],
)
def test_what_does_not_fit_gets_a_sentence(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("|0>", "\\|0>")):
        call()


def test_a_damaged_file_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "noise.json"
    path.write_text('{"format": ')
    with pytest.raises(UsageError, match="is damaged"):
        NoiseModel.load(path)
