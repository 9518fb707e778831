"""The probability of successful trials, simulated: what the predictor learns."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import torch
from torch import Tensor

from compile import Compiled, Device
from compile.noisy import NoisyCircuit, noisy
from qsim import Circuit, probabilities
from qsim.errors import UsageError


def success_probability(compiled: Compiled, device: Device) -> float:
    """Probability to read only zeros after the circuit and its inverse, under the device's noise.

    Wang et al., arXiv:2210.16724, call it PST; the better a device runs a circuit, the closer it is
    to 1. The inverse brings every logical qubit back to where it starts; it is read with the error
    of the qubit where the circuit alone would leave it. The noise is that of `compile.noisy`,
    exact: 4**n numbers for n physical qubits.

    Raises:
        UsageError: for a circuit with open weights or inputs, or one compiled for another device.
    """
    if compiled.num_weights or compiled.num_inputs:
        raise UsageError(
            f"a simulated circuit has no open angles, but this one has {compiled.num_weights} "
            f"weights and {compiled.num_inputs} inputs: bind them before compiling"
        )
    there = noisy(compiled, device)
    both = Circuit(there.circuit.num_qubits).compose(there.circuit)
    both.compose(_native_inverse(there.circuit))
    starts = [there.physical.index(qubit) for qubit in compiled.initial_layout]
    found = probabilities(both, qubits=starts, noise=replace(there.noise, readout=()))
    return (found * _read_as_zeros(there)).sum().item()


def _read_as_zeros(circuit: NoisyCircuit) -> Tensor:
    """Probability that basis state b of the logical qubits is read as zeros [2**n]."""
    chances = torch.ones(1)
    for place in circuit.places:
        wrong_one, wrong_zero = circuit.noise.readout_errors.get(place, (0.0, 0.0))
        chances = torch.kron(torch.tensor([1 - wrong_one, wrong_zero]), chances)
    return chances


def _native_inverse(circuit: Circuit) -> Circuit:
    """The inverse, of the same gates: a device that has SX has no SXdg, but Z turns one round."""
    inverse = Circuit(circuit.num_qubits)
    for op in circuit.inverse().operations:
        if op.gate.name == "sxdg":
            inverse.rz(pi, op.qubits[0]).sx(op.qubits[0]).rz(pi, op.qubits[0])
        else:
            inverse.append(op.gate, op.qubits, op.params)
    return inverse
