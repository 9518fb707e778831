"""Encoders against formulas, Qiskit, PennyLane, and TorchQuantum's lists."""

from __future__ import annotations

import numpy as np
import pennylane as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit.circuit.library import (
    StatePreparation,
    pauli_feature_map,
    z_feature_map,
    zz_feature_map,
)
from qiskit.quantum_info import Operator, Statevector

from qml.nn.encoders import (
    ANGLE_PRESETS,
    add_encoder,
    amplitudes,
    angle_preset,
    iqp_encoder,
    phase_encoder,
    rotation_encoder,
)
from qsim import Circuit, Input, Weight, expval, state
from qsim.errors import UsageError


def same_ray(ours, theirs):
    """Whether two states are equal up to a global phase."""
    assert abs(np.vdot(np.asarray(ours), np.asarray(theirs))) == pytest.approx(1, abs=1e-9)


# --- Rotations ------------------------------------------------------------------------------------


def test_sixteen_features_on_four_qubits():
    circuit = rotation_encoder(Circuit(4))
    expected = Circuit(4)
    for layer, gate in enumerate(("rx", "ry", "rz", "rx")):
        for qubit in range(4):
            expected.append(gate, qubit, [Input(4 * layer + qubit)])
    assert circuit == expected


def test_36_features_on_ten_qubits():
    gates = rotation_encoder(Circuit(10), range(36)).operations
    assert [sum(op.qubits == (q,) for op in gates) for q in range(10)] == [4] * 6 + [3] * 4
    assert [op.gate.name for op in gates[30:]] == ["rx"] * 6


def test_order_of_the_features():
    circuit = rotation_encoder(Circuit(2), [1, 0, 2], ("ry", "rz"))
    assert circuit == Circuit(2).ry(Input(1), 0).ry(Input(0), 1).rz(Input(2), 0)


def test_gates_of_three_angles_and_of_none():
    circuit = rotation_encoder(Circuit(2), range(7), ("h", "u3", "rx"))
    x = [Input(k) for k in range(7)]
    assert circuit == Circuit(2).h([0, 1]).u3(*x[:3], 0).u3(*x[3:6], 1).rx(x[6], 0)


def test_data_are_uploaded_again():
    x = torch.rand(5, 3) * 3
    circuit = rotation_encoder(Circuit(3), gates=("ry",))
    torch.testing.assert_close(expval(circuit, inputs=x), x.cos())
    rotation_encoder(circuit, gates=("ry",))
    torch.testing.assert_close(expval(circuit, inputs=x), (2 * x).cos())


def test_too_many_features():
    with pytest.raises(UsageError, match=r"9 features do not fit .* \(8 angles\)"):
        rotation_encoder(Circuit(2), range(9))


@pytest.mark.parametrize("gate", ["cx", "rzz"])
def test_gates_on_two_qubits(gate):
    with pytest.raises(UsageError, match="acts on 2 qubits"):
        rotation_encoder(Circuit(2), gates=(gate,))


# --- Phases and feature maps ----------------------------------------------------------------------


def test_phases():
    x = torch.rand(4, 3, dtype=torch.float64)
    found = state(phase_encoder(Circuit(3)), inputs=x)
    bits = (torch.arange(8)[:, None] >> torch.arange(3)) & 1
    torch.testing.assert_close(found, torch.exp(1j * (x @ bits.T.double())) / 8**0.5)


THEIRS = {
    "z": (z_feature_map, {}),
    "zz": (zz_feature_map, {"entanglement": "linear", "reps": 3}),
    "pauli": (pauli_feature_map, {"paulis": ["Y", "ZX", "X"], "alpha": 1.3}),
    "pauli of three": (pauli_feature_map, {"paulis": ["Z", "ZYX", "YY"], "entanglement": "linear"}),
    "pauli of all": (pauli_feature_map, {"paulis": ["ZZZ"], "entanglement": "sca"}),
}


@pytest.mark.parametrize("name", THEIRS)
def test_feature_maps_are_those_of_qiskit(name):
    x = torch.rand(2, 4, dtype=torch.float64)
    function, options = THEIRS[name]
    theirs = function(4, **options)
    ours = state(add_encoder(Circuit(4), name.split()[0], **options), inputs=x)
    for row, found in zip(x, ours, strict=True):
        same_ray(found, Statevector(theirs.assign_parameters(row.numpy())).data)


def test_iqp_is_that_of_pennylane():
    x = torch.rand(3, dtype=torch.float64)

    @pl.qnode(pl.device("default.qubit", wires=3))
    def theirs():
        pl.IQPEmbedding(x.numpy(), wires=[0, 1, 2], n_repeats=2)
        return pl.state()

    ours = state(iqp_encoder(Circuit(3), reps=2), inputs=x)
    same_ray(ours.reshape(2, 2, 2).permute(2, 1, 0).reshape(-1), theirs())


def test_features_of_a_map_may_be_chosen():
    x = torch.rand(4, dtype=torch.float64)
    chosen = state(add_encoder(Circuit(2), "zz", features=[3, 1]), inputs=x)
    torch.testing.assert_close(chosen, state(add_encoder(Circuit(2), "zz"), inputs=x[[3, 1]]))


def test_what_feature_maps_refuse():
    with pytest.raises(UsageError, match="a feature for every qubit, 3, not 2"):
        phase_encoder(Circuit(3), [0, 1])
    with pytest.raises(UsageError, match="needs at least 4 qubits, got 3"):
        add_encoder(Circuit(3), "pauli", paulis=["ZZZZ"])
    with pytest.raises(UsageError, match="takes gates on 2 qubits, but the string 'ZZZ' acts on 3"):
        add_encoder(Circuit(3), "pauli", paulis=["ZZZ"], entanglement="pairwise")
    with pytest.raises(UsageError, match=r"number of repetitions is 0 or more, not 1\.5"):
        add_encoder(Circuit(3), "zz", reps=1.5)
    with pytest.raises(UsageError, match="no encoder 'pauly'; did you mean pauli"):
        add_encoder(Circuit(3), "pauly")


# --- Amplitudes -----------------------------------------------------------------------------------


def test_amplitudes_are_those_that_qiskit_prepares():
    x = torch.randn(3, 6, dtype=torch.float64)
    for row, found in zip(x, amplitudes(x, 3), strict=True):
        padded = np.concatenate([row.numpy(), [0, 0]])
        prepared = Operator(StatePreparation(padded / np.linalg.norm(padded))).data[:, 0]
        np.testing.assert_allclose(found, prepared, atol=1e-12)


def test_amplitudes_become_gates_of_one_sample():
    x = torch.randn(4, dtype=torch.float64)
    encoded = amplitudes(x, 2)
    torch.testing.assert_close(
        state(Circuit(2).prepare_state(encoded)), encoded.to(torch.complex64)
    )


def test_gradients_of_amplitudes_with_zeros():
    x = torch.tensor([[0.3, 0.0, 0.0, -1.2], [0.0, 0.0, 2.0, 1.0]], dtype=torch.float64)
    circuit = Circuit(2).ry(Weight(0), 0).cx(0, 1).rx(Weight(1), 1)
    weights = torch.rand(2, dtype=torch.float64)

    def model(x):
        return expval(circuit, weights=weights, initial_state=amplitudes(x, 2))

    assert torch.autograd.gradcheck(model, x.requires_grad_())


@given(st.integers(1, 16), st.floats(0.1, 100))
def test_amplitudes_do_not_depend_on_the_scale(features, scale):
    x = torch.randn(2, features, dtype=torch.float64)
    found = amplitudes(scale * x, 4)
    torch.testing.assert_close(found, amplitudes(x, 4))
    torch.testing.assert_close(found.abs().square().sum(1), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (torch.ones(2, 5), "5 features do not fit in the 4 amplitudes"),
        (torch.tensor([[1.0, 1.0], [0.0, 0.0]]), "zero or not finite"),
        (torch.tensor([[1.0, torch.nan]]), "zero or not finite"),
    ],
)
def test_samples_that_are_no_amplitudes(x, said):
    with pytest.raises(UsageError, match=said):
        amplitudes(x, 2)


# --- TorchQuantum's presets -----------------------------------------------------------------------


def listed(text):
    """(gate, qubit, features) of entries gate:qubit:angles, which take features in order."""
    features = iter(range(100))
    found = []
    for entry in text.split():
        gate, qubit, angles = entry.split(":")
        found.append((gate, int(qubit), tuple(next(features) for _ in range(int(angles)))))
    return found


def unrolled(circuit):
    return [(gate.name, q, tuple(x.index for x in xs)) for gate, (q,), xs in circuit.operations]


PRESETS = {
    "4x4_ryzxy": " ".join(f"{gate}:{q}:1" for gate in ("ry", "rz", "rx", "ry") for q in range(4)),
    "4x4_u3rx": " ".join(f"u3:{q}:3 rx:{q}:1" for q in range(4)),
    "4x4_u3_h_rx": "u3:0:3 rx:0:1 h:0:0 h:1:0 h:2:0 h:3:0 "
    + " ".join(f"u3:{q}:3 rx:{q}:1" for q in (1, 2, 3)),
    "10_ryzx": "ry:0:1 ry:1:1 ry:2:1 ry:3:1 rz:0:1 rz:1:1 rz:2:1 rz:3:1 rx:0:1 rx:1:1",
    "15_ryrz": " ".join(f"ry:{q}:1" for q in range(15)) + " rz:0:1",
    "8x2_ry": " ".join(f"ry:{q}:1" for q in (*range(8), *range(8))),
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_torchquantums(name):
    assert unrolled(angle_preset(name)) == listed(PRESETS[name])


def test_preset_of_rz_and_sx():
    x = torch.rand(16, dtype=torch.float64)
    expected = Circuit(4)  # qubit by qubit, as TorchQuantum has it; ours is layer by layer
    for k in range(16):
        expected.rz(Input(k), k % 4).sx(k % 4)
    torch.testing.assert_close(state(angle_preset("4x4_rzsx"), inputs=x), state(expected, inputs=x))


SIZES = {  # qubits and features of TorchQuantum's lists
    "1x1_ry": (1, 1), "2x1_ryry": (2, 2), "2x8_rxryrzrxryrzrxry": (2, 16), "3x1_ryryry": (3, 3),
    "3x1_rxrxrx": (3, 3), "4_ry": (4, 4), "4x4_u3rx": (4, 16), "4x4_u3_h_rx": (4, 16),
    "4x4_ryzxy": (4, 16), "8x2_ry": (8, 16), "16_ry": (16, 16), "4x4_rzsx": (4, 16),
    "15_ryrz": (15, 16), "2x8_ryzxyzxyz": (2, 16), "10_ryzx": (4, 10), "10_ry": (10, 10),
    "25_ry": (25, 25), "25_ryrz": (21, 25), "6x6_ryzxy": (10, 36), "6x6_ryrz": (21, 36),
    "6x6_ryrzrx": (16, 36), "10x10_ryzxyzxyzxy": (10, 100), "8x8_ryzxyzxy": (10, 64),
    "8x2_ryz": (8, 16), "16x1_ry": (16, 16),
}  # fmt: skip


def test_all_presets_have_torchquantums_sizes():
    found = {name: angle_preset(name) for name in ANGLE_PRESETS}
    assert {name: (c.num_qubits, c.num_inputs) for name, c in found.items()} == SIZES


def test_unknown_preset():
    with pytest.raises(UsageError, match="did you mean 4x4_ryzxy"):
        angle_preset("4x4_ryxzy")
