"""The reference engine: plain torch, written to be read. All others are tested against it."""

from __future__ import annotations

import torch
from torch import Tensor

from qsim.circuit import Angle, Circuit, Symbol
from qsim.gates import Gate
from qsim.observables import PauliString, Strings
from qsim.paulis import expectations


class ReferenceEngine:
    """Applies one gate after another to states [batch, 2, ..., 2]; autograd differentiates it."""

    def expval(
        self,
        circuit: Circuit,
        strings: tuple[PauliString, ...],
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None = None,
    ) -> Tensor:
        psi = self.state(circuit, weights, inputs, batch, initial)
        return expectations(Strings.of(strings), psi)

    def state(
        self,
        circuit: Circuit,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None = None,
    ) -> Tensor:
        n = circuit.num_qubits
        dtype = torch.complex128 if weights.dtype == torch.float64 else torch.complex64
        if initial is None:
            initial = torch.zeros(2**n, dtype=dtype, device=weights.device)
            initial[0] = 1
        psi = initial.expand(batch, -1).reshape([batch, *[2] * n])
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
