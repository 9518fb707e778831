"""Circuits and symbols: how they are built, changed and shown, and what mistakes get to hear."""

import copy
import json
import math
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.figure import Figure

from qsim import (
    GATES,
    Circuit,
    Gate,
    Input,
    Operation,
    Symbol,
    UsageError,
    Weight,
    state,
)
from qsim.instructions import Instruction

NAN, INFINITY = float("nan"), float("inf")


def sample() -> Circuit:
    return Circuit(3).h(0).cx(0, 1).rx(0.5, 2).u3(Weight(0), 2 * Weight(2) + 0.25, Input(1), 1)


# --- Building -------------------------------------------------------------------------------------


def test_methods_take_angles_then_qubits() -> None:
    circuit = sample()
    assert len(circuit) == 4
    assert circuit.operations == (
        Operation(GATES["h"], (0,), ()),
        Operation(GATES["cx"], (0, 1), ()),
        Operation(GATES["rx"], (2,), (0.5,)),
        Operation(GATES["u3"], (1,), (Weight(0), Symbol("weight", 2, 2.0, 0.25), Input(1))),
    )


def test_append_is_what_methods_do() -> None:
    by_name = Circuit(3).append("h", 0).append("cnot", (0, 1)).append(GATES["rx"], [2], [0.5])
    by_name.append("U3", [1], (Weight(0), 2 * Weight(2) + 0.25, Input(1)))
    assert by_name == sample()


def test_append_returns_the_circuit() -> None:
    circuit = Circuit(1)
    assert circuit.append("x", 0) is circuit
    assert circuit.x(0) is circuit


@pytest.mark.parametrize("integer", [int, np.int64, np.uint8])
def test_qubits_and_indices_may_be_integers_of_numpy(integer: type) -> None:
    circuit = Circuit(integer(2)).cx(integer(1), integer(0)).append("h", integer(1))
    circuit.rx(Weight(integer(1)), 0)
    assert circuit == Circuit(2).cx(1, 0).h(1).rx(Weight(1), 0)
    assert json.dumps([circuit.num_qubits, [op.qubits for op in circuit.operations]])
    assert repr(circuit) == repr(Circuit(2).cx(1, 0).h(1).rx(Weight(1), 0))


@pytest.mark.parametrize("number", [1, np.float32(1), np.float64(1), torch.tensor(1.0)])
def test_angles_become_plain_floats(number: float) -> None:
    circuit = Circuit(1).rx(number, 0).ry(number * Weight(0) + number, 0).rz(-Weight(0) / number, 0)
    (constant,), (scaled,), (divided,) = (op.params for op in circuit.operations)
    assert type(constant) is float
    for value in (scaled.scale, scaled.offset, divided.scale, divided.offset):
        assert isinstance(value, float)
    assert scaled == Weight(0) + 1
    assert divided == -Weight(0)


def test_sizes_are_those_declared_or_used() -> None:
    assert (sample().num_qubits, sample().num_weights, sample().num_inputs) == (3, 3, 2)
    declared = Circuit(1, num_weights=5, num_inputs=4).rx(Weight(0), 0)
    assert (declared.num_weights, declared.num_inputs) == (5, 4)
    assert (Circuit(1).num_weights, Circuit(1).num_inputs) == (0, 0)


def test_depth_is_the_longest_chain() -> None:
    assert Circuit(3).depth() == 0
    assert Circuit(3).h(0).h(1).h(2).depth() == 1
    assert Circuit(3).h(0).cx(0, 1).cx(1, 2).x(0).depth() == 3
    assert sample().depth() == 3


def test_count_ops_puts_the_most_frequent_first() -> None:
    circuit = Circuit(2).h(0).cx(0, 1).cnot(1, 0).x(0).cx(0, 1)
    assert list(circuit.count_ops().items()) == [("cx", 3), ("h", 1), ("x", 1)]


def test_repr_shows_sizes_and_gates() -> None:
    circuit = Circuit(2).h(0).cx(0, 1).ry(Weight(0), 1)
    assert repr(circuit) == "Circuit(2 qubits, 1 weight, 0 inputs: h 0; cx 0,1; ry(w[0]) 1)"
    affine = Circuit(1).u3(-Weight(1), 2 * Input(0) - 0.5, 0.123456, 0)
    assert "u3(-w[1], 2*x[0]-0.5, 0.1235) 0" in repr(affine)
    long = Circuit(1)
    for _ in range(100):
        long.x(0)
    assert repr(long).endswith("; ... 88 more)")


def test_gates_on_one_qubit_go_on_every_qubit_of_a_list() -> None:
    assert Circuit(4).h([0, 2]) == Circuit(4).h(0).h(2)
    assert Circuit(4).rx(Weight(0), range(3)) == Circuit(4).rx(Weight(0), 0).rx(Weight(0), 1).rx(
        Weight(0), 2
    )
    assert Circuit(4).x(np.array([3, 1])) == Circuit(4).x(3).x(1)
    assert Circuit(4).h([]) == Circuit(4)


def test_gates_on_several_qubits_take_a_list_or_rows_of_lists() -> None:
    assert Circuit(4).cx([2, 0]) == Circuit(4).cx(2, 0)
    assert Circuit(4).ccx([2, 0], 1) == Circuit(4).ccx(2, 0, 1)
    assert Circuit(4).cx([0, 1], [2, 3]) == Circuit(4).cx(0, 2).cx(1, 3)
    assert Circuit(4).crz(0.1, 0, [2, 3]) == Circuit(4).crz(0.1, 0, 2).crz(0.1, 0, 3)


def test_registers_are_sequences_of_qubits() -> None:
    circuit = Circuit(5)
    data, ancilla = circuit.register("data", 3), circuit.register("ancilla", 2)
    assert (list(data), list(ancilla), len(data), data.name) == ([0, 1, 2], [3, 4], 3, "data")
    assert (data[-1], data[1:], 2 in data) == (2, [1, 2], True)
    circuit.h(data).cx(data[:2], ancilla).mcx(data, ancilla[0]).barrier(ancilla)
    expected = Circuit(5).h(0).h(1).h(2).cx(0, 3).cx(1, 4).mcx([0, 1, 2], 3).barrier([3, 4])
    assert circuit == expected
    with pytest.raises(UsageError, match="register 'data' already"):
        circuit.copy().register("data", 1)


def test_barriers_take_no_depth() -> None:
    circuit = Circuit(2).h(0).barrier().h(1)
    assert circuit.depth() == 2
    assert circuit.count_ops() == {"h": 2, "barrier": 1}
    torch.testing.assert_close(state(circuit).abs(), torch.full([4], 0.5))


def test_global_phase_is_in_the_state() -> None:
    found = state(Circuit(2).globalphase(0.7).h(1), dtype=torch.complex128)
    assert found[0].item() == pytest.approx(np.exp(0.7j) / math.sqrt(2))
    assert Circuit(1).global_phase(Weight(0)).num_weights == 1


def test_text_drawing_shows_the_gates() -> None:
    drawn = str(sample().compose(Circuit(3).mcx([0, 1], 2).barrier()).draw())
    for shown in ("H", "X", "Rx(0.5)", "w[0]", "░"):
        assert shown in drawn


def test_any_angle_can_be_drawn() -> None:
    """Also those that Qiskit has not: tensors with a batch, and functions of angles."""
    batch = torch.tensor([0.1, 0.2])
    circuit = Circuit(1).rx(batch * Weight(0), 0).rv(Input(0), 0.2, 0.3, 0)
    drawn = str(circuit.draw(fold=-1))
    for shown in ("Rx(tensor[2]*w[0])", "Rz(euler_alpha(x[0], 0.2, 0.3))"):
        assert shown in drawn


def test_figure_is_a_figure() -> None:
    figure = Circuit(2).h(0).cx(0, 1).draw("mpl")
    assert isinstance(figure, Figure)
    assert "H" in "".join(text.get_text() for text in figure.axes[0].texts)
    assert pyplot.get_fignums() == []  # none stays open


@pytest.mark.parametrize(
    ("output", "module", "extra"),
    [("text", "qiskit", "ibm"), ("mpl", "matplotlib", "plot"), ("mpl", "pylatexenc", "plot")],
)
def test_drawing_names_the_extra(
    output: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(UsageError, match=rf"needs {module}, .* 'efficient-qml\[{extra}\]'"):
        Circuit(1).h(0).draw(output)


# --- Symbols --------------------------------------------------------------------------------------


def test_symbols_are_affine() -> None:
    symbol = 0.5 - (3 * (Weight(2) + 1) - 4) / 2
    assert symbol == Symbol("weight", 2, -1.5, 1.0)
    assert -Input(0) == Symbol("input", 0, -1.0, 0.0)
    assert 1 + Input(0) == Input(0) + 1
    assert Weight(0) != Input(0)
    assert Weight(0) - 2 == Symbol("weight", 0, 1.0, -2.0)
    assert hash(Weight(3)) == hash(Weight(3))


def test_symbols_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Weight(0).scale = 2.0  # type: ignore[misc]


def test_affine_angles_give_the_affine_number() -> None:
    values = {
        "weights": torch.tensor([0.3, 0.9], dtype=torch.float64),
        "inputs": torch.tensor([1.7], dtype=torch.float64),
    }
    angles = [(2 * Weight(1) - 0.4, 1.4), (1.5 - Input(0) / 2, 0.65), (-Weight(0), -0.3)]
    for symbol, number in angles:
        circuit = Circuit(1, 2, 1).rx(symbol, 0)
        expected = state(Circuit(1).rx(number, 0), dtype=torch.complex128)
        torch.testing.assert_close(state(circuit, **values), expected)


@pytest.mark.parametrize("make", [Weight, Input])
@pytest.mark.parametrize("index", [-1, 1.5, "0", None])
def test_index_of_a_symbol_is_a_whole_number(make: Callable, index: object) -> None:
    with pytest.raises(UsageError, match=r"index is a whole number from 0 on, not"):
        make(index)


# --- Changing -------------------------------------------------------------------------------------


def test_bind_replaces_symbols_by_numbers() -> None:
    weights, inputs = (
        torch.tensor([0.1, 9.0, 0.3], dtype=torch.float64),
        torch.tensor([9.0, 0.7], dtype=torch.float64),
    )
    half = sample().bind(weights=weights)
    assert half.operations[-1].params == (0.1, pytest.approx(0.85), Input(1))
    assert (half.num_weights, half.num_inputs) == (0, 2)
    full = half.bind(inputs=inputs)
    assert full == sample().bind(weights, inputs)
    assert full.operations[-1].params == (0.1, pytest.approx(0.85), 0.7)
    assert sample().bind() == sample()
    trained = sample().bind(torch.nn.Parameter(weights))
    assert trained == half


def test_bind_keeps_the_original_and_declared_sizes() -> None:
    circuit = Circuit(1, 4, 3).rx(Weight(0), 0).ry(Input(0), 0)
    bound = circuit.bind(weights=torch.ones(4))
    assert (bound.num_weights, bound.num_inputs) == (0, 3)
    assert (circuit.num_weights, circuit.operations[0].params) == (4, (Weight(0),))


@settings(max_examples=40)
@given(data=st.data())
def test_inverse_undoes_the_circuit(
    circuits: Callable, tensors: Callable, data: st.DataObject
) -> None:
    circuit = data.draw(circuits(max_qubits=4, max_steps=15))
    weights, inputs = data.draw(tensors(torch.float64, None))
    both = circuit.copy().compose(circuit.inverse())
    assert (both.num_weights, both.num_inputs) == (circuit.num_weights, circuit.num_inputs)
    expected = torch.eye(2**circuit.num_qubits, dtype=torch.complex128)[0]
    torch.testing.assert_close(state(both, weights, inputs), expected, atol=1e-12, rtol=0)


def test_compose_takes_a_single_qubit() -> None:
    assert Circuit(2).compose(Circuit(1).h(0), 1) == Circuit(2).h(1)


def test_compose_appends_the_other_circuit() -> None:
    circuit = Circuit(3).h(0)
    assert circuit.compose(Circuit(2).cx(0, 1).rx(Weight(1), 0)) is circuit
    assert circuit == Circuit(3).h(0).cx(0, 1).rx(Weight(1), 0)


def test_compose_with_itself_doubles() -> None:
    circuit = Circuit(1).h(0).rx(Weight(0), 0)
    assert circuit.compose(circuit) == Circuit(1).h(0).rx(Weight(0), 0).h(0).rx(Weight(0), 0)


def test_compose_maps_qubits() -> None:
    inner = Circuit(2).h(0).cx(0, 1).rx(Weight(1) * Input(0), 1)
    found = Circuit(4).x(0).compose(inner, [3, 1])
    assert found == Circuit(4).x(0).h(3).cx(3, 1).rx(Weight(1) * Input(0), 1)
    assert (found.num_weights, found.num_inputs) == (2, 1)


def test_compose_is_linear() -> None:
    """Growing a circuit gate by gate looks at every gate once, not at all that are there."""

    class Counted(list):
        reads = 0

        def __iter__(self) -> Iterator:
            Counted.reads += len(self)
            return super().__iter__()

    circuit, gate = Circuit(1), Circuit(1).h(0)
    circuit._operations = Counted()
    for _ in range(300):
        circuit.compose(gate)
    assert len(circuit) == 300
    assert Counted.reads == 0


@settings(max_examples=25)
@given(data=st.data(), count=st.integers(1, 2))
def test_control_puts_the_circuit_under_controls(
    circuits: Callable, tensors: Callable, data: st.DataObject, count: int
) -> None:
    """Where the controls are on, the circuit acts, phase included; elsewhere nothing does."""
    circuit = data.draw(circuits(max_qubits=3, max_steps=8)).globalphase(0.3)
    weights, inputs = data.draw(tensors(torch.float64, None))
    on = data.draw(st.integers(0, 2**count - 1))
    now = data.draw(st.integers(0, 2**count - 1))
    start = Circuit(circuit.num_qubits)
    for qubit in range(circuit.num_qubits):
        start.u3(0.3 + qubit, 0.8, -0.4, qubit)
    places = range(count, count + circuit.num_qubits)
    whole = Circuit(count + circuit.num_qubits).x([q for q in range(count) if now >> q & 1])
    whole.compose(start, places).compose(circuit.control(count, on))
    expected = start.compose(circuit) if now == on else start
    expected = Circuit(circuit.num_qubits, 3, 3).compose(expected)
    inner = state(expected, weights, inputs)
    found = state(Circuit(whole.num_qubits, 3, 3).compose(whole), weights, inputs)
    found = found.view(-1, 2**count)
    torch.testing.assert_close(found[:, now], inner, atol=1e-12, rtol=0)
    assert found.abs().square().sum() == pytest.approx(1)


def test_control_keeps_symbols_barriers_and_the_table() -> None:
    circuit = Circuit(2).rx(Weight(0), 1).barrier().cx(0, 1).control()
    assert [str(op) for op in circuit.operations] == ["crx(w[0]) 0,2", "barrier 1,2", "ccx 0,1,2"]


@pytest.mark.parametrize("exponent", [0, 1, 3, -1, -2])
def test_power_is_the_power_of_the_matrix(exponent: int, oracle: Any) -> None:
    circuit = Circuit(2).h(0).cx(0, 1).u2(0.3, 0.4, 1).iswap(0, 1)
    expected = np.linalg.matrix_power(oracle.unitary_of(circuit), exponent)
    np.testing.assert_allclose(oracle.unitary_of(circuit.power(exponent)), expected, atol=1e-13)
    assert len(circuit.power(exponent)) >= abs(exponent) * 4


def test_repeat_shares_the_weights() -> None:
    circuit = Circuit(1, num_inputs=3).rx(Weight(1), 0).repeat(3)
    assert circuit == Circuit(1, num_inputs=3).rx(Weight(1), 0).rx(Weight(1), 0).rx(Weight(1), 0)
    assert circuit.repeat(0) == Circuit(1, num_weights=2, num_inputs=3)


@pytest.mark.parametrize("duplicate", [Circuit.copy, copy.copy, copy.deepcopy])
def test_copies_are_independent(duplicate: Callable[[Circuit], Circuit]) -> None:
    circuit = sample()
    double = duplicate(circuit)
    assert double == circuit
    double.x(0).rx(Weight(7), 0)
    assert circuit == sample()
    assert double != circuit


def test_gates_added_after_a_run_are_run() -> None:
    circuit = Circuit(1).x(0)
    assert state(circuit).tolist() == [0, 1]
    assert state(circuit.x(0)).tolist() == [1, 0]


def test_circuits_pickle_also_after_a_run() -> None:
    circuit = Circuit(2, num_inputs=4).h(0).crx(Weight(0) + 1, 0, 1)
    before = state(circuit, torch.tensor([0.2]), torch.zeros(4))
    loaded = pickle.loads(pickle.dumps(circuit))  # noqa: S301
    assert loaded == circuit
    assert torch.equal(state(loaded, torch.tensor([0.2]), torch.zeros(4)), before)


def test_equality_is_by_gates_and_sizes() -> None:
    assert sample() == sample()
    assert sample() != sample().x(0)
    assert Circuit(2).h(0) != Circuit(3).h(0)
    assert Circuit(1).rx(0.1, 0) != Circuit(1).rx(0.2, 0)
    assert Circuit(1).rx(Weight(0), 0) != Circuit(1).rx(Input(0), 0)
    assert Circuit(1).rx(Weight(0), 0) == Circuit(1, num_weights=1).rx(Weight(0), 0)
    assert Circuit(1).rx(Weight(0), 0) != Circuit(1, num_weights=2).rx(Weight(0), 0)
    assert sample() != "sample"
    with pytest.raises(TypeError):
        hash(sample())


# --- Mistakes -------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "no qubits": (lambda: Circuit(0), "one qubit or more, not 0"),
    "half a qubit": (lambda: Circuit(1.5), "one qubit or more, not 1.5"),  # type: ignore[arg-type]
    "negative weights": (lambda: Circuit(1, num_weights=-1), "weights.*-1"),
    "unknown gate": (lambda: Circuit(1).append("rxy", 0), r"no gate 'rxy'; did you mean .*rx"),
    "negative qubit": (lambda: Circuit(2).h(-1), "h on qubit -1: .* 2 qubits has qubits 0 to 1"),
    "qubit too high": (lambda: Circuit(2).cx(0, 2), "cx on qubit 2: .* has qubits 0 to 1"),
    "qubit is a float": (lambda: Circuit(2).h(0.0), "h on qubit 0.0"),  # type: ignore[arg-type]
    "qubit is a list": (lambda: Circuit(2).append("cx", [[0], [1]]), r"cx on qubit \[0\]"),  # type: ignore[list-item]
    "qubit repeated": (lambda: Circuit(2).cx(1, 1), r"2 different qubits, not \(1, 1\)"),
    "too few qubits": (lambda: Circuit(2).cx(1), "cx acts on 2 qubits, not 1"),
    "too many qubits": (lambda: Circuit(2).h(0, 1), "h acts on 1 qubits?, not 2"),
    "qubit forgotten": (
        lambda: Circuit(2).rx(0.1),
        r"rx is called as rx\(theta, qubits\), not with 1 arguments",
    ),
    "one qubit too many": (
        lambda: Circuit(2).append("h", [0, 1]),
        r"h acts on 1 qubit, not 2: \(0, 1",
    ),
    "no gate at all": (lambda: Circuit(1).append(5, 0), "no gate 5; see qsim.GATES"),  # type: ignore[arg-type]
    "no circuit": (lambda: Circuit(1).compose("h"), "composed with another Circuit, not 'h'"),  # type: ignore[arg-type]
    "no controls": (lambda: Circuit(1).h(0).control(0), "one control or more, not 0"),
    "half a control": (lambda: Circuit(1).h(0).control(1.5), "one control or more, not 1.5"),  # type: ignore[arg-type]
    "no angle": (lambda: Circuit(1).append("rx", 0), r"rx takes 1 angles? \(theta\), not 0"),
    "too many angles": (
        lambda: Circuit(1).append("h", 0, [1]),
        "h takes 0 angles .*not 1",
    ),
    "angle without list": (lambda: Circuit(1).append("rx", 0, 0.1), "rx"),  # type: ignore[arg-type]
    "symbol without list": (
        lambda: Circuit(1).append("rx", 0, Weight(0)),  # type: ignore[arg-type]
        "rx",
    ),
    "angle is NaN": (lambda: Circuit(1).rx(NAN, 0), "finite"),
    "angle is infinite": (lambda: Circuit(1).rx(-INFINITY, 0), "finite"),
    "scale is NaN": (lambda: Circuit(1).rx(NAN * Weight(0), 0), "finite"),
    "offset is infinite": (lambda: Circuit(1).rx(Weight(0) + INFINITY, 0), "finite"),
    "angle is a word": (lambda: Circuit(1).rx("pi", 0), r"Weight\(i\) or Input\(i\), not 'pi'"),
    "angle is complex": (lambda: Circuit(1).rx(1j, 0), r"a number, .* not 1j"),
    "angle is a matrix": (lambda: Circuit(1).rx(torch.rand(2, 2), 0), r"a scalar or \[batch\]"),
    "weight beyond": (
        lambda: Circuit(1, num_weights=2).rx(Weight(2), 0),
        "rx uses weight 2, but .* declared with 2 weights",
    ),
    "input beyond": (
        lambda: Circuit(1, num_inputs=0).rx(Input(0), 0),
        "rx uses input 0, but .* declared with 0 inputs",
    ),
    "rows of two lengths": (
        lambda: Circuit(5).cx([0, 1, 2], [3, 4]),
        "cx on lists of 3 and 2 qubits",
    ),
    "register of qubits that are not there": (
        lambda: Circuit(3).register("a", [0, 3]),
        "'a' of .* qubits does not fit: it has one or more of 0 to 2, each once",
    ),
    "classical register of none": (
        lambda: Circuit(3).classical_register("a", 0),
        "'a' of 0 classical bits does not fit: it has one or more, from 0 on",
    ),
    "classical register beyond the bits declared": (
        lambda: Circuit(3, num_clbits=1).classical_register("a", 2),
        "'a' of 2 classical bits does not fit: 1 of 1 classical bits are left",
    ),
    "register too large": (
        lambda: Circuit(3).register("a", 4),
        "'a' of 4 qubits does not fit: 3 of 3 qubits are left",
    ),
    "compose on too few": (
        lambda: Circuit(3).compose(Circuit(2), [0]),
        r"as many different qubits from 0 to 2, not \(0,\)",
    ),
    "compose on the same": (lambda: Circuit(3).compose(Circuit(2), [0, 0]), "different qubits"),
    "compose outside": (lambda: Circuit(3).compose(Circuit(2), [0, 3]), r"not \(0, 3\)"),
    "compose beyond the weights": (
        lambda: Circuit(1, num_weights=1).compose(Circuit(1).rx(Weight(1), 0)),
        "the other circuit uses weight 1, but .* declared with 1 weight",
    ),
    "root of a circuit": (lambda: Circuit(1).h(0).power(0.5), "whole number, not 0.5"),  # type: ignore[arg-type]
    "repeat backwards": (lambda: Circuit(1).repeat(-1), "0 times or more, not -1"),
    "control by none": (lambda: Circuit(1).h(0).control(0), "one control or more, not 0"),
    "no such drawing": (lambda: Circuit(1).draw("svg"), '"text" or "mpl", not \'svg\''),
    "compose larger": (lambda: Circuit(1).compose(Circuit(2)), "2 qubits does not fit .* of 1"),
    "bind too many": (
        lambda: Circuit(1).rx(Weight(0), 0).bind(torch.zeros(2)),
        r"weights of shape \[1\], not \[2\]",
    ),
    "bind a batch": (
        lambda: Circuit(1).rx(Input(0), 0).bind(inputs=torch.zeros(5, 1)),
        r"inputs of shape \[1\], not \[5, 1\]: bind one sample at a time",
    ),
    "bind a list": (lambda: Circuit(1).rx(Weight(0), 0).bind([0.1]), "tensor"),  # type: ignore[arg-type]
    "bind NaN": (lambda: Circuit(1).rx(Weight(0), 0).bind(torch.tensor([NAN])), "nan"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_sentence(mistake: str) -> None:
    make, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError, match=sentence) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.h([0, 1, 5]),
        lambda c: c.rx(Weight(8), [0, 7]),
        lambda c: c.append("rx", 0, (Weight(8), Input(9))),
        lambda c: c.append("u3", 0, (Weight(8), Input(9), NAN)),
        lambda c: c.cx(0, 5),
    ],
    ids=["list", "list with an angle", "angles", "nan", "qubits"],
)
def test_refused_gates_leave_the_circuit_as_it_was(spoil: Callable[[Circuit], object]) -> None:
    circuit = Circuit(2, num_inputs=2).h(0).rx(Weight(0), 1)
    with pytest.raises(UsageError):
        spoil(circuit)
    assert circuit == Circuit(2, num_inputs=2).h(0).rx(Weight(0), 1)


def test_inverse_of_symbols_keeps_them_symbols() -> None:
    undone = Circuit(1).u2(Weight(0), Weight(1) + 1, 0).rx(0.5, 0).s(0).inverse()
    (sdg, _, _), (rx, _, half), (u3, _, angles) = undone.operations
    assert (sdg.name, rx.name, half, u3.name) == ("sdg", "rx", (-0.5,), "u3")
    assert angles == (-math.pi / 2, -Weight(1) - 1, -Weight(0))


def test_gates_show_their_name() -> None:
    gate = GATES["cu3"]
    assert isinstance(gate, Gate)
    assert (repr(gate), gate.num_params, gate.params) == ("Gate(cu3)", 3, ("theta", "phi", "lam"))


def test_instructions_stand_in_circuits_but_do_not_run_as_gates() -> None:
    event = Instruction("event", 2)
    circuit = Circuit(3).h(0).append(event, [2, 0])
    assert not circuit.is_unitary
    assert circuit.operations[1] == (Instruction("event", 2), (2, 0), ())
    assert circuit.copy() == circuit
    assert not circuit.repeat(2).is_unitary
    attempts = (lambda: circuit.gates, circuit.inverse, circuit.control, lambda: state(circuit))
    for attempt in attempts:
        with pytest.raises(UsageError, match=r"alone, but the circuit has event 2,0"):
            attempt()
    with pytest.raises(UsageError, match="event acts on 2 qubits, not 1"):
        circuit.append(event, 0)
    with pytest.raises(UsageError, match="event takes 0 angles"):
        circuit.append(event, [0, 1], [0.1])
