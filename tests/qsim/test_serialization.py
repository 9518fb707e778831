"""Circuits and states as files: what is read is what was written, and damage is named."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qsim import (
    GATES,
    Channel,
    Circuit,
    Gate,
    Input,
    Instruction,
    Parameter,
    State,
    UsageError,
    Weight,
    channels,
    outcome_probabilities,
    state,
)
from qsim.parameters import derived


def through_json(circuit: Circuit) -> Circuit:
    return Circuit.from_dict(json.loads(json.dumps(circuit.to_dict())))


@pytest.mark.parametrize("gate", GATES.values(), ids=lambda g: g.name)
def test_every_gate_is_kept(gate: Gate) -> None:
    angles = [Weight(0), 0.1 + 0.2, 2 * Input(1) - 0.5, Parameter("a")][: gate.num_params]
    circuit = Circuit(6).append(gate, [5, 2, 4, 0, 3][: gate.num_qubits], angles)
    assert through_json(circuit) == circuit


@settings(max_examples=40)
@given(data=st.data())
def test_circuits_are_kept(circuits: Callable, data: st.DataObject) -> None:
    circuit = data.draw(circuits(max_qubits=5, max_steps=20, any_size=True))
    assert through_json(circuit) == circuit


def test_gates_of_any_size_are_kept() -> None:
    circuit = Circuit(6, num_weights=3).mcry(Weight(0), [0, 1, 2], 3, ctrl_state="101")
    circuit.pauli_rotation(0.3, "XYZ", [5, 0, 2]).barrier([1, 2]).permutation([3, 1, 0, 2], [4, 5])
    circuit.controlled_unitary([[0, 1j], [1, 0]], [0, 3], 1, ctrl_state=2)
    circuit.diagonal(np.exp(1j * np.arange(4)), [2, 1]).rv(Weight(0), 0.3, Input(0), 1)
    assert through_json(circuit) == circuit


def test_expressions_functions_and_registers_are_kept() -> None:
    circuit = Circuit(3, num_weights=4)
    data = circuit.register("data", 2)
    circuit.rx(Weight(0) * Weight(2) + 0.5 * Parameter("a") * Parameter("a") - 1, data[1])
    circuit.ry(derived(torch.sin, 2 * Input(1)) + 3, 0)
    back = through_json(circuit)
    assert back == circuit
    assert dict(back.registers) == dict(circuit.registers)


def test_tensors_keep_values_and_identity() -> None:
    angle = torch.tensor([0.1, 0.2], requires_grad=True)
    other = torch.tensor(0.3, requires_grad=True)
    circuit = Circuit(2).rx(angle, 0).ry(other * Weight(0), 1).rz(angle, 1)
    weights = torch.tensor([0.7])
    assert len(circuit.to_dict()["tensors"]) == 2
    back = through_json(circuit)
    found = state(back, weights)
    torch.testing.assert_close(found, state(circuit, weights), atol=0, rtol=0)
    assert found.requires_grad


@pytest.mark.parametrize("name", ["circuit.json", "circuit.qasm", "deep/circuit"])
def test_files_of_circuits(tmp_path: Path, name: str) -> None:
    circuit = Circuit(3).h(0).cx(0, 2).u3(0.1, 2 * Weight(1) - 0.5, Input(0), 1)
    path = circuit.save(tmp_path / name)
    assert Circuit.load(path) == circuit
    assert [p.name for p in path.parent.iterdir() if p.is_file()] == [path.name]
    assert path.read_text().startswith("OPENQASM 3" if path.suffix == ".qasm" else '{"format"')


def nested(depth: int) -> Circuit:
    body = Circuit(1).x(0)
    for _ in range(depth):
        body = Circuit(1).if_test((0, 1), body)
    return Circuit(1).measure(0).compose(body)


def test_channels_and_dynamic_instructions_are_kept(tmp_path: Path) -> None:
    angle = torch.tensor(0.3, requires_grad=True)
    body = Circuit(2).rx(angle * Weight(0), 0).append(channels.depolarizing(0.1, 2), [1, 0])
    body.measure(1, 2).switch([2, 0], {(0, 3): Circuit(1).ry(Input(0), 0)}, Circuit(1).reset(), [1])
    circuit = Circuit(3, num_clbits=5).rx(angle, 2).measure([0, 1, 2])
    circuit.if_test(([1, 0], {1, 2}), body, Circuit(2).h(1), qubits=[2, 0])
    circuit.switch(1, {0: Circuit(1).z(0), 1: Circuit(1)}).while_loop((0, 0), body, 3, [0, 1])
    again = through_json(circuit)
    assert len(circuit.to_dict()["tensors"]) == 1
    found = Circuit.load(circuit.save(tmp_path / "circuit.json"))
    weights, inputs = torch.tensor([0.7]), torch.tensor([0.2])
    for back in (again, found):
        assert back.num_clbits == 5
        assert repr(back).replace("tensor", "") == repr(circuit).replace("tensor", "")
        values = outcome_probabilities(back, weights, inputs)
        torch.testing.assert_close(
            values, outcome_probabilities(circuit, weights, inputs), atol=0, rtol=0
        )
    assert through_json(nested(64)) == nested(64)
    with pytest.raises(UsageError, match="nested 64 deep at most"):
        nested(65).to_dict()


def test_channels_of_others_are_kept_by_their_operators() -> None:
    made = channels.amplitude_damping(0.3)
    other = Channel("mine", 1, (), made.operators)
    (operation,) = through_json(Circuit(1).append(other, 0)).operations
    assert operation.gate == channels.kraus(made.kraus)
    with pytest.raises(UsageError, match="the instruction mine cannot be saved"):
        Circuit(1).append(Instruction("mine", 1), 0).to_dict()


def test_classical_registers_are_kept(tmp_path: Path) -> None:
    circuit = Circuit(3)
    circuit.register("data", [1, 2])
    circuit.classical_register("syndrome", 2)
    circuit.classical_register("final", [3, 2])
    circuit.h(0).measure([0, 2], [1, 3]).if_test(([0, 1], 2), Circuit(1).x(0))
    for back in (through_json(circuit), circuit.copy(), circuit.bind(), Circuit.load(
        circuit.save(tmp_path / "circuit.json")
    )):  # fmt: skip
        assert dict(back.classical_registers) == dict(circuit.classical_registers)
        assert dict(back.registers) == dict(circuit.registers)
        assert back == circuit
        assert back.num_clbits == 4


def test_dynamic_circuits_are_saved_as_openqasm_3(tmp_path: Path) -> None:
    circuit = Circuit(2).h(0).measure(0).reset(0)
    circuit.if_test((0, 1), Circuit(1).ry(Weight(0), 0), Circuit(1).x(0), [1]).measure(1)
    assert Circuit.load(circuit.save(tmp_path / "circuit.qasm")) == circuit
    noisy = Circuit(1).measure(0).if_test((0, 1), Circuit(1).append(channels.bit_flip(0.1), 0))
    with pytest.raises(UsageError, match=r"no channels, but the circuit has bit_flip\(0.1\) 0"):
        noisy.save(tmp_path / "circuit.qasm")


def test_earlier_versions_are_read() -> None:
    first = {
        "format": "qsim circuit",
        "version": 1,
        "num_qubits": 2,
        "registers": {"data": [0]},
        "tensors": [],
        "operations": [{"gate": "cx", "qubits": [0, 1], "params": []}],
    }
    back = Circuit.from_dict(first)
    assert back == Circuit(2).cx(0, 1)
    assert list(back.registers) == ["data"]


def deep(depth: int) -> list[dict]:
    """Operations with bodies in bodies, as a file may hold them."""
    inside: list[dict] = operation()
    for _ in range(depth):
        body = {"num_qubits": 1, "operations": inside}
        inside = operation(gate={"while_loop": [[0], [{"values": [0], "body": body}], 2]})
    return inside


def endless(depth: int) -> list[dict]:
    """A function of a function of ..."""
    angle: object = 0.1
    for _ in range(depth):
        angle = {"terms": [[1, [{"function": "sin", "arguments": [angle]}]]]}
    return operation(gate="rx", params=[angle])


def change(**fields: object) -> dict:
    return {**Circuit(2).h(0).rx(0.1, 1).to_dict(), **fields}


def operation(**fields: object) -> list[dict]:
    return [{"gate": "h", "qubits": [0], "params": [], **fields}]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "this dictionary is no qsim circuit"),
        ({"num_qubits": 2}, "this dictionary is no qsim circuit"),
        (change(version=3), "version 3, and this release reads up to 2: upgrade"),
        (change(version="1"), "without a version"),
        (change(num_qubits=0), "one qubit or more"),
        (change(operations=operation(gate="hadamrd")), "no gate 'hadamrd'; did you mean hadamard"),
        (change(operations=operation(gate={"magic": [1]})), "no family of gates 'magic'"),
        (change(operations=operation(gate=["h"])), "no circuit as 'to_dict' writes it"),
        (change(operations=operation(gate={"unitary": [1, [[1, 0]]]})), "no circuit as"),
        (change(operations=operation(qubits=[2])), "h on qubit 2"),
        (change(operations=operation(params=[0.3])), "h takes 0 angles"),
        (change(operations=[{"gate": "h"}]), "no circuit as 'to_dict' writes it: KeyError"),
        (change(operations=operation(gate="rx", params=[{"terms": [[1, [{"function": "eval",
         "arguments": [1]}]]]}])), "no function of angles 'eval'"),
        (change(operations=operation(gate="rx", params=[{"terms": [[1, [{"tensor": 0}]]]}])),
         "no circuit as"),
        (change(operations=operation(gate={"channel": ["magic", []]})), "no channel 'magic'"),
        (change(operations=operation(gate={"channel": ["bit_flip", [2]]})), "from 0 to 1, not 2"),
        (change(operations=operation(gate={"channel": ["bit_flip", []]})), "does not take"),
        (change(operations=operation(gate={"channel": []})), "no circuit as"),
        (change(operations=operation(gate={"measure": [-1]})), "0 or above, not into"),
        (change(operations=operation(gate={"measure": [0, 1]})), "no circuit as"),
        (change(operations=operation(gate={"if_else": [[0], []]})), "no circuit as"),
        (change(operations=operation(gate={"while_loop": [[0], []]})), "no circuit as"),
        (change(operations=operation(gate={"switch_case": [[0], [{}]]})), "no circuit as"),
        (change(operations=deep(65)), "nested 64 deep at most"),
        (change(operations=deep(5000)), "nested 64 deep at most"),
        (change(operations=endless(2000)), "no circuit as 'to_dict' writes it: RecursionError"),
        (change(num_qubits=1e400), "one qubit or more"),
        (change(classical_registers={"a": [0, 0]}), "register 'a' of .* does not fit"),
        (change(classical_registers=[1]), "no circuit as"),
    ],
)  # fmt: skip
def test_what_is_no_circuit_is_refused(value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Circuit.from_dict(value)


def test_damaged_files_of_circuits_are_named(tmp_path: Path) -> None:
    path = Circuit(2).h(0).save(tmp_path / "circuit.json")
    whole = path.read_text()
    path.write_text(whole[:-7])
    with pytest.raises(UsageError, match=r"circuit\.json' is damaged .* restore it .* anew"):
        Circuit.load(path)
    path.write_text("[" * 100_000)
    with pytest.raises(UsageError, match=r"circuit\.json' is damaged"):
        Circuit.load(path)
    path.write_text(whole.replace('"version":2', '"version":9'))
    with pytest.raises(UsageError, match=r"circuit\.json' is a qsim circuit of version 9"):
        Circuit.load(path)
    with pytest.raises(UsageError, match=r"cannot read '.*missing' \(no such file"):
        Circuit.load(tmp_path / "missing")


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path, monkeypatch) -> None:
    path = Circuit(2).h(0).save(tmp_path / "circuit.json")
    earlier = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match=r"cannot write .* \(no space left on device\)"):
        Circuit(3).save(path)
    assert path.read_bytes() == earlier
    assert [p.name for p in tmp_path.iterdir()] == ["circuit.json"]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("batch", [[], [3]])
def test_states_are_kept_exactly(tmp_path: Path, dtype: torch.dtype, batch: list[int]) -> None:
    amplitudes = torch.randn(*batch, 8, dtype=dtype)
    for rows in (amplitudes, amplitudes.conj()):
        path = State(rows).save(tmp_path / "state.safetensors")
        found = State.load(path).amplitudes
        assert found.dtype == dtype
        assert torch.equal(found, rows.resolve_conj())


def test_damaged_states_are_named(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = State(torch.tensor([1, 0j])).save(tmp_path / "state")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UsageError, match="state' is damaged"):
        State.load(path)
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="state' is damaged"):
        State.load(path)
    save_file({"amplitudes": torch.zeros(2, 2)}, path, {"format": "qsim state", "version": "2"})
    with pytest.raises(UsageError, match="version 2, and this release reads up to 1"):
        State.load(path)
    save_file({"weights": torch.zeros(2)}, path)
    with pytest.raises(UsageError, match="is no qsim state"):
        State.load(path)
    save_file({"weights": torch.zeros(2)}, path, {"format": "qsim state", "version": "1"})
    with pytest.raises(UsageError, match="holds no amplitudes"):
        State.load(path)
    with pytest.raises(UsageError, match="cannot read"):
        State.load(tmp_path / "missing")
