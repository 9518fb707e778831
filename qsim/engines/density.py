"""The reference engine of noise: density matrices in plain torch, one Kraus operator at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.engines.reference import act, apply_gate, value_of
from qsim.gates import GATES, Gate
from qsim.memory import check_bytes
from qsim.noise.channels import Channel
from qsim.observables import PauliString

ReadoutErrors = Mapping[int, tuple[float, float]]
"""By qubit: the probabilities to read 1 for |0>, and 0 for |1>."""

TO_Z = {"X": ("h",), "Y": ("sdg", "h")}
"""Gates that turn a letter into Z."""


def density_matrices(
    circuit: Circuit, weights: Tensor, inputs: Tensor, batch: int, initial: Tensor | None
) -> Tensor:
    """Density matrices after gates and channels, complex [batch, 2**n, 2**n].

    Arguments as for `qsim.engines.Engine`.
    """
    if initial is None:
        return evolved(circuit, ground(circuit, weights, batch), weights, inputs)
    psi = initial.expand(batch, initial.shape[-1])
    return evolved(circuit, psi.unsqueeze(2) * psi.conj().unsqueeze(1), weights, inputs)


def ground(circuit: Circuit, weights: Tensor, batch: int) -> Tensor:
    """|0...0><0...0| for each sample, complex [batch, 2**n, 2**n].

    Raises:
        UsageError: if it does not fit into memory.
    """
    dim = 2**circuit.num_qubits
    dtype = torch.complex128 if weights.dtype == torch.float64 else torch.complex64
    needed = 3 * dtype.itemsize * batch * dim**2
    check_bytes(needed, f"{batch} density matrices [{dim}, {dim}]", weights.device)
    rho = torch.zeros(batch, dim, dim, dtype=dtype, device=weights.device)
    rho[:, 0, 0] = 1
    return rho


def evolved(circuit: Circuit, rho: Tensor, weights: Tensor, inputs: Tensor) -> Tensor:
    """Density matrices [batch, 2**n, 2**n] after the circuit."""
    for acting, qubits, params in circuit.operations:
        if isinstance(acting, Channel):
            operators = torch.tensor(acting.kraus, dtype=rho.dtype, device=rho.device)
            rho = torch.stack([_both_sides(rho, _matrix(k, qubits)) for k in operators]).sum(0)
        else:
            assert isinstance(acting, Gate)
            angles = [value_of(param, weights, inputs) for param in params]
            rho = _both_sides(rho, partial(_applied, acting, angles, qubits))
    return rho


def expectations(rho: Tensor, strings: Iterable[PauliString], readout: ReadoutErrors) -> Tensor:
    """Mean of what each string is estimated as from readings with these errors, [batch, strings].

    The qubits of a string are turned to Z and read; others do not count.
    """
    return torch.stack([_expectation(rho, string, readout) for string in strings], 1)


def _expectation(rho: Tensor, string: PauliString, readout: ReadoutErrors) -> Tensor:
    support = [(q, letter) for q, letter in enumerate(reversed(string.label)) if letter != "I"]
    for qubit, letter in support:
        for name in TO_Z.get(letter, ()):
            rho = _both_sides(rho, partial(_applied, GATES[name], [], (qubit,)))
    found = rho.diagonal(dim1=1, dim2=2).real
    for qubit, _ in support:
        p01, p10 = readout.get(qubit, (0.0, 0.0))
        bits = found.reshape(len(found), -1, 2, 2**qubit)
        zero, one = bits[:, :, 0], bits[:, :, 1]
        # Reading 1 counts -1.
        read = [(1 - p01) * zero + p10 * one, -(p01 * zero + (1 - p10) * one)]
        found = torch.stack(read, 2).reshape(found.shape)
    return found.sum(1)


def misread(probabilities: Tensor, qubits: tuple[int, ...], errors: ReadoutErrors) -> Tensor:
    """Probabilities [rows, 2**k] of what is read from qubits with these errors."""
    for k, qubit in enumerate(qubits):
        if qubit in errors:
            p01, p10 = errors[qubit]
            zero, one = probabilities.unflatten(1, (-1, 2, 2**k)).unbind(2)
            read = [(1 - p01) * zero + p10 * one, p01 * zero + (1 - p10) * one]
            probabilities = torch.stack(read, 2).flatten(1)
    return probabilities


def _applied(
    gate: Gate, angles: list[float | Tensor], qubits: tuple[int, ...], psi: Tensor
) -> Tensor:
    return apply_gate(gate, angles, psi, qubits)


def _matrix(matrix: Tensor, qubits: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    return lambda psi: act(psi, qubits, lambda amplitudes: amplitudes @ matrix.T)


def _both_sides(rho: Tensor, applied: Callable[[Tensor], Tensor]) -> Tensor:
    """A rho A+, for A on states [batch, 2, ..., 2]: A (A rho)+ is the adjoint of that."""
    bits = [2] * 2 * (rho.shape[1].bit_length() - 1)

    def left(matrices: Tensor) -> Tensor:
        # Columns are states; the column's number stands for further qubits, left alone.
        columns = matrices.mT.reshape(len(rho), *bits)
        return applied(columns).reshape(rho.shape).mT

    return left(left(rho).mH).mH.resolve_conj()
