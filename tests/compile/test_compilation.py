"""Compiling: the circuit stays the same, the device's rules are kept, mistakes are told."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.qasm3 import loads
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.transpiler import generate_preset_pass_manager

import qsim
from compile import Compiled, Device, compile, fake_device_names
from qsim import Circuit, Input, UsageError, expval
from qsim.interop.qiskit import to_qiskit

RandomCircuit = Callable[..., Circuit]
LineDevice = Callable[..., Device]


def assert_same_state(original: QuantumCircuit, compiled: Compiled) -> None:
    """Up to a global phase, the original's state stands on the final layout, zeros elsewhere."""
    moved = QuantumCircuit(compiled.circuit.num_qubits)
    moved.compose(original, qubits=compiled.final_layout, inplace=True)
    assert Statevector(moved).equiv(Statevector(compiled.circuit), rtol=1e-7, atol=1e-9)


def assert_fits(compiled: Compiled, device: Device) -> None:
    for step in compiled.circuit.data:
        qubits = tuple(compiled.circuit.find_bit(q).index for q in step.qubits)
        assert qubits in device.target[step.operation.name]


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("layout", [None, (4, 0, 3, 1)])
def test_circuit_stays_the_same(
    quito: Device, random_circuit: RandomCircuit, level: int, layout: tuple[int, ...] | None
) -> None:
    for seed in range(3):
        circuit = random_circuit(seed, 4)
        compiled = compile(circuit, quito, layout=layout, level=level, seed=seed)
        assert_same_state(to_qiskit(circuit), compiled)
        assert_fits(compiled, quito)
        assert layout in (None, compiled.initial_layout)
        assert len(set(compiled.final_layout)) == 4


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_circuit_is_that_of_qiskit(
    quito: Device, random_circuit: RandomCircuit, level: int
) -> None:
    source = to_qiskit(random_circuit(1, 4))
    source.barrier([0, 1])
    source.t(0)  # a measurement must not take it out
    theirs = generate_preset_pass_manager(level, target=quito.target, seed_transpiler=5)
    measured = theirs.run(source.measure_all(inplace=False))
    expected = measured.remove_final_measurements(inplace=False)
    compiled = compile(source, quito, level=level, seed=5)
    expected.global_phase = 0
    assert compiled.circuit == expected
    assert compiled.final_layout == tuple(expected.layout.final_index_layout(filter_ancillas=True))
    assert not compiled.circuit.clbits


@pytest.mark.filterwarnings("ignore::compile.CalibrationWarning")
@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("layout", [(12, 15, 18), (18, 15, 12), None])
def test_couplings_with_different_gates_of_one_direction(
    level: int, layout: tuple[int, ...] | None
) -> None:
    cairo = Device.from_fake("cairo")  # ECR on 15-12, CX on 18-15, neither the other way round
    circuit = Circuit(3).h(0).cx(0, 1).cx(1, 2).ecr(0, 1).ecr(2, 1).swap(0, 2).ccx(0, 1, 2)
    compiled = compile(circuit, cairo, layout=layout, level=level)
    assert compiled.verify().equivalent
    assert_fits(compiled, cairo)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of their calibrations
@pytest.mark.parametrize("name", fake_device_names())
def test_every_snapshot(name: str) -> None:
    device = Device.from_fake(name)
    size = min(5, device.num_qubits)
    circuit = Circuit(size).h(0)
    for qubit in range(size - 1):
        circuit.cx(qubit, qubit + 1).ecr(qubit + 1, qubit).crz(0.3, qubit, qubit + 1)
    if size > 1 and not device.edges:  # as Kyoto's snapshot, where all couplings are dead
        with pytest.raises(UsageError, match="no working two-qubit gates at present"):
            compile(circuit, device)
        return
    compiled = compile(circuit, device)
    assert compiled.verify().equivalent
    assert_fits(compiled, device)
    assert 0 < compiled.esp < 1


def test_named_parameters_become_inputs(quito: Device) -> None:
    circuit = Circuit(2).rx(qsim.Parameter("b"), 0).ry(2 * qsim.Parameter("a"), 1).cx(0, 1)
    compiled = compile(circuit, quito)
    assert compiled.num_inputs == 2
    expected = expval(circuit, values={"a": 0.4, "b": 1.3})
    bound = Statevector(compiled.bind(np.array([0.4, 1.3])))
    found = [bound.expectation_value(SparsePauliOp("Z"), [q]).real for q in compiled.final_layout]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(UsageError, match=r"named parameter 'b' beside weights or inputs.*assign"):
        compile(Circuit(1).rx(qsim.Parameter("b"), 0).rx(Input(0), 0), quito)


@pytest.mark.parametrize("level", [0, 3])
def test_broken_edges_are_avoided(
    line: LineDevice, random_circuit: RandomCircuit, level: int
) -> None:
    ring = {(0, 1): 0.01, (1, 2): 1.0, (2, 3): 0.01, (3, 4): None, (4, 0): 0.01, (0, 3): 0.4}
    device = line(ring)
    circuit = random_circuit(7, 3)
    compiled = compile(circuit, device, layout=(1, 2, 4), level=level)
    assert_same_state(to_qiskit(circuit), compiled)
    assert_fits(compiled, device)
    assert compiled.esp > 0


def test_layout_may_change_from_call_to_call(quito: Device, random_circuit: RandomCircuit) -> None:
    circuit = random_circuit(3, 3)
    rng = np.random.default_rng(0)
    layouts = [tuple(int(q) for q in rng.permutation(5)[:3]) for _ in range(6)]
    first = [compile(circuit, quito, layout=layout) for layout in layouts]
    again = [compile(circuit, quito, layout=layout) for layout in reversed(layouts)][::-1]
    for layout, one, other in zip(layouts, first, again, strict=True):
        assert one.initial_layout == layout
        assert one.circuit == other.circuit


def test_layout_of_every_width(quito: Device, random_circuit: RandomCircuit) -> None:
    for width in (2, 5, 3):
        circuit = random_circuit(width, width)
        compiled = compile(circuit, quito, layout=range(width))
        assert compiled.num_qubits == width
        assert_same_state(to_qiskit(circuit), compiled)


def test_free_layout_weighs_readout(quito: Device) -> None:
    compiled = compile(Circuit(2).h(0).cx(0, 1), quito)
    assert 2 not in compiled.final_layout  # reads wrong in one of nine times


def test_same_seed_same_circuit(quito: Device, random_circuit: RandomCircuit) -> None:
    circuit = random_circuit(5, 5, gates=40)
    first, again = (compile(circuit, quito, seed=11) for _ in range(2))
    assert first.circuit == again.circuit
    assert first.final_layout == again.final_layout
    seeds = {compile(circuit, quito, seed=seed).esp for seed in range(8)}
    assert len(seeds) > 1


def test_inputs_stay_open(quito: Device, random_circuit: RandomCircuit) -> None:
    circuit = random_circuit(2, 4, num_inputs=16)
    compiled = compile(circuit, quito)
    assert compiled.num_inputs == 16
    assert compiled.circuit.global_phase == 0
    assert sorted(compiled.features.values()) == list(range(16))
    inputs = torch.rand(16, dtype=torch.float64) * 3
    bound = compiled.circuit.assign_parameters(
        {p: float(inputs[compiled.features[p.name]]) for p in compiled.circuit.parameters}
    )
    state = Statevector(bound)
    z = [
        state.expectation_value(SparsePauliOp.from_sparse_list([("Z", [q], 1)], 5)).real
        for q in compiled.final_layout
    ]
    assert np.allclose(z, expval(circuit, inputs=inputs), atol=1e-7)


def test_counts_of_gates(quito: Device, random_circuit: RandomCircuit) -> None:
    compiled = compile(random_circuit(4, 4), quito)
    counts = compiled.circuit.count_ops()
    assert compiled.two_qubit_gates == counts["cx"]
    assert compiled.virtual_gates == counts["rz"]
    assert compiled.one_qubit_gates == counts["sx"] + counts.get("x", 0)
    assert compiled.depth == compiled.circuit.depth()
    assert sum(counts.values()) == len(compiled.circuit.data)


def test_openqasm_holds_gates_layout_and_measurements(
    quito: Device, random_circuit: RandomCircuit
) -> None:
    compiled = compile(random_circuit(4, 3), quito, layout=(4, 3, 1))
    text = compiled.to_openqasm3()
    for bit, qubit in enumerate(compiled.final_layout):
        assert f"c[{bit}] = measure ${qubit};" in text
    declared = text.replace("bit[3] c;", "bit[3] c; qubit[5] q;")
    read = loads(re.sub(r"\$(\d)", r"q[\1]", declared))
    assert read.count_ops() == compiled.measured().count_ops()
    open_inputs = compile(Circuit(1).rx(Input(0), 0), quito).to_openqasm3()
    assert "input float[64]" in open_inputs


# --- Qiskit circuits ------------------------------------------------------------------------------


def test_qiskit_circuit_with_final_measurements(quito: Device) -> None:
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    measured = bell.copy()
    measured.measure_all()
    for circuit in (bell, measured):
        compiled = compile(circuit, quito)
        assert_same_state(bell, compiled)
        assert "measure" not in compiled.circuit.count_ops()
    assert measured.count_ops()["measure"] == 2


def test_plain_parameters_are_inputs_by_name(quito: Device) -> None:
    circuit = QuantumCircuit(2)
    circuit.rx(Parameter("b"), 0)
    circuit.ry(Parameter("a"), 1)
    compiled = compile(circuit, quito)
    assert compiled.num_inputs == 2
    assert compiled.features == {"a": 0, "b": 1}


def test_qiskit_circuit_that_is_more_than_gates(quito: Device) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    circuit.h(0)
    with pytest.raises(UsageError, match="has a measure before its end"):
        compile(circuit, quito)
    reset = QuantumCircuit(1)
    reset.reset(0)
    with pytest.raises(UsageError, match="has a reset"):
        compile(reset, quito)


# --- Mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ((0, 1), "places 2 qubits, but the circuit has 3"),
        ((0, 1, 5), "physical qubit 5, but fake_quito has qubits 0 to 4"),
        ((0, -1, 2), "physical qubit -1"),
        ((0, 2, 2), "uses physical qubit 2 twice"),
    ],
)
def test_layouts_that_do_not_fit(quito: Device, layout: tuple[int, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        compile(Circuit(3).h(0), quito, layout=layout)


def test_mistakes_in_circuit_and_options(quito: Device) -> None:
    with pytest.raises(UsageError, match="has 6 qubits, but fake_quito has 5"):
        compile(Circuit(6).h(0), quito)
    with pytest.raises(UsageError, match="0, 1, 2 or 3, not 4"):
        compile(Circuit(1).h(0), quito, level=4)
    with pytest.raises(UsageError, match="the seed is a whole number from 0 on, not -1"):
        compile(Circuit(1).h(0), quito, seed=-1)


def test_qubits_without_working_couplings(line: LineDevice) -> None:
    circuit = Circuit(2).h(0).cx(0, 1)
    parts = line({(0, 1): 0.01, (1, 2): 1.0, (2, 3): 0.01})
    with pytest.raises(UsageError, match=r"from the layout \[0, 3\].*joined by device\.edges"):
        compile(circuit, parts, layout=(0, 3))
    assert compile(circuit, parts, layout=(3, 2)).esp > 0
    with pytest.raises(UsageError, match="no working two-qubit gates"):
        compile(circuit, Device.from_name("kyoto"), level=1)
