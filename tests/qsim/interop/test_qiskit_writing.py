"""To Qiskit and OpenQASM 3: the same gates on the same qubits, symbols as parameters."""

import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import library
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.quantum_info import Operator, Statevector

from qsim import GATES, Circuit, Gate, Input, UsageError, Weight, state
from qsim.interop.openqasm import to_openqasm2, to_openqasm3
from qsim.interop.qiskit import to_qiskit


def assign(
    converted: QuantumCircuit, weights: torch.Tensor, inputs: torch.Tensor
) -> QuantumCircuit:
    """Parameter w[i] gets weights[i], x[i] inputs[i]."""
    sources = {"w": weights, "x": inputs}
    return converted.assign_parameters(
        {p: sources[p.vector.name][p.index].item() for p in converted.parameters}
    )


def assert_same_state(ours: torch.Tensor, theirs: QuantumCircuit) -> None:
    np.testing.assert_allclose(ours.numpy(), Statevector(theirs).data, atol=1e-12)


OTHER_NAMES = {"i": "id", "u3": "u", "rc3x": "rcccx"}
MISSING = {
    "rot",
    "sh",
    "sswap",
    "single_excitation",
    "double_excitation",
}  # Qiskit has none like them
NOT_STANDARD = {"c3x": library.C3XGate, "c4x": library.C4XGate}


@pytest.mark.parametrize("gate", GATES.values(), ids=lambda g: g.name)
def test_every_gate_becomes_qiskits_own(gate: Gate) -> None:
    qubits = [5, 2, 4, 0, 3][: gate.num_qubits]
    angles = [0.3 + k for k in range(gate.num_params)]
    circuit = Circuit(6).append(gate, qubits, angles)
    converted = to_qiskit(circuit)
    expected = QuantumCircuit(6)
    expected.unitary(gate.unitary.at(*angles), qubits)
    np.testing.assert_allclose(Operator(converted).data, Operator(expected).data, atol=1e-14)
    if gate.name in MISSING:
        return
    if gate.name == "globalphase":
        assert (converted.global_phase, len(converted.data)) == (0.3, 0)
        return
    (instruction,) = converted.data
    assert [converted.find_bit(q).index for q in instruction.qubits] == qubits
    assert gate.name == "crot" or instruction.operation.params == angles
    name = OTHER_NAMES.get(gate.name, gate.name)
    standard = get_standard_gate_name_mapping()
    if name in standard:
        assert instruction.operation.base_class is standard[name].base_class
    elif name in NOT_STANDARD:
        assert isinstance(instruction.operation, NOT_STANDARD[name])
    else:
        assert name in ("crot", "cu2")
        assert instruction.operation.num_ctrl_qubits == 1


@settings(max_examples=40)
@given(data=st.data())
def test_circuits_keep_their_states(
    circuits: Callable, tensors: Callable, data: st.DataObject
) -> None:
    circuit = data.draw(circuits(max_qubits=5, max_steps=20))
    weights, inputs = data.draw(tensors(torch.float64, None))
    assert_same_state(state(circuit, weights, inputs), assign(to_qiskit(circuit), weights, inputs))


def test_only_symbols_that_remain_become_parameters() -> None:
    circuit = Circuit(2, num_weights=9).rx(Weight(3), 0).crz(2 * Input(1) - 1, 0, 1).h(1)
    assert {p.name for p in to_qiskit(circuit).parameters} == {"w[3]", "x[1]"}
    bound = circuit.bind(weights=torch.rand(9))
    assert {p.name for p in to_qiskit(bound).parameters} == {"x[1]"}
    assert not to_qiskit(bound.bind(inputs=torch.rand(2))).parameters


def test_parameters_come_in_the_order_of_the_tensors() -> None:
    """Qiskit assigns a plain list in this order; numbers above 9 must not be sorted as words."""
    circuit = Circuit(1)
    for k in reversed(range(12)):
        circuit.rx(Weight(k), 0).ry(Input(k), 0)
    names = [p.name for p in to_qiskit(circuit).parameters]
    assert names == [f"w[{k}]" for k in range(12)] + [f"x[{k}]" for k in range(12)]


def test_circuit_without_gates() -> None:
    converted = to_qiskit(Circuit(3))
    assert (converted.num_qubits, len(converted.data)) == (3, 0)


@pytest.mark.parametrize("convert", [to_qiskit, to_openqasm2, to_openqasm3])
def test_without_qiskit_the_error_names_the_extra(
    convert: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "qiskit"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(UsageError, match=r"needs qiskit, .* 'efficient-qml\[ibm\]'"):
        convert(Circuit(1).h(0))
