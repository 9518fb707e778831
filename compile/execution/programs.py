"""What is sent to a device: circuits on physical qubits with the values of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from compile.compiled import Compiled
from compile.device import Device
from compile.execution.mitigation import Mitigation
from qsim.errors import UsageError
from qsim.strings import Strings

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_TURNS = {"X": ("h",), "Y": ("sdg", "h")}  # gates from the basis of a letter to that of Z


@dataclass(frozen=True)
class Pub:
    """A circuit for many values of its parameters: a primitive unified bloc.

    Attributes:
        circuit: gates of the device on physical qubits; for a sampler with measurements into "c".
        values: of its parameters in their order, float64 [rows, parameters].
    """

    circuit: QuantumCircuit
    values: np.ndarray


@dataclass(frozen=True)
class Program:
    """What one job runs.

    Attributes:
        primitive: "sampler" or "estimator".
        pubs: one for each measurement basis and calibration circuit, or one for an estimator; every
            row of a pub is measured with the shots of the job.
        strings: Pauli strings for an estimator, as their letters and physical qubits.
    """

    primitive: str
    pubs: tuple[Pub, ...]
    strings: tuple[tuple[str, tuple[int, ...]], ...] = ()


def check_compiled(compiled: Compiled, device: Device) -> None:
    """Raise UsageError unless the circuit was compiled for this device."""
    if compiled.device_name != device.name:
        raise UsageError(
            f"the circuit was compiled for {compiled.device_name}, so it does not run on "
            f"{device.name}: compile it for that device"
        )


def check_decoupling(compiled: Compiled, mitigation: Mitigation) -> None:
    """Raise UsageError for dynamical decoupling of what is decoupled already."""
    if mitigation.dd and "delay" in compiled.circuit.count_ops():
        raise UsageError(
            f"the circuit was compiled with delays already, so dd={mitigation.dd!r} would come on "
            "top of what fills them: leave out one of the two"
        )


def columns(compiled: Compiled, weights: Tensor | None, inputs: Tensor | None) -> Tensor:
    """Weights and inputs side by side, float64 [batch, num_weights + num_inputs].

    A batch of one stands for a single sample, or for none.

    Raises:
        UsageError: for weights or inputs that are missing, do not fit or are not finite.
    """
    if compiled.num_weights and weights is None:
        raise UsageError(
            f"the circuit has {compiled.num_weights} open weights: "
            "bind them by circuit.bind(weights=...) before compiling, or pass weights"
        )
    if weights is not None and tuple(weights.shape) != (compiled.num_weights,):
        raise UsageError(
            f"the circuit has {compiled.num_weights} open weights, but was given "
            f"a tensor of shape {list(weights.shape)}"
        )
    rows = _rows(inputs, compiled.num_inputs)
    if weights is None:
        return rows
    if not torch.isfinite(weights).all():
        raise UsageError("the weights hold NaN or infinity, but angles are finite numbers")
    return torch.cat([weights.detach().cpu().double().expand(len(rows), -1), rows], 1)


def _rows(inputs: Tensor | None, num_inputs: int) -> Tensor:
    if inputs is None and num_inputs == 0:
        return torch.zeros(1, 0, dtype=torch.float64)
    if inputs is None or inputs.dim() not in (1, 2) or inputs.shape[-1] != num_inputs:
        given = "none" if inputs is None else f"a tensor of shape {list(inputs.shape)}"
        raise UsageError(
            f"the circuit takes inputs of shape [batch, {num_inputs}], but was given {given}"
        )
    if not torch.isfinite(inputs).all():
        raise UsageError("the inputs hold NaN or infinity, but angles are finite numbers")
    return torch.atleast_2d(inputs.detach().cpu().double())


def places(compiled: Compiled) -> list[int]:
    """Column of weights and inputs side by side that fills each parameter of the circuit."""
    return [
        compiled.num_weights + compiled.features[p.name] if p.name in compiled.features else p.index
        for p in compiled.circuit.parameters
    ]


def values_of(compiled: Compiled, rows: Tensor) -> np.ndarray:
    """Values of the circuit's parameters for rows of `columns`, [rows, parameters].

    Where no parameter tells rows apart, one stands for all.
    """
    values = rows[:, places(compiled)].numpy()
    return values if values.shape[1] else values[:1]


def expval_program(
    compiled: Compiled, device: Device, strings: Strings, rows: Tensor, mitigation: Mitigation
) -> Program:
    """What gives the expectation values of Pauli strings of the logical qubits."""
    values = values_of(compiled, rows)
    if mitigation.primitive == "estimator":
        where = tuple(_placed(string.label, compiled.final_layout) for string in strings)
        return Program("estimator", (Pub(compiled.circuit, values),), where)
    pubs = [Pub(_in_basis(compiled, device, setting.basis), values) for setting in strings.settings]
    if mitigation.readout == "m3" and pubs:
        pubs += [Pub(circuit, np.zeros((1, 0))) for circuit in _calibration(compiled, device)]
    return Program("sampler", tuple(pubs))


def sample_program(compiled: Compiled, rows: Tensor) -> Program:
    """What reads all logical qubits."""
    return Program("sampler", (Pub(compiled.measured(), values_of(compiled, rows)),))


def _placed(label: str, layout: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    """Letters other than I and the physical qubits that they act on."""
    acting = [(letter, layout[q]) for q, letter in enumerate(reversed(label)) if letter != "I"]
    return "".join(letter for letter, _ in acting), tuple(qubit for _, qubit in acting)


def _in_basis(compiled: Compiled, device: Device, basis: str) -> QuantumCircuit:
    """The measured circuit, with the letter of every logical qubit turned into Z before."""
    circuit = compiled.circuit.copy()
    for letter, qubit in zip(reversed(basis), compiled.final_layout, strict=True):
        if letter in _TURNS:
            circuit.compose(_native(_TURNS[letter], device), [qubit], inplace=True)
    circuit.global_phase = 0
    return _measured(circuit, compiled)


def _native(names: Sequence[str], device: Device) -> QuantumCircuit:
    """Gates on one qubit, in gates of the device."""
    from qiskit import QuantumCircuit, transpile

    circuit = QuantumCircuit(1)
    for name in names:
        getattr(circuit, name)(0)
    basis = {gate for gate, qubits in device.gate_errors if len(qubits) == 1} - {"reset"}
    return transpile(circuit, basis_gates=sorted(basis), optimization_level=1, seed_transpiler=0)


def _calibration(compiled: Compiled, device: Device) -> list[QuantumCircuit]:
    """All logical qubits read in |0...0> and in |1...1>."""
    from qiskit import QuantumCircuit

    empty = QuantumCircuit(compiled.circuit.num_qubits)
    flipped = empty.copy()
    for qubit in compiled.final_layout:
        flipped.compose(_native(("x",), device), [qubit], inplace=True)
    return [_measured(circuit, compiled) for circuit in (empty, flipped)]


def _measured(circuit: QuantumCircuit, compiled: Compiled) -> QuantumCircuit:
    from qiskit import ClassicalRegister

    circuit.add_register(bits := ClassicalRegister(compiled.num_qubits, "c"))
    circuit.measure(list(compiled.final_layout), bits)
    return circuit
