"""Encoders: how the numbers of one sample become a quantum state.

Each is a function that appends gates with inputs to a circuit, except `amplitudes`, which makes the
state itself. Called again on the same circuit, an encoder uploads the same data again. `ENCODERS`
has them by name; `angle_preset` makes those that TorchQuantum knows by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import pi, prod
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from qml.nn.amplitude_gates import amplitude_encoder
from qml.nn.layers import Layer, Pattern, add_layers, named, places, times
from qsim import Circuit, Input
from qsim.errors import UsageError
from qsim.gates import find_gate

ENCODER_GATES = ("rx", "ry", "rz", "rx")
"""Layers of the encoders of QuantumNAS."""


def rotation_encoder(
    circuit: Circuit,
    features: Sequence[int] | None = None,
    gates: Sequence[str] = ENCODER_GATES,
) -> Circuit:
    """One layer of gates after another, each on all qubits in order, until no feature is left.

    Sixteen features on four qubits give RX, RY, RZ, RX on every qubit; 36 on ten qubits give RX,
    RY, RZ on every qubit and RX on the first six, as in QuantumNAS (Wang et al., arXiv:2107.10845).

    Args:
        circuit: where to append; returned.
        features: columns of the inputs in the order in which they are placed; by default as many
            as the gates hold.
        gates: one-qubit gates, a layer each; one with three angles takes three features, one
            without takes none.

    Raises:
        UsageError: if there are more features than gates to hold them, or a gate has other qubits.
    """
    n = circuit.num_qubits
    layers = [Layer(gate, ((qubit,),)) for gate in gates for qubit in range(n)]
    places = [find_gate(layer.gate).num_params for layer in layers]
    columns = range(sum(places)) if features is None else features
    if len(columns) > sum(places):
        raise UsageError(
            f"{len(columns)} features do not fit in {len(gates)} gates on each of {n} qubits "
            f"({sum(places)} angles): add gates to the pattern or pool the features"
        )
    left = len(columns)
    kept = []
    for layer, angles in zip(layers, places, strict=True):
        if angles and left <= 0:
            break
        kept.append(layer)
        left -= angles
    return add_layers(circuit, kept, _inputs(columns))


def phase_encoder(circuit: Circuit, features: Sequence[int] | None = None) -> Circuit:
    """H and P(x) on every qubit: feature q is the phase between 0 and 1 of qubit q."""
    columns = _one_each(circuit, features)
    return add_layers(circuit, [Layer("h"), Layer("p")], _inputs(columns))


def iqp_encoder(
    circuit: Circuit,
    reps: int = 1,
    entanglement: str | tuple[tuple[int, int], ...] = "full",
    features: Sequence[int] | None = None,
) -> Circuit:
    """H and RZ(x_q) on every qubit, RZZ(x_q x_r) on pairs, `reps` times.

    Havlicek et al., arXiv:1804.11326, with the gates of PennyLane's IQPEmbedding.
    """
    columns = _one_each(circuit, features)
    pairs = Layer("rzz", entanglement).sites(circuit.num_qubits)
    for _ in range(times(reps, "repetitions")):
        add_layers(circuit, [Layer("h"), Layer("rz")], _inputs(columns))
        for a, b in pairs:
            circuit.rzz(Input(columns[a]) * Input(columns[b]), a, b)
    return circuit


def pauli_feature_map(
    circuit: Circuit,
    reps: int = 2,
    paulis: Sequence[str] = ("Z", "ZZ"),
    entanglement: Pattern = "full",
    alpha: float = 2.0,
    features: Sequence[int] | None = None,
) -> Circuit:
    """H on every qubit, then exp(-i alpha phi(x) P / 2) for Pauli strings P, `reps` times.

    phi(x) is x_q for one letter and (pi - x_q)(pi - x_r)... for more (Havlicek et al.,
    arXiv:1804.11326); up to a global phase this is Qiskit's function of that name.

    Args:
        circuit: where to append; returned.
        reps: how often.
        paulis: strings of one letter, for every qubit, or of more, for qubits by the pattern; the
            rightmost letter acts on the first of them.
        entanglement: a pattern of `qml.nn.layers.PATTERNS`, or the qubits of every string of more
            than one letter.
        alpha: factor of all angles.
        features: column of every qubit; by default column q for qubit q.

    Raises:
        UsageError: for strings that do not fit the pattern, or another number of features than
            qubits.
    """
    columns = _one_each(circuit, features)
    for layer in range(times(reps, "repetitions")):
        circuit.h(range(circuit.num_qubits))
        for string in paulis:
            pattern = "each" if len(string) == 1 else entanglement
            gate = f"the string {string!r}"
            for qubits in places(pattern, circuit.num_qubits, gate, len(string), layer):
                x = [Input(columns[q]) for q in qubits]
                phi = x[0] if len(x) == 1 else prod(pi - value for value in x)
                circuit.pauli_rotation(alpha * phi, string, qubits)
    return circuit


z_feature_map = partial(pauli_feature_map, paulis=("Z",))
zz_feature_map = partial(pauli_feature_map, paulis=("Z", "ZZ"))

ENCODERS: dict[str, Callable[..., Circuit]] = {
    "rotation": rotation_encoder,
    "phase": phase_encoder,
    "iqp": iqp_encoder,
    "pauli": pauli_feature_map,
    "z": z_feature_map,
    "zz": zz_feature_map,
    "amplitude": amplitude_encoder,
}
"""Every encoder that appends gates, by name."""


def add_encoder(circuit: Circuit, name: str, **options: Any) -> Circuit:
    """Append the encoder of that name with its options; returns the circuit.

    Raises:
        UsageError: with the nearest names, if there is none of that name.
    """
    return named(ENCODERS, name, "encoder")(circuit, **options)


def amplitudes(x: Tensor, num_qubits: int) -> Tensor:
    """Amplitude encoding: a sample, divided by its norm, as the amplitudes of a state.

    Exact, and differentiable wherever it is defined. The states are the `initial_state` of a run;
    `amplitude_encoder` gives them by gates.

    Args:
        x: real or complex [..., features], filled up with zeros to 2**num_qubits numbers.
        num_qubits: of the states; feature k is the amplitude of basis state k.

    Returns:
        complex [..., 2**num_qubits], of twice the width of x if that is real.

    Raises:
        UsageError: for more features than amplitudes, or a sample that is zero or not finite.
    """
    size = 2**num_qubits
    if x.shape[-1] > size:
        raise UsageError(
            f"{x.shape[-1]} features do not fit in the {size} amplitudes of {num_qubits} qubits: "
            "take more qubits or pool the features"
        )
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    if not ((norm > 0) & norm.isfinite()).all():
        raise UsageError(
            "amplitudes are a sample divided by its norm, but a sample is zero or not finite: "
            "leave it out or add a constant feature"
        )
    normalized = pad(x / norm, (0, size - x.shape[-1]))
    return normalized if normalized.is_complex() else torch.complex(normalized, 0 * normalized)


# --- TorchQuantum's presets -----------------------------------------------------------------------

_QUBIT_BY_QUBIT = tuple(Layer(gate, ((q,),)) for q in range(4) for gate in ("u3", "rx"))
_WITH_H = (
    *_QUBIT_BY_QUBIT[:2],
    *(Layer("h", ((q,),)) for q in range(4)),
    *_QUBIT_BY_QUBIT[2:],
)
_PRESETS: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "1x1_ry": (1, 1, ("ry",)),
    "2x1_ryry": (2, 2, ("ry",)),
    "2x8_rxryrzrxryrzrxry": (2, 16, ("rx", "ry", "rz", "rx", "ry", "rz", "rx", "ry")),
    "2x8_ryzxyzxyz": (2, 16, ("ry", "rz", "rx", "ry", "rz", "rx", "ry", "rz")),
    "3x1_rxrxrx": (3, 3, ("rx",)),
    "3x1_ryryry": (3, 3, ("ry",)),
    "4_ry": (4, 4, ("ry",)),
    "4x4_ryzxy": (4, 16, ("ry", "rz", "rx", "ry")),
    "4x4_rzsx": (4, 16, ("rz", "sx") * 4),
    "6x6_ryrz": (21, 36, ("ry", "rz")),
    "6x6_ryrzrx": (16, 36, ("ry", "rz", "rx")),
    "6x6_ryzxy": (10, 36, ("ry", "rz", "rx", "ry")),
    "8x2_ry": (8, 16, ("ry", "ry")),
    "8x2_ryz": (8, 16, ("ry", "rz")),
    "8x8_ryzxyzxy": (10, 64, ("ry", "rz", "rx") * 3),
    "10_ry": (10, 10, ("ry",)),
    "10_ryzx": (4, 10, ("ry", "rz", "rx")),
    "10x10_ryzxyzxyzxy": (10, 100, ("ry", "rz", "rx") * 4),
    "15_ryrz": (15, 16, ("ry", "rz")),
    "16_ry": (16, 16, ("ry",)),
    "16x1_ry": (16, 16, ("ry",)),
    "25_ry": (25, 25, ("ry",)),
    "25_ryrz": (21, 25, ("ry", "rz")),
}
_OTHER_PRESETS = {"4x4_u3rx": _QUBIT_BY_QUBIT, "4x4_u3_h_rx": _WITH_H}
ANGLE_PRESETS = (*_PRESETS, *_OTHER_PRESETS)
"""Names in TorchQuantum's `encoder_op_list_name_dict`."""


def angle_preset(name: str) -> Circuit:
    """The encoder of that name in TorchQuantum, on as many qubits as it has there.

    Raises:
        UsageError: with the nearest names, if there is none of that name.
    """
    if name in _OTHER_PRESETS:
        return add_layers(Circuit(4), _OTHER_PRESETS[name], _inputs(range(16)))
    num_qubits, features, gates = named(_PRESETS, name, "angle preset")
    return rotation_encoder(Circuit(num_qubits), range(features), gates)


def _inputs(columns: Sequence[int]) -> Iterator[Any]:
    return map(Input, columns)


def _one_each(circuit: Circuit, features: Sequence[int] | None) -> Sequence[int]:
    columns = range(circuit.num_qubits) if features is None else features
    if len(columns) != circuit.num_qubits:
        raise UsageError(
            f"this encoder takes a feature for every qubit, {circuit.num_qubits}, "
            f"not {len(columns)}"
        )
    return columns
