"""Circuits with measurements, resets and control: how they are built, changed and looked at."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qsim import (
    Circuit,
    Control,
    Input,
    Measure,
    Parameter,
    UsageError,
    Weight,
    expval,
    outcome_probabilities,
)

F64 = torch.float64


def adaptive() -> Circuit:
    body = Circuit(1).rx(2 * Weight(1), 0).rz(Parameter("a") * Input(0), 0).measure(0, 2)
    circuit = Circuit(2).ry(Weight(0), 0).measure(0, 1)
    return circuit.if_test((1, 1), body, Circuit(1).x(0), qubits=[1])


def test_bodies_bring_their_symbols_and_bits() -> None:
    circuit = adaptive()
    assert (circuit.num_weights, circuit.num_inputs, circuit.num_clbits) == (2, 1, 3)
    assert circuit.parameters == {"a"}
    assert not circuit.is_unitary
    assert circuit.count_ops() == {"ry": 1, "measure": 1, "if_else": 1}
    assert str(circuit) == (
        "Circuit(2 qubits, 2 weights, 1 input, 3 classical bits: ry(w[0]) 0; measure(c[1]) 0; "
        "if_else(c[1] {1: rx(2*w[1]) 0; rz(a*x[0]) 0; measure(c[2]) 0 / else: x 0}) 1)"
    )


def test_depth_follows_qubits_and_classical_bits() -> None:
    circuit = Circuit(3).h(0).measure(0).if_test((0, 1), Circuit(1).x(0), qubits=[1])
    assert circuit.depth() == 3  # the bit is what qubit 1 waits for
    assert circuit.copy().reset(2).depth() == 3
    assert circuit.copy().measure(2, 0).depth() == 4


def test_equality_copies_and_pickles() -> None:
    circuit = adaptive()
    pickled = pickle.loads(pickle.dumps(circuit))  # noqa: S301
    for twin in (circuit.copy(), copy.deepcopy(circuit), pickled):
        assert twin == circuit
        assert hash(twin.operations[-1].gate) == hash(circuit.operations[-1].gate)
    assert circuit != adaptive().measure(0, 0)
    other = Circuit(2).ry(Weight(0), 0).measure(0, 1)
    body = Circuit(1).rx(2 * Weight(1), 0).rz(Parameter("a") * Input(0), 0).measure(0, 2)
    assert circuit != other.if_test((1, 1), body, Circuit(1).y(0), qubits=[1])
    assert Circuit(1, num_clbits=2).measure(0) != Circuit(1).measure(0)


def test_a_body_is_copied() -> None:
    body = Circuit(1).x(0)
    circuit = Circuit(1).measure(0).if_test((0, 1), body)
    body.x(0)
    assert circuit.operations[-1].gate.bodies == (Circuit(1).x(0),)


def test_values_reach_into_bodies() -> None:
    weights = torch.tensor([0.9, -0.4], dtype=F64)
    inputs = torch.tensor([1.3], dtype=F64)
    expected = expval(adaptive(), None, weights, inputs, values={"a": 0.6})
    assigned = adaptive().assign({"a": 0.6})
    assert assigned.parameters == set()
    torch.testing.assert_close(expval(assigned, None, weights, inputs), expected)
    bound = assigned.bind(weights, inputs)
    assert (bound.num_weights, bound.num_inputs) == (0, 0)
    torch.testing.assert_close(expval(bound, dtype=torch.complex128), expected)
    swapped = assigned.replaced({Weight(0): Weight(1), 2 * Weight(1): 2 * Weight(0)})
    torch.testing.assert_close(expval(swapped, None, weights.flip(0), inputs), expected)


@settings(max_examples=15)
@given(data=st.data())
def test_composition_moves_qubits_and_bits(dynamic_circuits: Callable, data: st.DataObject) -> None:
    part = data.draw(dynamic_circuits(max_qubits=2, symbols=False))
    places = data.draw(st.permutations(range(3)))[: part.num_qubits]
    bits = data.draw(st.permutations(range(4)))[: part.num_clbits]
    moved = Circuit(3, num_clbits=4).compose(part, places, bits)
    torch.testing.assert_close(
        outcome_probabilities(moved, clbits=bits, dtype=torch.complex128),
        outcome_probabilities(part, dtype=torch.complex128),
    )
    torch.testing.assert_close(
        expval(moved, dtype=torch.complex128)[places], expval(part, dtype=torch.complex128)
    )
    twice = part.repeat(2)
    assert twice.operations == part.operations * 2


def test_records_are_what_was_asked_for() -> None:
    circuit = Circuit(2).measure().switch([1, 0], {2: Circuit(1).x(0), (0, 3): Circuit(1).h(0)})
    assert circuit.operations[1] == (Measure("measure", 1, 1), (1,), ())
    control = circuit.operations[2].gate
    assert isinstance(control, Control)
    assert control.reads == (1, 0)
    assert [case.values for case in control.cases] == [{2}, {0, 3}]
    loop = Circuit(1).measure(0).while_loop((0, 1), Circuit(1).x(0), most=3).operations[1].gate
    assert "at most 3 times" in str(loop)
    empty = Circuit(1).measure(0).switch(0, {1: Circuit(1).x(0)}, Circuit(1))
    assert empty.operations[1].gate.bodies == (Circuit(1).x(0), Circuit(1))


ONE = Circuit(1).x(0)


def named_twice() -> None:
    circuit = Circuit(2)
    circuit.register("a", 1)
    circuit.classical_register("a", 1)


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "a name twice": (
        named_twice,
        "there is a register 'a' already",
    ),
    "rounds that are no values": (
        lambda: Circuit(1).for_loop(3, Circuit(1)),  # type: ignore[arg-type]
        "takes the values of its rounds, not 3",
    ),
    "a bit beyond those declared": (
        lambda: Circuit(1, num_clbits=1).measure(0, 1),
        "measure uses classical bit 1, but the circuit was declared with 1",
    ),
    "a body beyond the bits declared": (
        lambda: Circuit(1, num_clbits=1).measure(0).if_test((0, 1), Circuit(1).measure(0, 1)),
        "if_else uses classical bit 1",
    ),
    "a body beyond the weights declared": (
        lambda: Circuit(1, 1).measure(0).if_test((0, 1), Circuit(1).rx(Weight(1), 0)),
        "the body of if_else uses weight 1, but",
    ),
    "a number of bits": (lambda: Circuit(1, num_clbits=-1), "classical bits is 0 or more, not -1"),
    "more qubits than bits": (
        lambda: Circuit(2).measure([0, 1], [0]),
        r"qubits \[0, 1\] are measured into one classical bit each, 0 or above, not into \[0\]",
    ),
    "a bit twice": (lambda: Circuit(2).measure([0, 1], [1, 1]), r"different bits, not into \[1, 1"),
    "a negative bit": (lambda: Circuit(1).measure(0, -1), r"0 or above, not into \[-1\]"),
    "a qubit that is not there": (lambda: Circuit(1).measure(1, 0), "measure on qubit 1"),
    "a body with too many qubits": (
        lambda: Circuit(1).measure(0).if_test((0, 1), Circuit(2).x(1)),
        "if_else on qubit 1",
    ),
    "a body on the wrong number of qubits": (
        lambda: Circuit(2).measure(0).if_test((0, 1), ONE, qubits=[0, 1]),
        "if_else acts on 1 qubit, not 2",
    ),
    "bodies of two sizes": (
        lambda: Circuit(2).measure(0).if_test((0, 1), ONE, Circuit(2).x(1)),
        r"bodies of one if_else have as many qubits each, not \[1, 2\]",
    ),
    "a body that is a function": (
        lambda: Circuit(1).measure(0).if_test((0, 1), lambda c: c.x(0)),
        "the body of if_else is a circuit, not <function",
    ),
    "a condition that is a bit": (
        lambda: Circuit(1).measure(0).if_test(0, ONE),
        r"a condition is \(bit, 0 or 1\) or .* not 0",
    ),
    "a value that does not fit": (
        lambda: Circuit(1).measure(0).if_test((0, 2), ONE),
        "1 classical bit holds a number from 0 to 1, never 2",
    ),
    "a bit read twice": (
        lambda: Circuit(1).measure(0).if_test(([0, 0], 1), ONE),
        r"different ones, not \[0, 0\]",
    ),
    "cases that overlap": (
        lambda: Circuit(1).measure(0).switch(0, {0: ONE, (0, 1): ONE}),
        "cases of a switch share a value",
    ),
    "no cases": (lambda: Circuit(1).measure(0).switch(0, {}), "cases of a switch are"),
    "a loop without a bound": (
        lambda: Circuit(1).measure(0).while_loop((0, 1), ONE, most=None),
        "at most 1, 2, ... times, not None",
    ),
    "a bit before it is written": (
        lambda: expval(Circuit(1).if_test((3, 0), ONE)),
        "if_else reads classical bit 3 before it is written: measure a qubit into it first",
    ),
    "a bit that only the body writes": (
        lambda: expval(Circuit(1).while_loop((0, 0), Circuit(1).measure(0), most=2)),
        "while_loop reads classical bit 0 before",
    ),
    "an inverse": (lambda: adaptive().inverse(), r"gates alone, but the circuit has measure\(c\[1"),
    "controls": (lambda: adaptive().control(), "gates alone"),
    "a negative power": (lambda: adaptive().power(-1), "gates alone"),
    "bits that do not fit": (
        lambda: Circuit(2).compose(adaptive(), clbits=[0, 1]),
        r"a circuit of 3 classical bits goes onto as many different ones, not \(0, 1\)",
    ),
    "more bits than results hold": (
        lambda: expval(Circuit(1).measure(0, 63)),
        "results hold 63 classical bits, not 64",
    ),
    "a parameter that is not there": (
        lambda: Circuit(1).for_loop([1], ONE, "t"),
        "the circuit has no parameter 't'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_sentences(mistake: str) -> None:
    call, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence):
        call()
