"""The reference engine: plain torch, written to be read. All others are tested against it."""

from __future__ import annotations

import torch
from torch import Tensor

from qsim.circuit import Angle, Circuit, Symbol
from qsim.gates import Gate
from qsim.observables import PauliString


class ReferenceEngine:
    """Applies one gate after another to states [batch, 2, ..., 2]; autograd differentiates it."""

    def expval(
        self,
        circuit: Circuit,
        observables: tuple[PauliString, ...],
        weights: Tensor,
        inputs: Tensor,
        batch: int,
    ) -> Tensor:
        psi = self.state(circuit, weights, inputs, batch)
        if not observables:
            return psi.real.new_zeros(batch, 0)
        return torch.stack([(psi.conj() * apply_pauli(p, psi)).sum(1).real for p in observables], 1)

    def state(self, circuit: Circuit, weights: Tensor, inputs: Tensor, batch: int) -> Tensor:
        n = circuit.num_qubits
        dtype = torch.complex128 if weights.dtype == torch.float64 else torch.complex64
        start = torch.zeros(batch, 2**n, dtype=dtype, device=weights.device)
        start[:, 0] = 1
        psi = start.view([batch, *[2] * n])
        for gate, qubits, params in circuit.operations:
            psi = apply_matrix(_matrix(gate, params, weights, inputs).to(dtype), psi, qubits)
        return psi.reshape(batch, 2**n)


def _matrix(gate: Gate, params: tuple[Angle, ...], weights: Tensor, inputs: Tensor) -> Tensor:
    """The gate's matrix, [d, d], or [batch, d, d] where samples differ; fixed ones are exact."""
    numbers = [p for p in params if not isinstance(p, Symbol)]
    if len(numbers) == len(params):
        return torch.as_tensor(gate.unitary.at(*numbers), device=weights.device)
    angles = [_value(p, weights, inputs) for p in params]
    return gate.unitary(torch.stack(torch.broadcast_tensors(*angles), -1))


def _value(param: Angle, weights: Tensor, inputs: Tensor) -> Tensor:
    """An angle as a tensor: [] if shared by the batch, else [batch]."""
    if not isinstance(param, Symbol):
        return weights.new_tensor(param)
    source = weights if param.source == "weight" else inputs
    return param.scale * source[..., param.index] + param.offset


def apply_matrix(matrix: Tensor, psi: Tensor, qubits: tuple[int, ...]) -> Tensor:
    """Apply [d, d] or [batch, d, d] to qubits of psi [batch, 2, ..., 2]; axis 1: the last qubit."""
    axes = [psi.dim() - 1 - q for q in reversed(qubits)]
    ends = list(range(psi.dim() - len(axes), psi.dim()))
    moved = psi.movedim(axes, ends)
    flat = moved.reshape(psi.shape[0], -1, matrix.shape[-1])
    return (flat @ matrix.transpose(-1, -2)).reshape(moved.shape).movedim(ends, axes)


def apply_pauli(pauli: PauliString, psi: Tensor) -> Tensor:
    """P psi for psi [batch, 2**n]: P|b> = i^(number of Y) (-1)^(z.b) |b xor x>."""
    index = torch.arange(psi.shape[1], device=psi.device)
    signs = 1 - 2 * _parity(index & pauli.z_mask)
    scaled = psi * (signs * 1j**pauli.num_y).to(psi.dtype)
    return scaled[:, index ^ pauli.x_mask]


def _parity(index: Tensor) -> Tensor:
    for shift in (32, 16, 8, 4, 2, 1):
        index = index ^ (index >> shift)
    return index & 1
