"""Rotation encoders."""

from __future__ import annotations

import pytest
import torch

from qml.encoders import Rotation, add_rotation_encoder, layered_rotations
from qsim import Circuit, Input, expval
from qsim.errors import UsageError


def test_sixteen_features_on_four_qubits():
    encoder = layered_rotations(4, range(16))
    assert encoder[:5] == (
        *(Rotation("rx", q, q) for q in range(4)),
        Rotation("ry", 0, 4),
    )
    assert [r.gate for r in encoder] == ["rx"] * 4 + ["ry"] * 4 + ["rz"] * 4 + ["rx"] * 4


def test_36_features_on_ten_qubits():
    encoder = layered_rotations(10, range(36))
    counts = [sum(r.qubit == q for r in encoder) for q in range(10)]
    assert counts == [4] * 6 + [3] * 4
    assert [r.gate for r in encoder[30:]] == ["rx"] * 6


def test_order_of_the_features():
    encoder = layered_rotations(2, [3, 1, 2, 0], gates=("ry", "rz"))
    assert encoder == (
        Rotation("ry", 0, 3),
        Rotation("ry", 1, 1),
        Rotation("rz", 0, 2),
        Rotation("rz", 1, 0),
    )


def test_circuit_has_the_rotations_in_order():
    circuit = add_rotation_encoder(Circuit(2), layered_rotations(2, [1, 0, 2], ("ry", "rz")))
    expected = Circuit(2).ry(Input(1), 0).ry(Input(0), 1).rz(Input(2), 0)
    assert circuit == expected


def test_angles_arrive_at_the_qubits():
    encoder = layered_rotations(3, range(3), gates=("ry",))
    x = torch.rand(5, 3) * 3
    circuit = add_rotation_encoder(Circuit(3), encoder)
    torch.testing.assert_close(expval(circuit, inputs=x), x.cos())
    twice = add_rotation_encoder(circuit, encoder)
    torch.testing.assert_close(expval(twice, inputs=x), (2 * x).cos())


def test_too_many_features():
    with pytest.raises(UsageError, match=r"9 features do not fit .* \(8 angles\)"):
        layered_rotations(2, range(9))


@pytest.mark.parametrize("gate", ["cx", "u3", "h"])
def test_gates_of_another_shape(gate):
    with pytest.raises(UsageError, match="one qubit and one angle"):
        add_rotation_encoder(Circuit(2), [Rotation(gate, 0, 0)])


def test_qubit_out_of_range():
    with pytest.raises(UsageError, match="qubit"):
        add_rotation_encoder(Circuit(2), [Rotation("rx", 2, 0)])
