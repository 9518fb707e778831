"""TorchQuantum's op histories and modules: read, written, and run by TorchQuantum where it is.

TorchQuantum cannot be installed beside Qiskit 2 without leaving out what it asks for, so the tests
that run it are skipped without it; CONTRIBUTING.md says how to run them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qsim import GATES, Circuit, Gate, Input, Parameter, UsageError, Weight, state
from qsim.interop.torchquantum import _WORKING, from_torchquantum, to_torchquantum

WIRES = [5, 2, 4, 0, 3]


def run(tq: Any, history: list, num_qubits: int, batch: int = 1) -> torch.Tensor:
    """TorchQuantum's states with their axes reversed: [batch, 2**n]."""
    device = tq.QuantumDevice(n_wires=num_qubits, bsz=batch)
    functions = {**tq.functional.func_name_dict}
    for operation in history:
        params = operation["params"]
        if operation["name"].startswith("qubitunitary"):
            params = torch.tensor(params, dtype=torch.complex64)
        elif params is not None:
            params = torch.tensor(params, dtype=torch.float32)
            params = params.reshape(-1, 1) if params.dim() < 2 and _single(operation) else params
            params = params if params.dim() == 2 else params[None]
        functions[operation["name"]](
            device, wires=operation["wires"], params=params, inverse=operation["inverse"]
        )
    return device.states.permute(0, *range(num_qubits, 0, -1)).reshape(batch, -1)


def _single(operation: dict) -> bool:
    return operation["name"] not in {name for name, g in GATES.items() if g.num_params > 1}


def spread(gate: Gate) -> Circuit:
    """The gate on states that show its whole matrix."""
    circuit = Circuit(6)
    for qubit in range(6):
        circuit.u3(0.4 + qubit, 0.3, 0.2 * qubit, qubit)
    angles = [0.3 + k for k in range(gate.num_params)]
    return circuit.append(gate, WIRES[: gate.num_qubits], angles)


@pytest.mark.parametrize("gate", GATES.values(), ids=lambda g: g.name)
def test_every_gate_comes_back(gate: Gate, oracle: type) -> None:
    circuit = Circuit(6).append(
        gate, WIRES[: gate.num_qubits], [0.3 + k for k in range(gate.num_params)]
    )
    back = from_torchquantum(to_torchquantum(circuit), n_wires=6)
    np.testing.assert_allclose(oracle.unitary_of(back), oracle.unitary_of(circuit), atol=1e-10)
    assert gate.name not in _WORKING or back == circuit


@settings(max_examples=30)
@given(data=st.data())
def test_circuits_come_back(circuits: Callable, tensors: Callable, data: st.DataObject) -> None:
    names = tuple(_WORKING)
    circuit = data.draw(circuits(max_qubits=4, max_steps=12, names=names))
    weights, inputs = data.draw(tensors(torch.float64, data.draw(st.sampled_from([None, 3]))))
    back = from_torchquantum(to_torchquantum(circuit, weights, inputs), n_wires=circuit.num_qubits)
    expected = state(circuit, weights, inputs)
    found = state(back, dtype=torch.complex128).expand(expected.shape)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_histories_as_torchquantum_writes_them(oracle: type) -> None:
    """Names, inverses, and the forms that squeezed params have."""
    history = [
        {"name": "hadamard", "wires": 1, "params": None, "inverse": False, "trainable": False},
        {"name": "u", "wires": 0, "params": [0.1, 0.2, 0.3], "inverse": True},
        {"name": "ccnot", "wires": [2, 0, 1], "params": None, "inverse": False},
        {"name": "zz", "wires": [2, 1], "params": 0.4, "inverse": True, "trainable": True},
        {"name": "multixcnot", "wires": [1, 0, 2], "params": None, "inverse": False},
        {"name": "multirz", "wires": [1, 0], "params": 0.7, "inverse": False},
        {"name": "qubitunitary", "wires": [2, 1], "params": np.diag([1, 1j, 1, 1]).tolist()},
    ]
    expected = Circuit(3).h(1).u3(-0.1, -0.3, -0.2, 0).ccx(2, 0, 1).rzz(-0.4, 2, 1)
    expected.mcx([1, 0], 2, ctrl_state=0).rzz(0.7, 1, 0).diagonal([1, 1j, 1, 1], [1, 2])
    np.testing.assert_allclose(
        oracle.unitary_of(from_torchquantum(history)), oracle.unitary_of(expected), atol=1e-12
    )
    batched = [
        {"name": "rx", "wires": 0, "params": [0.1, 0.2], "inverse": False},
        {"name": "u3", "wires": 0, "params": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]},
    ]
    found = state(from_torchquantum(batched), dtype=torch.complex128)
    for row, angles in enumerate(([0.1, 0.1, 0.2, 0.3], [0.2, 0.4, 0.5, 0.6])):
        one = Circuit(1).rx(angles[0], 0).u3(*angles[1:], 0)
        torch.testing.assert_close(found[row], state(one, dtype=torch.complex128))


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([{"name": "reset", "wires": 0}], r"'reset' on wires \[0\] is no gate"),
        ([{"wires": 0}], "a list of dictionaries with name"),
        ([3], "a list of dictionaries with name"),
    ],
)
def test_what_is_no_history_is_named(history: list, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        from_torchquantum(history)


def test_what_is_no_module_is_named() -> None:
    with pytest.raises(UsageError, match="op histories, devices and modules, not Linear"):
        from_torchquantum(torch.nn.Linear(1, 1))


def test_values_must_be_there() -> None:
    with pytest.raises(UsageError, match="parameter a without a value"):
        to_torchquantum(Circuit(1).rx(Parameter("a"), 0))


# --- With TorchQuantum ----------------------------------------------------------------------------


@pytest.mark.parametrize("gate", GATES.values(), ids=lambda g: g.name)
def test_torchquantum_runs_every_gate(tq: Any, gate: Gate) -> None:
    circuit = spread(gate)
    found = run(tq, to_torchquantum(circuit), 6)
    torch.testing.assert_close(found[0], state(circuit), atol=2e-6, rtol=0)


@pytest.mark.parametrize("inverse", [False, True])
def test_names_have_our_meaning(tq: Any, inverse: bool) -> None:
    """Each function of TorchQuantum that works, on a recording device."""
    broken = {"reset", "toffoli", "ccnot", "ccx", "cphase", "cr", "chadamard", "singleexcitation",
              "globalphase", "ch", "u1", "u2", "cu1", "cp", "cu2", "rccx", "rc3x"}  # fmt: skip
    sizes = {"multicnot": 3, "multixcnot": 3, "qft": 3, "multirz": 3}
    for name, function in tq.functional.func_name_dict.items():
        if name in broken or name.startswith("qubitunitary"):
            continue
        gate = GATES.get(_ours(name))
        size = sizes.get(name) or (gate.num_qubits if gate else 1)
        count = 1 if name == "multirz" else gate.num_params if gate else 0
        device = tq.QuantumDevice(n_wires=6, bsz=1, record_op=True)
        for wire in range(6):
            tq.functional.u3(device, wires=wire, params=[[0.4 + wire, 0.3, 0.2 * wire]])
        params = torch.tensor([[0.3 + k for k in range(count)]]) if count else None
        function(device, wires=WIRES[:size], params=params, n_wires=size, inverse=inverse)
        expected = device.states.permute(0, *range(6, 0, -1)).reshape(-1)
        found = state(from_torchquantum(device))
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=0, msg=name)


def _ours(name: str) -> str:
    from qsim.gates import ALIASES
    from qsim.interop.torchquantum import _NAMES

    name = _NAMES.get(name, name)
    return ALIASES.get(name, name)


@settings(max_examples=20)
@given(data=st.data())
def test_torchquantum_runs_circuits(
    tq: Any, circuits: Callable, tensors: Callable, data: st.DataObject
) -> None:
    circuit = data.draw(circuits(min_qubits=2, max_qubits=4, max_steps=10, any_size=True))
    weights, inputs = data.draw(tensors(torch.float64, 3))
    found = run(tq, to_torchquantum(circuit, weights, inputs), circuit.num_qubits, 3)
    expected = state(circuit, weights, inputs, dtype=torch.complex64)
    torch.testing.assert_close(found, expected, atol=5e-6, rtol=0)


def test_modules_are_run_on_a_recording_device(tq: Any) -> None:
    layer = tq.RandomLayer(n_ops=30, wires=[0, 1, 2, 3], seed=3)
    layer.n_wires = 4
    device = tq.QuantumDevice(n_wires=4)
    layer(device)
    expected = device.states.permute(0, 4, 3, 2, 1).reshape(-1)
    for found in (from_torchquantum(layer), Circuit.from_any(layer)):
        torch.testing.assert_close(state(found), expected, atol=2e-6, rtol=0)
    encoder = tq.GeneralEncoder(
        [{"input_idx": [k], "func": f, "wires": [k]} for k, f in enumerate(["rx", "ry"])]
    )
    x = torch.rand(3, 2)
    ours = Circuit(2).rx(Input(0), 0).ry(Input(1), 1)
    found = state(from_torchquantum(encoder, x, n_wires=2), dtype=torch.complex64)
    torch.testing.assert_close(found, state(ours, inputs=x), atol=2e-6, rtol=0)
    with pytest.raises(UsageError, match="pass n_wires"):
        from_torchquantum(encoder, x)


def test_histories_become_modules(tq: Any) -> None:
    circuit = Circuit(2).h(0).cry(Weight(0), 0, 1).u3(0.1, 0.2, 0.3, 1)
    weights = torch.tensor([0.7])
    module = tq.QuantumModule.from_op_history(to_torchquantum(circuit, weights))
    device = tq.QuantumDevice(n_wires=2)
    module(device)
    found = device.states.permute(0, 2, 1).reshape(-1)
    torch.testing.assert_close(found, state(circuit, weights), atol=2e-6, rtol=0)
