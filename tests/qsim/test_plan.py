"""Programs: what is fused, what costs nothing, and when a circuit is planned again."""

from collections.abc import Callable

import pytest

from qsim import Circuit, Input, PauliString, Weight, channels, expval
from qsim.noise import blocks
from qsim.plan.program import program_of

pytestmark = pytest.mark.native

W, X = Weight(0), Input(0)


def ring(circuit: Circuit) -> Circuit:
    for qubit in range(circuit.num_qubits):
        circuit.cx(qubit, (qubit + 1) % circuit.num_qubits)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "items"),
    [
        (Circuit(2), 0),
        (ring(Circuit(5)).x(2).swap(0, 4).i(1), 0),
        (Circuit(1).h(0).rz(W, 0).rx(X, 0).u3(W, W, W, 0).s(0), 1),
        (Circuit(2).ry(W, 0).swap(0, 1).rz(W, 1), 1),
        (Circuit(2).ry(W, 0).h(1).rz(X, 0).t(1), 2),
        (Circuit(2).cu3(W, W, X, 0, 1), 1),
        (Circuit(2).cry(W, 0, 1).crz(X, 0, 1).ch(0, 1), 1),
        (Circuit(2).cry(W, 0, 1).h(1).crz(X, 0, 1), 3),
        (Circuit(2).cry(W, 0, 1).cry(W, 1, 0), 2),
        (Circuit(2).rzz(W, 0, 1), 1),
        (Circuit(3).ccx(0, 1, 2), 1),
        (Circuit(1).x(0), 0),
        (Circuit(1).ry(W, 0).x(0).ry(W, 0), 1),
        (Circuit(1).rz(W, 0).x(0).rz(W, 0), 2),  # that both are diagonal is worth more
    ],
    ids=repr,
)
def test_items_after_fusion(circuit: Circuit, items: int) -> None:
    assert program_of(circuit).native.num_items == items


def test_cz_is_no_item_among_choices() -> None:
    circuit = Circuit(2).ry(W, 0).ry(W, 1).cz(0, 1).append(channels.depolarizing(0.1, 2), [0, 1])
    assert blocks.program_of(circuit.ry(W, 0).ry(W, 1)).native.num_items == 4


@pytest.mark.parametrize(
    "change", [lambda c: c.x(0), lambda c: c.append("h", 1), lambda c: c.compose(Circuit(2).h(0))]
)
def test_circuits_are_planned_again_only_after_they_changed(
    change: Callable[[Circuit], Circuit],
) -> None:
    circuit = Circuit(2).h(0)
    program = program_of(circuit)
    assert program_of(circuit) is program
    expval(circuit)
    assert program_of(circuit) is program
    assert program_of(change(circuit)) is not program


def test_measurements_are_kept_by_observables() -> None:
    program = program_of(ring(Circuit(2)))
    first = program.measurement((PauliString("ZI"),))
    assert program.measurement((PauliString("ZI"),)) is first
    assert program.measurement((PauliString("XI"),)) is not first
