"""Dynamic circuits to and from Qiskit and OpenQASM 3: Aer and we draw the same outcomes."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3
from qiskit.circuit import Parameter as QiskitParameter
from qiskit.circuit.classical import expr, types
from qiskit_aer import AerSimulator
from scipy.stats import chisquare

from qsim import Circuit, Input, Parameter, UsageError, Weight, outcome_probabilities
from qsim.instructions import Instruction
from qsim.interop.openqasm import from_openqasm, to_openqasm2, to_openqasm3
from qsim.interop.qiskit import from_qiskit, to_qiskit

SHOTS = 4000


def assert_same_counts(theirs: QuantumCircuit, circuit: Circuit) -> None:
    """Aer's counts have our exact probabilities, by a chi-square test."""
    result = AerSimulator(seed_simulator=7).run(theirs, shots=SHOTS).result()
    assert result.success, result.status
    exact = outcome_probabilities(circuit, dtype=torch.complex128).tolist()
    counts = {int(bits.replace(" ", ""), 2): n for bits, n in result.get_counts().items()}
    assert all(exact[value] > 1e-9 for value in counts)
    often = [value for value, p in enumerate(exact) if p * SHOTS >= 5]
    found = [counts.get(value, 0) for value in often]
    expected = [exact[value] * sum(found) / sum(exact[v] for v in often) for value in often]
    if len(often) > 1:
        assert chisquare(found, expected).pvalue > 1e-4


def assert_same_outcomes(one: Circuit, other: Circuit) -> None:
    torch.testing.assert_close(
        outcome_probabilities(one, dtype=torch.complex128),
        outcome_probabilities(other, dtype=torch.complex128),
    )


@settings(max_examples=25)
@given(data=st.data())
def test_aer_draws_the_same(dynamic_circuits: Callable, data: st.DataObject) -> None:
    circuit = data.draw(dynamic_circuits(symbols=False))
    assert_same_counts(to_qiskit(circuit), circuit)


@settings(max_examples=40)
@given(data=st.data())
def test_circuits_come_back_from_qiskit(dynamic_circuits: Callable, data: st.DataObject) -> None:
    circuit = data.draw(dynamic_circuits())
    weights, inputs = torch.tensor([0.4, -1.1]), torch.tensor([2.0, 0.7])
    back = from_qiskit(to_qiskit(circuit))
    assert_same_outcomes(back.bind(weights, inputs), circuit.bind(weights, inputs))


def test_records_come_back_as_they_were() -> None:
    body = Circuit(1).rx(2 * Weight(0) + Input(1) * Parameter("a"), 0).measure(0, 1)
    circuit = Circuit(2).h(0).measure(0).reset(0).if_test((0, 1), body, Circuit(1).x(0), [1])
    circuit.while_loop(([0, 1], 2), body, most=3, qubits=[1]).switch(1, {0: body, 1: Circuit(1)})
    circuit.switch([0, 1], {(1, 3): body}, Circuit(1).x(0), qubits=[1])
    assert from_qiskit(to_qiskit(circuit)) == circuit


@settings(max_examples=25)
@given(data=st.data())
def test_openqasm_is_read_as_the_same_circuit(
    dynamic_circuits: Callable, data: st.DataObject
) -> None:
    circuit = data.draw(dynamic_circuits(symbols=False))
    assert_same_outcomes(from_qiskit(qasm3.loads(to_openqasm3(circuit))), circuit)


def written_in_qiskit() -> QuantumCircuit:
    """Control flow as Qiskit's own builders make it, on two registers."""
    circuit = QuantumCircuit(
        QuantumRegister(3, "q"), ClassicalRegister(2, "c"), ClassicalRegister(2, "d")
    )
    c, d = circuit.cregs
    circuit.h([0, 1])
    circuit.measure([0, 1, 2, 0], [*c, *d])
    with circuit.if_test((c, 2)) as otherwise:
        circuit.rx(0.8, 2)
        with circuit.if_test(expr.less(d, 1)):
            circuit.ry(1.1, 0)
    with otherwise:
        circuit.h(2)
    circuit.measure([2, 0], d)
    with circuit.for_loop([1, 3], QiskitParameter("t")) as t:
        circuit.rx(0.4 * t, 1)
        circuit.measure(1, c[1])
    with circuit.switch(d) as case:
        with case(1, 2):
            circuit.x(0)
        with case(case.DEFAULT):
            circuit.ry(0.4, 0)
    with circuit.if_test(expr.logic_or(expr.logic_not(c[0]), expr.equal(d, 3))):
        circuit.reset(1)
    circuit.measure([0, 1], c)
    return circuit


def test_control_flow_of_qiskits_own_is_read() -> None:
    circuit = from_qiskit(written_in_qiskit())
    assert circuit.num_clbits == 4
    assert_same_counts(written_in_qiskit(), circuit)


def test_a_while_loop_of_qiskits_needs_a_bound() -> None:
    source = QuantumCircuit(1, 1)
    source.h(0)
    source.measure(0, 0)
    with source.while_loop((source.clbits[0], 0)):
        source.h(0)
        source.measure(0, 0)
    with pytest.raises(UsageError, match=r"has no bound: pass most_rounds=\.\.\."):
        from_qiskit(source)
    circuit = from_qiskit(source, most_rounds=12)
    assert outcome_probabilities(circuit)[0].item() == pytest.approx(2**-13)
    assert_same_counts(to_qiskit(circuit), circuit)
    assert from_openqasm(qasm3.dumps(source), most_rounds=12) == circuit


def test_measurements_inside_of_definitions_are_read() -> None:
    inner = QuantumCircuit(2, 2)
    inner.h(0)
    inner.measure(0, 1)
    outer = QuantumCircuit(3, 3)
    outer.append(inner.to_instruction(), [2, 0], [1, 0])
    with outer.box():
        outer.x(1)
    expected = Circuit(3, num_clbits=3).h(2).measure(2, 0).x(1)
    assert from_qiskit(outer) == expected


def flip(circuit: QuantumCircuit, number: int) -> None:
    for qubit in range(2):
        if number >> qubit & 1:
            circuit.x(qubit)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        (lambda c: expr.bit_not(c), [3, 2, 1, 0]),
        (lambda c: expr.bit_or(c, 1), [1, 1, 3, 3]),
        (lambda c: expr.add(c, 3), [3, 0, 1, 2]),
        (lambda c: expr.shift_left(c, 1), [0, 2, 0, 2]),
        (lambda c: expr.cast(expr.less(c, 2), types.Uint(2)), [1, 1, 0, 0]),
        (lambda c: expr.cast(expr.greater_equal(c, 2), types.Uint(2)), [0, 0, 1, 1]),
        (lambda c: expr.cast(expr.equal(c, 2), types.Uint(2)), [0, 0, 1, 0]),
        (lambda c: expr.cast(expr.index(c, 1), types.Uint(2)), [0, 0, 1, 1]),
        (lambda c: expr.cast(expr.not_equal(c, c), types.Uint(2)), [0, 0, 0, 0]),
    ],
)
def test_expressions_have_their_values(expression: Callable, values: list[int]) -> None:
    for prepared, value in enumerate(values):
        source = QuantumCircuit(QuantumRegister(2, "q"), ClassicalRegister(2, "c"))
        flip(source, prepared)
        source.measure([0, 1], [0, 1])
        source.reset([0, 1])
        with source.switch(expression(source.cregs[0])) as case:
            for number in range(4):
                with case(number):
                    flip(source, number)
        source.measure([0, 1], [0, 1])
        assert outcome_probabilities(from_qiskit(source)).argmax().item() == value


def left_by_break() -> QuantumCircuit:
    source = QuantumCircuit(1, 1)
    source.measure(0, 0)
    with source.for_loop(range(2)), source.if_test((source.clbits[0], 1)):
        source.break_loop()
    return source


def with_a_variable() -> QuantumCircuit:
    source = QuantumCircuit(1, 1)
    flag = source.add_input("flag", types.Bool())
    with source.if_test(flag):
        source.x(0)
    return source


def test_what_has_no_counterpart_is_refused() -> None:
    with pytest.raises(UsageError, match="loops are not left by break"):
        from_qiskit(left_by_break())
    with pytest.raises(UsageError, match="no variables besides classical bits: 'flag'"):
        from_qiskit(with_a_variable())
    with pytest.raises(UsageError, match="OpenQASM 2 has no if_else: write OpenQASM 3"):
        to_openqasm2(Circuit(1).measure(0).if_test((0, 1), Circuit(1).x(0)))
    with pytest.raises(UsageError, match="nothing like event 0"):
        to_qiskit(Circuit(1).append(Instruction("event", 1), 0))


def test_dynamic_circuits_are_drawn() -> None:
    circuit = Circuit(2).h(0).measure(0).if_test((0, 1), Circuit(1).x(0), qubits=[1])
    text = str(circuit.draw())
    assert "If-0" in text
    assert "c: 1/" in text


def named() -> Circuit:
    circuit = Circuit(3)
    circuit.classical_register("syndrome", 2)
    circuit.classical_register("final", 1)
    circuit.h(0).measure([0, 1], [1, 0]).switch([0, 1], {1: Circuit(1).x(0), 2: Circuit(1).h(0)})
    circuit.if_test((1, 1), Circuit(1).if_test((0, 0), Circuit(1).x(0)), qubits=[1])
    return circuit.measure(2, 2)


def test_names_of_classical_registers_are_kept() -> None:
    converted = to_qiskit(named())
    assert [(own.name, own.size) for own in converted.cregs] == [("syndrome", 2), ("final", 1)]
    theirs = converted.data[3].operation
    assert theirs.name == "switch_case"
    assert theirs.target.name == "syndrome"
    assert from_qiskit(converted) == named()
    for back in (from_qiskit(converted), from_openqasm(to_openqasm3(named()))):
        assert_same_outcomes(back, named())
        assert dict(back.classical_registers) == dict(named().classical_registers)


def test_bits_without_a_name_and_shared_bits_stand_beside_registers() -> None:
    partly = Circuit(2).measure([0, 1], [0, 3])
    partly.classical_register("c", 2)
    assert [own.name for own in to_qiskit(partly).cregs] == ["c", "c_"]
    shared = named()
    shared.classical_register("again", [2, 0])
    back = from_qiskit(to_qiskit(shared))
    assert back == shared
    assert dict(back.classical_registers) == dict(shared.classical_registers)
