"""Encoders: how the numbers of one sample become angles of a circuit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qsim import Circuit, Input
from qsim.errors import UsageError
from qsim.gates import find_gate

ENCODER_GATES = ("rx", "ry", "rz", "rx")
"""Layers of the encoders of QuantumNAS."""


@dataclass(frozen=True)
class Rotation:
    """An encoding gate: `gate`, with one angle, on `qubit`; the angle is input column `feature`."""

    gate: str
    qubit: int
    feature: int


def layered_rotations(
    num_qubits: int, features: Sequence[int], gates: Sequence[str] = ENCODER_GATES
) -> tuple[Rotation, ...]:
    """One layer of gates after another, each on all qubits in order, until no feature is left.

    Feature number i of the sequence turns qubit i mod n by gates[i // n]. Sixteen features on four
    qubits give RX, RY, RZ, RX on every qubit; 36 on ten qubits give RX, RY, RZ on every qubit and
    RX on the first six, as in QuantumNAS (Wang et al., arXiv:2107.10845).

    Args:
        num_qubits: number of qubits.
        features: columns of the inputs in the order in which they are placed.
        gates: one-qubit gates with one angle, a layer each.

    Raises:
        UsageError: if there are more features than gates to hold them.
    """
    places = num_qubits * len(gates)
    if len(features) > places:
        raise UsageError(
            f"{len(features)} features do not fit in {len(gates)} rotations on each of "
            f"{num_qubits} qubits ({places} angles): add gates to the pattern or pool the features"
        )
    return tuple(
        Rotation(gates[i // num_qubits], i % num_qubits, feature)
        for i, feature in enumerate(features)
    )


def add_rotation_encoder(circuit: Circuit, encoder: Iterable[Rotation]) -> Circuit:
    """Append the rotations to the circuit, in order, and return it; repeat it to upload data again.

    Raises:
        UsageError: for a gate that does not have one qubit and one angle, or a qubit out of range.
    """
    for rotation in encoder:
        gate = find_gate(rotation.gate)
        if (gate.num_qubits, gate.num_params) != (1, 1):
            raise UsageError(
                f"an encoder takes gates of one qubit and one angle such as rx, ry, rz or p, but "
                f"{gate.name} has {gate.num_qubits} qubits and {gate.num_params} angles"
            )
        circuit.append(gate, rotation.qubit, (Input(rotation.feature),))
    return circuit
