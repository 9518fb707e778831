"""From Qiskit: the same states, parameters, registers; whatever Qiskit has, by its definition."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import (
    AnnotatedOperation,
    ControlModifier,
    Instruction,
    InverseModifier,
    ParameterVector,
    PowerModifier,
    library,
)
from qiskit.circuit import Parameter as QiskitParameter
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector, random_unitary

from qsim import GATES, Circuit, Gate, Input, Parameter, UsageError, Weight, state
from qsim.interop.qiskit import from_qiskit, reading, to_qiskit


def assert_same_unitary(source: QuantumCircuit, oracle: type) -> Circuit:
    circuit = from_qiskit(source)
    np.testing.assert_allclose(oracle.unitary_of(circuit), Operator(source).data, atol=1e-10)
    return circuit


def qiskit_state(circuit: QuantumCircuit) -> np.ndarray:
    return Statevector(circuit).data


@pytest.mark.parametrize("gate", GATES.values(), ids=lambda g: g.name)
def test_every_gate_comes_back(gate: Gate) -> None:
    qubits = [5, 2, 4, 0, 3][: gate.num_qubits]
    if gate.name == "globalphase":
        qubits = [0]  # Qiskit keeps no qubit for it
    angles = [Weight(k) * 0.5 + 0.25 for k in range(gate.num_params)]
    circuit = Circuit(6).append(gate, qubits, angles)
    assert from_qiskit(to_qiskit(circuit)) == circuit


@settings(max_examples=40)
@given(data=st.data())
def test_circuits_come_back(circuits: Callable, tensors: Callable, data: st.DataObject) -> None:
    circuit = data.draw(circuits(max_qubits=5, max_steps=20, any_size=True))
    weights, inputs = data.draw(tensors(torch.float64, None))
    back = from_qiskit(to_qiskit(circuit))
    assert (back.num_weights, back.num_inputs) == (circuit.num_weights, circuit.num_inputs)
    torch.testing.assert_close(
        state(back, weights, inputs), state(circuit, weights, inputs), atol=1e-12, rtol=0
    )


STANDARD = [
    gate
    for name, gate in get_standard_gate_name_mapping().items()
    if name not in ("delay", "measure", "reset")
]


@pytest.mark.parametrize("gate", STANDARD, ids=lambda g: g.name)
@pytest.mark.parametrize("zeros", [False, True])
def test_every_gate_of_qiskit_is_read(gate, zeros: bool, oracle: type) -> None:
    made = gate.base_class(*np.linspace(0.3, 1.1, len(gate.params)))
    if zeros:
        made = made.control(1, ctrl_state=0, annotated=False)
    source = QuantumCircuit(6)
    source.append(made, [3, 1, 5, 0, 2][: made.num_qubits])
    circuit = assert_same_unitary(source, oracle)
    assert len(circuit) == 1 or zeros


def hamiltonian() -> SparsePauliOp:
    return SparsePauliOp(["XYZ", "ZIY", "III"], [0.3, -0.7, 0.2])


OTHERS = {
    "barrier": library.Barrier(3),
    "controls": library.RXGate(0.3).control(3, ctrl_state=0b010, annotated=False),
    "controlled phase": library.GlobalPhaseGate(0.4).control(2, ctrl_state=1),
    "diagonal": library.DiagonalGate(np.exp(1j * np.arange(8)).tolist()),
    "isometry": library.StatePreparation([0.5, 0.5j, -0.5, 0.5]),
    "mcx": library.C4XGate(),
    "mcphase": library.MCPhaseGate(0.7, 3),
    "multiplexer": library.UCRYGate([0.1, 0.2, 0.3, 0.4]),
    "pauli": library.PauliGate("XYZ"),
    "permutation": library.PermutationGate([2, 0, 1]),
    "qft": library.QFTGate(3),
    "rv": library.RVGate(0.4, -1.1, 0.3),
    "unitary": library.UnitaryGate(random_unitary(8, seed=3)),
    "controlled unitary": library.UnitaryGate(random_unitary(4, seed=4)).control(1),
    "annotated": AnnotatedOperation(
        library.SXGate(), [InverseModifier(), ControlModifier(2, 1), PowerModifier(3)]
    ),
    "root": AnnotatedOperation(library.RXGate(0.4), [PowerModifier(0.5)]),
}


@pytest.mark.parametrize("operation", OTHERS.values(), ids=OTHERS)
def test_what_is_no_standard_gate_is_read(operation, oracle: type) -> None:
    source = QuantumCircuit(6, global_phase=0.6)
    source.append(operation, [4, 1, 5, 0, 2][: operation.num_qubits])
    assert_same_unitary(source, oracle)


def test_time_evolution_becomes_the_rotations_of_its_formula(oracle: type) -> None:
    source = QuantumCircuit(4)
    gate = library.PauliEvolutionGate(hamiltonian(), time=QiskitParameter("t"))
    source.append(gate, [3, 0, 2])
    circuit = from_qiskit(source)
    assert circuit.count_ops() == {"pauli_rotation": 2, "globalphase": 1}
    bound = source.assign_parameters({"t": 0.8}).decompose(reps=2)
    np.testing.assert_allclose(
        oracle.unitary_of(circuit.assign({"t": 0.8})), Operator(bound).data, atol=1e-12
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_circuits_of_qiskit_keep_their_unitary(seed: int, oracle: type) -> None:
    assert_same_unitary(random_circuit(4, 8, seed=seed), oracle)


def test_nested_definitions_keep_phases_and_parameters(oracle: type) -> None:
    theta = QiskitParameter("theta")
    inner = QuantumCircuit(2, global_phase=theta / 3, name="inner")
    inner.rx(2 * theta, 1)
    inner.cx(1, 0)
    outer = QuantumCircuit(3, global_phase=0.2, name="outer")
    outer.append(inner.to_gate().control(1, annotated=False), [2, 0, 1])
    source = QuantumCircuit(4)
    source.append(outer.to_instruction(), [3, 1, 0])
    circuit = from_qiskit(source)
    assert circuit.parameters == {"theta"}
    np.testing.assert_allclose(
        oracle.unitary_of(circuit.assign({"theta": 0.9})),
        Operator(source.assign_parameters({theta: 0.9})).data,
        atol=1e-12,
    )


def test_parameters_become_weights_inputs_and_names() -> None:
    w, x, v = ParameterVector("w", 7), ParameterVector("x", 2), ParameterVector("v", 3)
    source = QuantumCircuit(1)
    source.rx(w[5], 0)
    source.ry(1.5 - 2 * x[1], 0)
    source.rz(v[2] * w[0] + 0.5, 0)
    source.p(QiskitParameter("beta"), 0)
    circuit = from_qiskit(source)
    assert [op.params[0] for op in circuit.operations] == [
        Weight(5),
        -2 * Input(1) + 1.5,
        Parameter("v[2]") * Weight(0) + 0.5,
        Parameter("beta"),
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: a * b + b * b * b - 2,
        lambda a, b: (a.sin() + b.cos()) / 3 + a.tan(),
        lambda a, b: (a / 4).arcsin() + (b / 4).arccos() + b.arctan(),
        lambda a, b: a.exp() - (b * b + 1).log() + (a - b).abs() + a.sign(),
        lambda a, b: a / (b + 3) + a**-2 + 1 / b,
    ],
)
def test_expressions_keep_their_values(make: Callable) -> None:
    a, b = QiskitParameter("a"), QiskitParameter("b")
    source = QuantumCircuit(1)
    source.h(0)
    source.p(make(a, b), 0)
    values = {"a": 0.7, "b": -1.3}
    circuit = from_qiskit(source)
    ours = state(circuit, values=values, dtype=torch.complex128)
    theirs = qiskit_state(source.assign_parameters(values))
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-12)
    again = qiskit_state(to_qiskit(circuit).assign_parameters(values))
    np.testing.assert_allclose(again, theirs, atol=1e-12)


def test_registers_keep_names_and_qubits() -> None:
    first, second = QuantumRegister(2, "data"), QuantumRegister(3, "work")
    pair = QuantumRegister(name="pair", bits=[second[2], first[0]])
    for registers in ([first, second], [first, second, pair]):
        source = QuantumCircuit(*registers)
        source.h(second[1])
        back = to_qiskit(from_qiskit(source))
        for expected, found in zip(source.qregs, back.qregs, strict=True):
            assert found.name == expected.name
            assert [back.find_bit(q).index for q in found] == [
                source.find_bit(q).index for q in expected
            ]
    circuit = Circuit(4)
    circuit.register("q", 2)
    assert {r.name: len(r) for r in to_qiskit(circuit).qregs} == {"q": 2, "q_": 2}


def test_declared_sizes_come_back() -> None:
    circuit = Circuit(2, num_weights=9, num_inputs=4).rx(Weight(1), 0)
    assert from_qiskit(to_qiskit(circuit)) == circuit


def test_what_has_no_definition_is_named() -> None:
    source = QuantumCircuit(3)
    source.append(Instruction("magic", 1, 0, []), [2])
    with pytest.raises(UsageError, match=r"'magic' on qubits \[2\] has no definition"):
        from_qiskit(source)


def test_delays_are_not_dropped() -> None:
    source = QuantumCircuit(3)
    source.delay(100, 1)
    with pytest.raises(UsageError, match=r"'delay' on qubits \[1\]: .* remove the delays"):
        from_qiskit(source)


def test_definitions_that_explode_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_INSTRUCTIONS", 1000)
    gate = library.XGate()
    for level in range(10):
        definition = QuantumCircuit(1, name=f"level{level}")
        definition.append(gate, [0])
        definition.append(gate, [0])
        gate = definition.to_gate()
    source = QuantumCircuit(1)
    source.append(gate, [0])
    with pytest.raises(UsageError, match="more than 1,000 instructions"):
        from_qiskit(source)
