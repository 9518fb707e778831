"""What a compiled circuit offers: binding, mapping back, verification, files, decoupling."""

from collections.abc import Callable
from dataclasses import replace
from math import pi
from pathlib import Path

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, Statevector
from qiskit_aer import AerSimulator

from compile import Compiled, Device, compile
from compile.decoupling import SEQUENCES
from qsim import Circuit, Input, PauliString, PauliSum, UsageError, Weight, expval, qft
from qsim.interop.qiskit import to_qiskit

RandomCircuit = Callable[..., Circuit]


@pytest.fixture
def compiled(quito: Device, random_circuit: RandomCircuit) -> Compiled:
    """Three qubits on five, which end elsewhere than they begin."""
    found = compile(random_circuit(3, 3), quito, layout=(4, 0, 2))
    assert found.initial_layout != found.final_layout
    return found


# --- Binding --------------------------------------------------------------------------------------


def test_bound_circuit_has_its_inputs(quito: Device) -> None:
    circuit = Circuit(2)
    for k in range(6):
        circuit.cu3(Input(3 * k % 6), Input(k), 0.3, 0, 1).u3(Input(k), 0.1, Input(5 - k), k % 2)
    compiled = compile(circuit, quito)
    inputs = torch.linspace(-1, 2, 12).reshape(2, 6)
    bound = compiled.bind(inputs)
    assert isinstance(bound, list)
    single = compiled.bind(inputs[1])
    assert isinstance(single, QuantumCircuit)
    assert single == bound[1]
    for row, made in zip(inputs, bound, strict=True):
        assert not made.parameters
        known = replace(compiled, circuit=made, source=to_qiskit(circuit.bind(inputs=row)))
        assert known.verify().equivalent


def test_inputs_that_cannot_be_bound(quito: Device) -> None:
    compiled = compile(Circuit(1).rx(Input(0), 0), quito)
    with pytest.raises(UsageError, match=r"inputs of shape \[1\] or \[batch, 1\], not \[2\]"):
        compiled.bind(torch.zeros(2))
    open_weights = compile(Circuit(1).rx(Weight(0), 0), quito)
    with pytest.raises(UsageError, match="1 open weights"):
        open_weights.bind(torch.zeros(0))


# --- Back to the logical qubits -------------------------------------------------------------------


def test_mapped_observable_has_the_same_value(compiled: Compiled) -> None:
    state = Statevector(compiled.circuit)
    logical = Statevector(compiled.source)
    for label in ("ZIX", "YXZ", "IIZ"):
        placed = compiled.map_observable(PauliString(label))
        assert isinstance(placed, PauliString)
        value = np.vdot(state.data, _pauli(placed.label) @ state.data).real
        assert value == pytest.approx(np.vdot(logical.data, _pauli(label) @ logical.data).real)
    both = compiled.map_observable(PauliSum({"ZII": 0.5, "IXI": -2.0}))
    assert isinstance(both, PauliSum)
    assert [string.num_qubits for string in both.strings] == [5, 5]
    assert both.coefficients.tolist() == [0.5, -2.0]
    with pytest.raises(UsageError, match="apply_layout"):
        compiled.map_observable("ZZZ")  # type: ignore[arg-type]


def _pauli(label: str) -> np.ndarray:
    matrices = {
        "I": np.eye(2),
        "X": np.array([[0, 1], [1, 0]]),
        "Y": np.array([[0, -1j], [1j, 0]]),
        "Z": np.diag([1, -1]),
    }
    found = np.eye(1)
    for letter in label:
        found = np.kron(found, matrices[letter])
    return found


def test_counts_come_back_to_the_right_bits(quito: Device) -> None:
    circuit = Circuit(3).x(0).x(1).cx(1, 2).cx(2, 0).cx(0, 1)  # |110>
    compiled = compile(circuit, quito, layout=(4, 0, 2))
    physical = compiled.circuit.copy()
    physical.measure_all()
    counts = AerSimulator().run(physical, shots=10).result().get_counts()
    expected = Statevector(to_qiskit(circuit)).probabilities_dict()
    (bits,) = (key for key, probability in expected.items() if probability > 0.99)
    assert compiled.unmap_counts(counts) == {bits: 10}
    (unused, *_) = set(range(5)) - set(compiled.final_layout)
    excited = format(1 << unused, "05b")
    assert compiled.unmap_counts({"00000": 1, excited: 2}) == {"000": 3}
    with pytest.raises(UsageError, match="all 5 physical qubits are unmapped, not of 3"):
        compiled.unmap_counts({"000": 1})


# --- Verification ---------------------------------------------------------------------------------


def broken(compiled: Compiled) -> Compiled:
    """One angle a hundredth off."""
    circuit = compiled.circuit.copy()
    place = next(k for k, step in enumerate(circuit.data) if step.name == "rz" and k > 3)
    step = circuit.data[place]
    circuit.data[place] = step.replace(params=[step.params[0] + 0.01])
    return replace(compiled, circuit=circuit)


def test_few_qubits_are_verified_by_their_unitary(compiled: Compiled) -> None:
    found = compiled.verify()
    assert found.equivalent
    assert found.method == "unitary"
    assert not broken(compiled).verify().equivalent
    first, second, third = compiled.final_layout
    assert not replace(compiled, final_layout=(second, first, third)).verify().equivalent
    first, second, third = compiled.initial_layout
    assert not replace(compiled, initial_layout=(third, second, first)).verify().equivalent


def test_more_qubits_are_verified_by_random_states(random_circuit: RandomCircuit) -> None:
    compiled = compile(random_circuit(5, 9, gates=30), Device.from_fake("guadalupe"))
    found = compiled.verify()
    assert found.equivalent
    assert found.method == "random states"
    assert not broken(compiled).verify().equivalent


def test_many_qubits_are_verified_by_stabilizer_states() -> None:
    circuit = QuantumCircuit(24)
    circuit.h(0)
    for q in range(23):
        circuit.cx(q, q + 1)
    kolkata = Device.from_fake("kolkata")
    compiled = compile(circuit, kolkata)
    found = compiled.verify()
    assert found.equivalent
    assert found.method == "stabilizer states"
    wrong = compiled.circuit.copy()
    wrong.x(compiled.final_layout[7])
    assert not replace(compiled, circuit=wrong).verify().equivalent
    circuit.t(3)
    with pytest.raises(UsageError, match="is no Clifford circuit"):
        compile(circuit, kolkata).verify()


def test_open_parameters_are_verified_at_random_values(quito: Device) -> None:
    circuit = Circuit(2).rx(Input(0), 0).cry(Weight(0), 0, 1).ry(Input(1), 1)
    compiled = compile(circuit, quito)
    assert compiled.verify().equivalent
    other = to_qiskit(Circuit(2).rx(Input(0), 0).cry(Weight(0), 0, 1).ry(-Input(1), 1))
    assert not replace(compiled, source=other).verify().equivalent


# --- Files ----------------------------------------------------------------------------------------


def test_saved_circuit_is_the_same_circuit(quito: Device, tmp_path: Path) -> None:
    circuit = Circuit(2).rx(Input(0), 0).cry(Weight(0), 0, 1).cu3(Input(1), 0.2, 0.1, 1, 0)
    compiled = compile(circuit, quito, effort="balanced", workers=1)
    again = Compiled.load(compiled.save(tmp_path / "compiled.json"))
    assert again.circuit == compiled.circuit
    assert again.source == compiled.source
    for name in (
        *("initial_layout", "final_layout", "num_inputs", "num_weights", "features"),
        *("candidates", "baseline", "complete", "notes", "esp", "device_name"),
    ):
        assert getattr(again, name) == getattr(compiled, name)
    assert again.verify().equivalent


def test_files_that_are_no_compiled_circuits(compiled: Compiled, tmp_path: Path) -> None:
    path = compiled.save(tmp_path / "compiled.json")
    text = path.read_text()
    for old, new, words in (
        ('"version":1', '"version":2', "of version 2, and this release reads up to 1"),
        ('"final_layout"', '"final"', "is damaged .KeyError, 'final_layout'.*compile again"),
        ('"circuit":"', '"circuit":"?', "is damaged"),
        ('"circuit":"', '"circuit":"AAAA', "Qiskit cannot read the circuit|damaged"),
    ):
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(UsageError, match=words):
            Compiled.load(path)


# --- Dynamical decoupling -------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SEQUENCES))
def test_decoupling_fills_waits_and_changes_nothing_else(quito: Device, name: str) -> None:
    plain = compile(qft(4), quito)
    filled = compile(qft(4), quito, dd=name)
    pulses = filled.circuit.count_ops()["x"] - plain.circuit.count_ops().get("x", 0)
    assert pulses > 0
    assert pulses % len(SEQUENCES[name]) == 0
    assert filled.schedule.seconds == pytest.approx(plain.schedule.seconds)
    assert sum(w.seconds for w in filled.schedule.waits) < sum(
        w.seconds for w in plain.schedule.waits
    )
    bare = filled.circuit.copy_empty_like()
    for step in filled.circuit.data:
        if step.name != "delay":
            bare.append(step)
    assert Operator(bare).equiv(Operator(plain.circuit))


def test_decoupling_takes_out_slow_dephasing(quito: Device) -> None:
    """Every delay turns its qubit by a constant detuning: echoes undo it."""
    circuit = Circuit(2).h(0).cx(0, 1)
    for _ in range(8):
        circuit.x(1)
    circuit.cx(0, 1).h(0)
    ideal = expval(circuit)

    def detuned(compiled: Compiled) -> np.ndarray:
        turned = compiled.circuit.copy_empty_like()
        waits = {w.after: w for w in compiled.schedule.waits}
        for number, step in enumerate(compiled.circuit.data):
            seconds = step.operation.duration if step.name == "delay" else 0.0
            if step.name == "delay":
                turned.rz(2 * pi * 4e5 * seconds, step.qubits[0])
            else:
                turned.append(step)
            if number in waits:
                turned.rz(2 * pi * 4e5 * waits[number].seconds, waits[number].qubit)
        probabilities = Statevector(turned)
        return np.array(
            [1 - 2 * probabilities.probabilities([q])[1] for q in compiled.final_layout]
        )

    plain, filled = (
        np.abs(detuned(compile(circuit, quito, layout=(0, 1), level=0, dd=dd)) - ideal.numpy())
        for dd in (None, "XX")
    )
    assert plain.max() > 0.1
    assert filled.max() < 1e-6


def test_decoupling_needs_a_pulse_for_x() -> None:
    with pytest.raises(UsageError, match="fake_burlington has no gate x"):
        compile(qft(4), Device.from_fake("burlington"), dd="XX")
