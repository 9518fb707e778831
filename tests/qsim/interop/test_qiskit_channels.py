"""Channels to and from Qiskit: its density matrices are ours."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.quantum_info import PTM, Choi, DensityMatrix, Kraus, SuperOp

from qsim import Circuit, channels, density_matrix
from qsim.interop.qiskit import from_qiskit, to_qiskit


@pytest.mark.parametrize("kind", [Kraus, SuperOp, PTM, Choi])
def test_channels_come_from_qiskit_in_any_form(kind: type) -> None:
    channel = channels.kraus(channels.thermal_relaxation(5.0, 7.0, 1.0, 0.2).kraus)
    theirs = QuantumCircuit(2)
    theirs.h(1)
    theirs.append(kind(Kraus(list(channel.kraus))), [1])
    theirs.append(kind(Kraus(list(channels.depolarizing(0.3, 2).kraus))), [1, 0])
    found = density_matrix(from_qiskit(theirs), dtype=torch.complex128)
    np.testing.assert_allclose(found, DensityMatrix(theirs).data, atol=1e-10)


def test_channels_go_to_qiskit() -> None:
    circuit = Circuit(3).h(0).cx(0, 2).append(channels.amplitude_damping(0.3), 2)
    pair = channels.pauli_channel({"XI": 0.1, "ZY": 0.2})
    circuit.append(pair, [2, 0]).append(channels.over_rotation("ZX", 0.4), [1, 2])
    converted = to_qiskit(circuit)
    assert converted.count_ops()["kraus"] == 3
    found = density_matrix(circuit, dtype=torch.complex128)
    np.testing.assert_allclose(found, DensityMatrix(converted).data, atol=1e-10)
    back = from_qiskit(converted)
    assert [op.gate for op in back.operations[2:]] == [
        channels.kraus(op.gate.kraus) for op in circuit.operations[2:]
    ]
