"""Noise of layers of gates, for probabilistic error cancellation on a simulated device."""

from __future__ import annotations

from itertools import product
from math import log
from typing import TYPE_CHECKING, Any

from compile.device import Device

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_PAULIS = ["".join(pair) for pair in product("IXYZ", repeat=2)][1:]
_MOST_NOISE = 0.7  # error of a gate that is as good as dead: its noise has no inverse


def layer_noise(
    layers: list[Any], circuit: QuantumCircuit, device: Device, active: list[int]
) -> list[tuple[Any, Any]]:
    """Pairs of a layer and its Pauli-Lindblad map, from the calibrated errors of two-qubit gates.

    Twirled noise of average gate error e counts as depolarizing: all Pauli fidelities are
    1 - 4 e / 3 (Nielsen, arXiv:quant-ph/0205035), which is what 15 equal rates -log(f) / 16 give.

    Args:
        layers: boxes of gates, as `Estimator.find_unique_layers` gives them.
        circuit: which they are of.
        device: its errors count.
        active: physical qubit of each qubit of the circuit.
    """
    from qiskit.quantum_info import PauliLindbladMap

    places = dict(zip(circuit.qubits, active, strict=True))
    found = []
    for layer in layers:
        (body,) = layer.operation.blocks
        own = {qubit: k for k, qubit in enumerate(body.qubits)}
        terms = []
        for step in body.data:
            pair = [own[qubit] for qubit in step.qubits]
            if len(pair) == 2 and step.name != "barrier":
                physical = tuple(places[layer.qubits[k]] for k in pair)
                error = min(device.gate_errors[step.name, physical], _MOST_NOISE)
                rate = -log(1 - 4 * error / 3) / 16
                terms += [(letters, pair, rate) for letters in _PAULIS]
        found.append((layer, PauliLindbladMap.from_sparse_list(terms, len(own))))
    return found
