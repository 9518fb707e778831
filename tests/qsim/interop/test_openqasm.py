"""OpenQASM 2 and 3: the same states both ways, and sentences for what is wrong or hostile."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import qasm3
from qiskit.quantum_info import Statevector

from qsim import GATES, Circuit, Gate, Input, Parameter, UsageError, Weight, state
from qsim.interop.openqasm import MAX_BYTES, from_openqasm, to_openqasm2, to_openqasm3

THREE = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
TWO = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'


def assert_same_but_for_a_phase(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    overlap = torch.vdot(theirs, ours)
    torch.testing.assert_close(ours, theirs * overlap / overlap.abs(), atol=1e-11, rtol=0)


def spread(gate: Gate) -> Circuit:
    """The gate on a state that shows its whole matrix."""
    circuit = Circuit(gate.num_qubits)
    for qubit in range(gate.num_qubits):
        circuit.u3(0.4 + qubit, 0.3, 0.2, qubit)
    return circuit.append(gate, range(gate.num_qubits), [0.3 + k for k in range(gate.num_params)])


@pytest.mark.parametrize("gate", GATES.values(), ids=lambda g: g.name)
def test_every_gate_keeps_its_state(gate: Gate) -> None:
    circuit = spread(gate)
    expected = state(circuit, dtype=torch.complex128)
    text = to_openqasm3(circuit)
    assert text.startswith("OPENQASM 3")
    for found in (
        state(from_openqasm(text), dtype=torch.complex128),
        torch.tensor(Statevector(qasm3.loads(text)).data),
    ):
        torch.testing.assert_close(found, expected, atol=1e-11, rtol=0)
    again = state(from_openqasm(to_openqasm2(circuit)), dtype=torch.complex128)
    assert_same_but_for_a_phase(again, expected)


@settings(max_examples=20)
@given(data=st.data())
def test_circuits_come_back(circuits: Callable, tensors: Callable, data: st.DataObject) -> None:
    circuit = data.draw(circuits(max_qubits=4, max_steps=12, any_size=True))
    weights, inputs = data.draw(tensors(torch.float64, None))
    expected = state(circuit, weights, inputs)
    back = from_openqasm(to_openqasm3(circuit))
    found = state(
        back, weights[: back.num_weights], inputs[: back.num_inputs], dtype=torch.complex128
    )
    torch.testing.assert_close(found, expected, atol=1e-11, rtol=0)
    text = to_openqasm2(circuit.bind(weights, inputs))
    assert_same_but_for_a_phase(state(from_openqasm(text), dtype=torch.complex128), expected)


def test_symbols_are_inputs_of_the_program() -> None:
    circuit = Circuit(1).rx(Weight(0), 0).rz(2 * Input(1) + 0.5, 0).ry(Parameter("beta"), 0)
    text = to_openqasm3(circuit)
    declared = [line for line in text.splitlines() if line.startswith("input float[64]")]
    assert len(declared) == 3
    assert from_openqasm(text) == circuit


def test_definitions_and_files(tmp_path: Path) -> None:
    path = tmp_path / "bell.qasm"
    path.write_text(
        THREE + "gate twice(a) p, q { rx(a) p; ctrl @ rx(2 * a) q, p; gphase(a / 2); }\n"
        "qubit[2] data;\ntwice(0.3) data[1], data[0];\nnegctrl @ x data[0], data[1];\n"
    )
    expected = Circuit(2).rx(0.3, 1).crx(0.6, 0, 1).globalphase(0.15)
    expected.controlled("x", 0, 1, ctrl_state=0)
    for source in (path, str(path), path.read_text()):
        circuit = from_openqasm(source)
        assert list(circuit.registers) == ["data"]
        torch.testing.assert_close(state(circuit), state(expected))


def test_definitions_of_version_2() -> None:
    text = TWO + "qreg a[1]; qreg b[2]; gate g(t) p, q { u1(t/2) p; cx p, q; }\ng(pi) a[0], b[1];"
    circuit = from_openqasm(text)
    assert {name: list(r) for name, r in circuit.registers.items()} == {"a": [0], "b": [1, 2]}
    torch.testing.assert_close(state(circuit), state(Circuit(3).p(np.pi / 2, 0).cx(0, 2)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (THREE + "qubit[2] q;\n  foo q[0];", r"OpenQASM, line 4, column 3: gate 'foo'"),
        (TWO + "qreg q[2];\n  foo q[0];", r"OpenQASM, line 4, column 3: 'foo' is not defined"),
        (THREE + "qubit q; rx(a) q;", "line 3, column 13: Undefined symbol 'a'"),
        (THREE + "qubit[2] q; x((q[0];", "no OpenQASM"),
        (TWO + "qreg q[2]; x((q[0];", "line 3, column"),
        ("qubit q; x q;", "does not begin as OpenQASM"),
    ],
)
def test_what_is_wrong_is_placed(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        from_openqasm(text)


def test_the_place_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "wrong.qasm"
    path.write_text(THREE + "qubit q;\nfoo q;\n")
    with pytest.raises(UsageError, match=r"wrong\.qasm, line 4, column 1: gate 'foo'"):
        from_openqasm(path)
    path.write_bytes(b"OPENQASM 3;\n\xff\xfe")
    with pytest.raises(UsageError, match="is no text"):
        from_openqasm(path)
    with pytest.raises(UsageError, match=r"cannot read '.*missing\.qasm'"):
        from_openqasm(tmp_path / "missing.qasm")


BOMB = "".join(f"gate g{k + 1} q {{ g{k} q; g{k} q; }}\n" for k in range(60))


@pytest.mark.parametrize("start", [TWO + "qreg q[2];\n", THREE + "qubit[2] q;\n"])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("rx(" + "(" * 10**5 + "1" + ")" * 10**5 + ") q[0];", "nests 100,001 brackets"),
        ("rx(" + "-" * 10**5 + "1) q[0];", "a statement of 100,000 operators"),
        ("rx(" + "2^" * 10**5 + "2) q[0];", "a statement of 100,000 operators"),
        ("gate g q " + "{ " * 10**5, "nests 100,000 brackets"),
        ("// (((\n" * 10**7, "more than the .* that are read"),
    ],
)
def test_hostile_text_is_refused_unparsed(start: str, body: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        from_openqasm(start + body)


@pytest.mark.parametrize("word", ["bit ", "/*", "OPENQASM ", "qreg a[1", "bit[1"])
def test_looking_at_hostile_text_takes_linear_time(word: str) -> None:
    """Quadratic time would be minutes here."""
    with pytest.raises(UsageError):
        from_openqasm(TWO + word * (10**6 // len(word)) + "+" * 1000)


@pytest.mark.parametrize("declaration", [TWO + "qreg q[{}];", THREE + "qubit[{}] q;"])
def test_huge_registers_are_refused(declaration: str) -> None:
    assert from_openqasm(declaration.format(1000)).num_qubits == 1000
    with pytest.raises(UsageError, match="register of more than 99,999 bits"):
        from_openqasm(declaration.format(10**9))
    with pytest.raises(UsageError, match="register of more than 99,999 bits"):
        from_openqasm(declaration.format("2 * 1_000_000"))


def test_text_that_is_nested_without_brackets_is_refused() -> None:
    with pytest.raises(UsageError, match="nests its statements"):
        from_openqasm(THREE + "bit c; qubit q;\n" + "if (c) " * 2000 + "x q;")


def test_large_files_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.qasm"
    with path.open("wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(UsageError, match=f"104,857,600 bytes, more than the {MAX_BYTES[2]:,}"):
        from_openqasm(path)


def test_definitions_that_double_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qsim.interop.qiskit.reading.MAX_INSTRUCTIONS", 10_000)
    text = TWO + "qreg q[1];\ngate g0 q { x q; }\n" + BOMB + "g60 q[0];"
    with pytest.raises(UsageError, match="more than 10,000 instructions"):
        from_openqasm(text)


def test_openqasm_2_takes_numbers_only() -> None:
    with pytest.raises(UsageError, match=r"the circuit has w\[0\]: bind or assign"):
        to_openqasm2(Circuit(1).rx(Weight(0), 0))
