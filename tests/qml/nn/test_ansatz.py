"""Templates against Qiskit, PennyLane, and gates written out."""

from __future__ import annotations

import numpy as np
import pennylane as pl
import pytest
import torch
from qiskit.circuit import library as theirs
from qiskit.quantum_info import Statevector

from qml.nn.ansatz import TEMPLATES, add_template, random_layer
from qml.nn.layers import PATTERNS, Layer
from qsim import Circuit, PauliString, Weight, expval, state
from qsim.errors import UsageError
from qsim.gates import find_gate

SEEDED = {
    "pauli_two_design": {"seed": 5},
    "random_rotations": {"seed": 5},
    "random_layer": {"num_gates": 12, "seed": 5},
    "random_all_types": {"num_gates": 25, "seed": 5},
}


def built(name, num_qubits=4, **options):
    return add_template(Circuit(num_qubits), name, **SEEDED.get(name, {}) | options)


def weights_of(circuit):
    return torch.rand(circuit.num_weights, dtype=torch.float64) * 6 - 3


def inputs_of(circuit):
    return torch.rand(circuit.num_inputs, dtype=torch.float64)


# --- Qiskit ---------------------------------------------------------------------------------------

QISKIT = {
    "real_amplitudes": [{}, {"entanglement": "full", "reps": 2}, {"entanglement": "circular"}],
    "efficient_su2": [{}, {"entanglement": "linear", "reps": 1}, {"entanglement": "sca"}],
    "excitation_preserving": [
        {},
        {"entanglement": "pairwise", "reps": 2},
        {"entanglement": "sca"},
    ],
}


def same_as_qiskit(ours, other):
    weights = weights_of(ours)
    bound = other.assign_parameters(weights.numpy())
    start = torch.randn(2**ours.num_qubits, dtype=torch.complex128)
    start /= start.norm()
    expected = torch.from_numpy(Statevector(start.numpy()).evolve(bound).data)
    found = state(ours, weights, initial_state=start)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("name", "options"), [(n, o) for n, every in QISKIT.items() for o in every]
)
@pytest.mark.parametrize("num_qubits", [2, 4])
def test_qiskits_templates(name, options, num_qubits):
    other = getattr(theirs, name)(num_qubits, **options)
    same_as_qiskit(built(name, num_qubits, **options), other)


@pytest.mark.parametrize(
    "entanglement",
    [
        *("linear", "reverse_linear", "circular", "sca", "full", "pairwise"),
        ["sca", "linear"],
        [[(0, 1), (2, 3)], "full"],
        lambda layer: "full" if layer % 2 else "linear",
        lambda layer: [[(layer, 3)], "sca"],
    ],
)
@pytest.mark.parametrize("num_qubits", [4, 5])
def test_two_local_is_qiskits(entanglement, num_qubits):
    blocks = {"rotations": ("ry", "rz"), "entanglers": ("crx", "cz")}
    ours = built("two_local", num_qubits, entanglement=entanglement, reps=3, **blocks)
    other = theirs.n_local(num_qubits, ["ry", "rz"], ["crx", "cz"], entanglement, reps=3)
    same_as_qiskit(ours, other)


@pytest.mark.parametrize("entanglement", ["linear", "reverse_linear", "circular", "sca", "full"])
@pytest.mark.parametrize("num_qubits", [3, 4, 5])
def test_entanglers_on_three_qubits_are_qiskits(entanglement, num_qubits):
    options = {"rotations": ("rx",), "entanglers": ("ccx",), "entanglement": entanglement}
    ours = built("two_local", num_qubits, reps=4, **options)
    same_as_qiskit(ours, theirs.n_local(num_qubits, "rx", "ccx", entanglement, reps=4))


def test_two_local_on_pairs_without_the_last_rotations():
    pairs = [(0, 2), (3, 1)]
    other = theirs.n_local(4, "rx", "cz", [pairs], reps=2, skip_final_rotation_layer=True)
    options = {"rotations": ("rx",), "entanglers": ("cz",), "entanglement": pairs, "reps": 2}
    same_as_qiskit(built("two_local", final=False, **options), other)


def test_pauli_two_design_is_qiskits_but_for_the_axes():
    ours = built("pauli_two_design", reps=2)
    other = theirs.pauli_two_design(4, reps=2, seed=3)
    axes = {"rx", "ry", "rz"}

    def outline(pairs):
        return [("axis" if name in axes else name, qubits) for name, qubits in pairs]

    found = [(op.gate.name, op.qubits) for op in ours.operations]
    expected = [
        (step.operation.name, tuple(other.find_bit(q).index for q in step.qubits))
        for step in other.data
    ]
    for qubit in range(4):  # within a layer the order of the gates does not matter
        on_found = [name for name, qubits in outline(found) if qubit in qubits]
        assert on_found == [name for name, qubits in outline(expected) if qubit in qubits]
    assert found[:4] == [("ry", (q,)) for q in range(4)]
    assert [op.params for op in ours.operations[:4]] == [(np.pi / 4,)] * 4
    assert len({name for name, _ in found[4:]} & axes) > 1


# --- PennyLane ------------------------------------------------------------------------------------


def same_as_pennylane(ours, template, *shapes, **options):
    weights = weights_of(ours)
    parts, start = [], 0
    for shape in shapes:
        parts.append(weights[start : start + np.prod(shape)].reshape(shape).numpy())
        start += int(np.prod(shape))
    assert start == len(weights)
    n = ours.num_qubits

    @pl.qnode(pl.device("default.qubit", wires=n))
    def circuit():
        template(*parts, wires=range(n), **options)
        return pl.state()

    turned = torch.from_numpy(circuit()).reshape([2] * n).permute(*reversed(range(n)))
    torch.testing.assert_close(state(ours, weights), turned.reshape(-1), atol=1e-9, rtol=0)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_strongly_entangling_is_pennylanes(n):
    ours = built("strongly_entangling", n, layers=4)
    same_as_pennylane(ours, pl.StronglyEntanglingLayers, (4, n, 3))


def test_strongly_entangling_with_ranges_and_another_entangler():
    ours = built("strongly_entangling", 4, layers=2, ranges=[3, 2], entangler="cz")
    same_as_pennylane(
        ours, pl.StronglyEntanglingLayers, (2, 4, 3), ranges=[3, 2], imprimitive=pl.CZ
    )


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_basic_entangler_is_pennylanes(n):
    ours = built("basic_entangler", n, layers=3, rotation="ry")
    same_as_pennylane(ours, pl.BasicEntanglerLayers, (3, n), rotation=pl.RY)


@pytest.mark.parametrize("n", [2, 5])
def test_simplified_two_design_is_pennylanes(n):
    ours = built("simplified_two_design", n, layers=2)
    same_as_pennylane(ours, pl.SimplifiedTwoDesign, (n,), (2, n - 1, 2))


# --- TorchQuantum ---------------------------------------------------------------------------------

EVERY = [(q,) for q in range(4)]
RING = [(0, 1), (1, 2), (2, 3), (3, 0)]
LINE = RING[:3]
TORCHQUANTUM = {  # one block on four qubits, from TorchQuantum's documentation of its layers
    "u3cu3_0": [("u3", EVERY), ("cu3", RING)],
    "cu3_0": [("cu3", LINE)],
    "cxrzsx_0": [("rz", EVERY), ("cx", LINE), ("rz", EVERY), ("sx", EVERY), ("rz", EVERY)],
    "rzz_0": [("rzz", RING)],
    "seth_0": [("rzz", RING), ("ry", EVERY)],
    "seth_1": [("rzz", RING), ("ry", EVERY), ("rzz", RING)],
    "seth_2": [("rzz", RING * 8)],
    "barren_0": [("sh", EVERY), ("rx", EVERY), ("ry", EVERY), ("rz", EVERY), ("cz", LINE)],
    "farhi_0": [("rzx", RING), ("rxx", RING)],
    "maxwell_0": [
        *[("rx", EVERY), ("s", EVERY), ("cx", RING), ("ry", EVERY), ("t", EVERY), ("swap", RING)],
        *[("rz", EVERY), ("h", EVERY), ("sswap", RING), ("p", EVERY), ("cu3", RING)],
    ],
    "rxyzcx_0": [("rx", EVERY), ("ry", EVERY), ("rz", EVERY), ("cx", RING)],
    "ryrycx": [("ry", EVERY), ("cx", [(0, 1)])],
    "ryryrycxcxcx": [("ry", EVERY), ("cx", [(0, 1), (1, 2), (2, 0)])],
    "ryryry": [("ry", EVERY)],
    "ryryryswapswap": [("ry", EVERY), ("swap", [(0, 1), (1, 2)])],
    "swapswap": [("swap", [(0, 1), (1, 2)])],
    "cx": [("cx", [(0, 1)])],
    "cxcxcx": [("cx", [(0, 1), (1, 2), (2, 0)])],
    "simple": [("x", [(0,)]), ("rx", [(1,)]), ("ry", [(1,)]), ("rz", [(1,)]), ("x", [(2,)])],
}


@pytest.mark.parametrize("name", TORCHQUANTUM)
def test_torchquantums_layers(name):
    weights, expected = map(Weight, range(1000)), Circuit(4)
    for gate, sites in TORCHQUANTUM[name]:
        for qubits in sites:
            angles = [next(weights) for _ in range(find_gate(gate).num_params)]
            expected.append(gate, qubits, angles)
    assert built(name) == expected


def test_blocks_repeat_between_first_and_last():
    counted = built("cxrzsx_0", blocks=3).count_ops()
    assert counted == {"rz": 4 * 5, "sx": 4 * 3, "cx": 3}
    assert len(built("barren_0", blocks=0)) == 4


def test_global_rotations_share_their_angles():
    circuit = built("global_r", 3)
    assert circuit == Circuit(3).r(Weight(0), Weight(1), range(3))
    assert built("global_ry", 2, angles=[0.3]) == Circuit(2).ry(0.3, [0, 1])


def test_fourier_and_its_inverse_cancel():
    circuit = built("qft", 3)
    add_template(circuit, "qft", inverse=True)
    for column in torch.eye(8, dtype=torch.complex128):
        torch.testing.assert_close(state(circuit, initial_state=column), column)


# --- The others -----------------------------------------------------------------------------------


def test_excitations_are_preserved():
    circuit = Circuit(4).x([0, 2])
    add_template(circuit, "excitation_preserving", reps=2)
    found = state(circuit, weights_of(circuit)).abs().square()
    ones = np.bitwise_count(np.arange(16))
    assert found[ones != 2].max() < 1e-20
    assert (found[ones == 2] > 1e-4).sum() > 3


def test_brickwork_alternates():
    found = built("brickwork", 5, layers=2, rotations=("ry",))
    w = map(Weight, range(8))
    expected = Circuit(5)
    for pairs in ([(0, 1), (2, 3)], [(1, 2), (3, 4)]):
        for qubit in (q for pair in pairs for q in pair):
            expected.ry(next(w), qubit)
        for pair in pairs:
            expected.cz(*pair)
    assert found == expected


def test_reuploading_turns_by_linear_functions_of_the_data():
    circuit = built("data_reuploading", 1, layers=2, num_features=2)
    assert (circuit.num_weights, circuit.num_inputs) == (10, 2)
    w, x = weights_of(circuit), inputs_of(circuit)
    expected = Circuit(1)
    for layer in w.reshape(2, 5).tolist():
        angles = layer[0] * x[0].item() + layer[1], layer[2] * x[1].item() + layer[3], layer[4]
        expected.rot(*angles, 0)
    torch.testing.assert_close(state(circuit, w, x), state(expected, dtype=torch.complex128))


def test_random_layers_keep_to_gates_probabilities_and_seed():
    circuit = random_layer(Circuit(2), 200, ("rx", "cx", "ccx"), (0.8, 0.2, 0.0), seed=1)
    counted = circuit.count_ops()
    assert counted.keys() == {"rx", "cx"}
    assert 130 < counted["rx"] < 185
    assert circuit == random_layer(Circuit(2), 200, ("rx", "cx", "ccx"), (0.8, 0.2, 0.0), seed=1)
    assert circuit != random_layer(Circuit(2), 200, ("rx", "cx", "ccx"), (0.8, 0.2, 0.0), seed=2)


def test_random_layer_of_all_types_draws_many():
    names = {op.gate.name for op in built("random_all_types", 5, num_gates=400).operations}
    assert names >= {"ccx", "pauli_rotation", "c4x", "crot", "u2", "cswap"}
    assert len(names) > 25


# --- All of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATES)
def test_gradients(name):
    circuit = Circuit(4).h(range(4)).ry(0.3, range(4))
    add_template(circuit, name, **SEEDED.get(name, {}))
    weights, inputs = weights_of(circuit), inputs_of(circuit)
    observable = [PauliString("XZYI"), PauliString("IXIZ")]
    found = expval(circuit, observable, weights, inputs)
    if not circuit.num_weights:
        assert found.isfinite().all()
        return
    weights.requires_grad_()
    row = expval(circuit, observable, weights, inputs) @ torch.tensor([1.0, 0.7]).double()
    (gradient,) = torch.autograd.grad(row, weights)
    direction = torch.randn_like(weights)
    step = 1e-5 * direction
    with torch.no_grad():
        ends = [
            expval(circuit, observable, weights + sign * step, inputs)
            @ torch.tensor([1.0, 0.7]).double()
            for sign in (1, -1)
        ]
    assert (gradient @ direction).item() == pytest.approx(
        ((ends[0] - ends[1]) / 2e-5).item(), abs=1e-6
    )


@pytest.mark.parametrize("name", TEMPLATES)
def test_weights_come_after_those_of_the_circuit(name):
    options = SEEDED.get(name, {})
    alone = add_template(Circuit(4), name, **options)
    twice = add_template(add_template(Circuit(4), name, **options), name, **options)
    assert twice.num_weights == 2 * alone.num_weights
    assert len(twice) == 2 * len(alone)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_put_gates_on_different_qubits(pattern):
    for n in range(2, 8):
        sites = Layer("h" if pattern == "each" else "cx", pattern).sites(n)
        assert all(len(set(qubits)) == len(qubits) for qubits in sites)
        assert all(0 <= q < n for qubits in sites for q in qubits)


def test_patterns():
    assert list(PATTERNS["reverse_linear"](4)) == [(2, 3), (1, 2), (0, 1)]
    assert list(PATTERNS["circular"](4)) == [(3, 0), (0, 1), (1, 2), (2, 3)]
    assert list(PATTERNS["butterfly"](5)) == [(0, 4), (1, 3)]
    assert list(PATTERNS["pairwise"](5)) == [(0, 1), (2, 3), (1, 2), (3, 4)]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: built("real_amplitude"), "did you mean real_amplitudes"),
        (lambda: built("two_local", entanglement="rings"), "no pattern 'rings'; did you mean ring"),
        (lambda: built("real_amplitudes", entanglement=["sca", "full"]), "one each, not 2"),
        (lambda: built("u3cu3_0", blocks=-1), "number of blocks is 0 or more, not -1"),
        (lambda: built("strongly_entangling", layers=2, ranges=[1, 4]), "none a multiple of 4"),
        (lambda: built("random_layer", 1, gates=("cx",)), "no gate of"),
        (lambda: built("random_layer", probabilities=(1,)), "as many probabilities"),
        (lambda: built("random_rotations", seed=-1), "a seed is a whole number from 0 on, not -1"),
        (lambda: built("data_reuploading", num_features=0), "number of features is 1 or more"),
        (lambda: built("u3cu3_0", 1), "needs at least 2 qubits, got 1"),
        (lambda: built("simple", 2), "qubit 2"),
    ],
)
def test_what_templates_refuse(call, said):
    with pytest.raises(UsageError, match=said):
        call()
