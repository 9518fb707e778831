"""PennyLane's tapes and QNodes: the same unitaries, states, gradients and batches, both ways."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import random_unitary

from qsim import (
    GATES,
    Circuit,
    Gate,
    Input,
    Parameter,
    PauliString,
    UsageError,
    Weight,
    expval,
    state,
)
from qsim.interop.pennylane import _NAMES, from_pennylane, to_pennylane

pl = pytest.importorskip("pennylane")


def matrix_of(script: object, num_qubits: int) -> np.ndarray:
    """With the last wire as the most significant bit, as ours."""
    return np.asarray(pl.matrix(script, wire_order=range(num_qubits)[::-1]))


def state_of(script: object, num_qubits: int) -> torch.Tensor:
    """PennyLane's state with its axes reversed."""
    asked = pl.tape.QuantumScript(script.operations, [pl.state()])
    device = pl.device("default.qubit", wires=num_qubits)
    (found,) = pl.execute([asked], device, diff_method="backprop")
    found = torch.as_tensor(found)
    batch = found.shape[:-1]
    axes = [*range(len(batch)), *range(found.dim() - 1 + num_qubits - 1, len(batch) - 1, -1)]
    return found.reshape(*batch, *[2] * num_qubits).permute(axes).reshape(*batch, -1)


def assert_same_matrix(operations: list, oracle: type) -> Circuit:
    script = pl.tape.QuantumScript(operations)
    circuit = from_pennylane(script, wires=range(6))
    np.testing.assert_allclose(oracle.unitary_of(circuit), matrix_of(script, 6), atol=1e-10)
    return circuit


WIRES = [5, 2, 4, 0, 3]
CONTROLLED = pl.ctrl(pl.Rot(0.1, 0.2, 0.3, wires=1), [4, 0], [1, 0])
OTHERS = {
    "u1": pl.U1(0.3, wires=2),
    "psw": pl.PSWAP(0.3, wires=[3, 1]),
    "xy": pl.IsingXY(0.3, wires=[3, 1]),
    "siswap": pl.SISWAP(wires=[3, 1]),
    "fswap": pl.FermionicSWAP(0.3, wires=[3, 1]),
    "orbital": pl.OrbitalRotation(0.3, wires=[3, 1, 0, 2]),
    "excitation": pl.SingleExcitationPlus(0.3, wires=[3, 1]),
    "excitations": pl.DoubleExcitationMinus(0.3, wires=[3, 1, 0, 2]),
    "controlled": CONTROLLED,
    "controlled rotation": pl.ctrl(pl.PauliRot(0.4, "XZ", wires=[2, 0]), [3], [0]),
    "adjoint": pl.adjoint(CONTROLLED),
    "adjoint t": pl.adjoint(pl.T(3)),
    "mcx": pl.MultiControlledX(wires=[4, 1, 3, 2], control_values=[1, 0, 1]),
    "multirz": pl.MultiRZ(0.3, wires=[4, 1, 3]),
    "rotation": pl.PauliRot(0.3, "XIYZ", wires=[4, 1, 3, 0]),
    "identity": pl.PauliRot(0.3, "II", wires=[4, 1]),
    "phase": pl.GlobalPhase(0.3),
    "controlled phase": pl.ctrl(pl.GlobalPhase(0.3), [2, 4], [0, 1]),
    "unitary": pl.QubitUnitary(random_unitary(8, seed=1).data, wires=[4, 0, 3]),
    "controlled unitary": pl.ControlledQubitUnitary(
        random_unitary(4, seed=2).data, wires=[2, 4, 0, 3], control_values=[1, 0]
    ),
    "diagonal": pl.DiagonalQubitUnitary(np.exp(1j * np.arange(8)), wires=[4, 0, 3]),
    "shifts": pl.CPhaseShift01(0.3, wires=[4, 1]),
    "power": pl.pow(pl.RX(0.3, 2), 0.5),
    "product": pl.prod(pl.RX(0.3, 2), pl.CNOT([2, 0]), pl.S(1)),
    "qft": pl.QFT(wires=[4, 1, 3]),
    "trotter": pl.TrotterProduct(pl.dot([0.3, 0.4], [pl.X(1) @ pl.Z(0), pl.Y(1)]), 0.7, order=2),
    "evolution": pl.evolve(pl.X(1) @ pl.Z(0), 0.7),
    "arithmetic": pl.QubitCarry(wires=[4, 1, 3, 0]),
    "barrier": pl.Barrier(wires=[2, 0]),
}


@pytest.mark.parametrize("name", _NAMES)
def test_names_have_our_meaning(name: str, oracle: type) -> None:
    gate = GATES[_NAMES[name]]
    angles = np.linspace(0.3, 1.1, gate.num_params)
    operation = getattr(pl, name)(*angles, wires=WIRES[: gate.num_qubits])
    assert len(assert_same_matrix([operation], oracle)) == 1
    assert_same_matrix([pl.adjoint(operation)], oracle)
    assert_same_matrix([pl.ctrl(operation, [1], [0])], oracle)


@pytest.mark.parametrize("operation", OTHERS.values(), ids=OTHERS)
def test_other_operations_keep_their_matrix(operation, oracle: type) -> None:
    assert_same_matrix([pl.Hadamard(4), operation, pl.RX(0.3, 1)], oracle)


@pytest.mark.parametrize("gate", GATES.values(), ids=lambda g: g.name)
def test_every_gate_goes_and_comes_back(gate: Gate, oracle: type) -> None:
    circuit = Circuit(6).append(
        gate, WIRES[: gate.num_qubits], [0.3 + k for k in range(gate.num_params)]
    )
    script = to_pennylane(circuit)
    np.testing.assert_allclose(matrix_of(script, 6), oracle.unitary_of(circuit), atol=1e-10)
    back = from_pennylane(script, wires=range(6))
    np.testing.assert_allclose(oracle.unitary_of(back), oracle.unitary_of(circuit), atol=1e-10)


@settings(max_examples=30)
@given(data=st.data())
def test_circuits_keep_their_states(
    circuits: Callable, tensors: Callable, data: st.DataObject
) -> None:
    circuit = data.draw(circuits(max_qubits=4, min_steps=1, max_steps=12, any_size=True))
    weights, inputs = data.draw(tensors(torch.float64, data.draw(st.sampled_from([None, 2]))))
    expected = state(circuit, weights, inputs)
    script = to_pennylane(circuit, weights, inputs)
    found = state_of(script, circuit.num_qubits).expand(expected.shape)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    back = from_pennylane(script, wires=range(circuit.num_qubits))
    torch.testing.assert_close(
        state(back, dtype=torch.complex128).expand(expected.shape), expected, atol=1e-10, rtol=0
    )


def test_gradients_pass_both_ways() -> None:
    circuit = Circuit(2).rx(Weight(0), 0).cry(2 * Weight(1) + Parameter("a"), 0, 1)
    circuit.rz(Weight(0) * Input(0), 1).h(1)
    weights = torch.tensor([0.4, 0.9], dtype=torch.float64, requires_grad=True)
    inputs = torch.tensor([0.7], dtype=torch.float64)
    expected = expval(circuit, [PauliString("ZI")], weights, inputs, values={"a": 0.2})
    expected.sum().backward()
    wanted, weights.grad = weights.grad, None
    script = to_pennylane(circuit, weights, inputs, {"a": 0.2})
    asked = pl.tape.QuantumScript(script.operations, [pl.expval(pl.Z(1))])
    (found,) = pl.execute([asked], pl.device("default.qubit"), diff_method="backprop")
    found.backward(retain_graph=True)
    torch.testing.assert_close(weights.grad, wanted)
    weights.grad = None
    expval(from_pennylane(script), [PauliString("ZI")]).sum().backward()
    torch.testing.assert_close(weights.grad, wanted)


def test_qnodes_are_read_with_their_arguments() -> None:
    device = pl.device("default.qubit", wires=["a", "b", "c"])

    @pl.qnode(device)
    def model(angles, *, twice=False):
        pl.StatePrep(np.array([0.6, 0.8j]), wires="b")
        for angle in [*angles] * (1 + twice):
            pl.RY(angle, "c")
        pl.CNOT(["c", "a"])
        return pl.state()

    angles = np.array([0.3, 0.5])
    found = state(from_pennylane(model, angles, twice=True), dtype=torch.complex128)
    expected = torch.as_tensor(model(angles, twice=True)).reshape(2, 2, 2).permute(2, 1, 0)
    torch.testing.assert_close(found, expected.reshape(-1))


def test_names_of_wires() -> None:
    script = pl.tape.QuantumScript([pl.CNOT(["b", "a"]), pl.RX(0.3, "c")])
    assert [op.qubits for op in from_pennylane(script).operations] == [(0, 1), (2,)]
    assert [op.qubits for op in from_pennylane(script, wires="cab").operations] == [(2, 1), (0,)]
    numbers = pl.tape.QuantumScript([pl.CNOT([3, 1])])
    assert from_pennylane(numbers) == Circuit(4).cx(3, 1)
    assert from_pennylane(numbers, wires=[3, 1]) == Circuit(2).cx(0, 1)
    with pytest.raises(UsageError, match="wire 'c' is not among the wires"):
        from_pennylane(script, wires="ab")


def test_what_is_no_gate_is_named() -> None:
    for operations, message in (
        ([pl.Displacement(0.1, 0.2, wires=2)], r"Displacement on wires \[2\] is no gate"),
        ([pl.H(0), pl.StatePrep(np.array([1, 0]), wires=0)], "StatePrep stands before"),
    ):
        with pytest.raises(UsageError, match=message):
            from_pennylane(pl.tape.QuantumScript(operations))
    with pytest.raises(UsageError, match="tapes and QNodes, not int"):
        from_pennylane(3)


def test_values_must_be_there() -> None:
    circuit = Circuit(1).rx(Weight(0) * Parameter("a"), 0)
    with pytest.raises(UsageError, match=r"weights of shape \[1\] .* none were given"):
        to_pennylane(circuit)
    with pytest.raises(UsageError, match="parameter a without a value"):
        to_pennylane(circuit, torch.ones(1))
