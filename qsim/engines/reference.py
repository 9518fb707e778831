"""The reference engine: plain torch, written to be read. All others are tested against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from qsim.circuit import Angle, Circuit, Operation, Symbol
from qsim.gates import Gate
from qsim.memory import IN_GRADIENT, check_states
from qsim.observables import PauliString
from qsim.paulis import expectations
from qsim.strings import Strings

_AT_A_GATE = 6  # states that one Pauli rotation, the costliest gate, and a gradient hold at a time


class ReferenceEngine:
    """Applies one gate after another to states [batch, 2, ..., 2]; autograd differentiates it."""

    def reference(self) -> ReferenceEngine:
        return self

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
        if initial is None:
            dtype = torch.complex128 if weights.dtype == torch.float64 else torch.complex64
            initial = torch.zeros(2**n, dtype=dtype, device=weights.device)
            initial[0] = 1
        psi = initial.expand(batch, 2**n).reshape([batch, *[2] * n])
        for gate, qubits, params in circuit.gates:
            angles = [value_of(p, weights, inputs) for p in params]
            psi = apply_gate(gate, angles, psi, qubits)
        return psi.reshape(batch, 2**n)

    def states_held(self, circuit: Circuit, gradient: bool) -> int:
        if not gradient:
            return _AT_A_GATE
        # Autograd keeps what each gate with an angle got, and where it has an action, what that
        # made of it.
        kept = [1 + (op.gate.action is not None) for op in circuit.gates if op.params]
        return _AT_A_GATE + sum(kept)


def rerun(
    num_qubits: int,
    operations: Sequence[Operation],
    observables: tuple[PauliString, ...] | None,
    batch: int,
    weights: Tensor,
    inputs: Tensor,
    initial: Tensor | None = None,
) -> Tensor:
    """Expectation values, or without observables states, that autograd can differentiate twice.

    Raises:
        UsageError: if what autograd keeps is beyond the memory.
    """
    engine, circuit = ReferenceEngine(), Circuit(num_qubits)
    for operation in operations:
        circuit.append(*operation)
    held = engine.states_held(circuit, gradient=True)
    check_states(num_qubits, batch, 2 * weights.itemsize, held, IN_GRADIENT, weights.device)
    if observables is None:
        return engine.state(circuit, weights, inputs, batch, initial)
    return engine.expval(circuit, observables, weights, inputs, batch, initial)


def value_of(param: Angle, weights: Tensor, inputs: Tensor) -> float | Tensor:
    """An angle: a number, a tensor [] if shared by the batch, else [batch]."""
    if isinstance(param, float):
        return param
    assert isinstance(param, Symbol), "expressions are resolved before a run"
    source = weights if param.source == "weight" else inputs
    return param.scale * source[..., param.index] + param.offset


def apply_gate(
    gate: Gate, angles: Sequence[float | Tensor], psi: Tensor, qubits: tuple[int, ...]
) -> Tensor:
    """Apply a gate to qubits of psi [batch, 2, ..., 2], whose axis 1 is the last qubit."""
    return act(psi, qubits, lambda amplitudes: _acted(gate, angles, amplitudes))


def act(psi: Tensor, qubits: tuple[int, ...], action: Callable[[Tensor], Tensor]) -> Tensor:
    """What `action` makes of amplitudes [batch, ..., 2**k], the first of k qubits lowest."""
    axes = [psi.dim() - 1 - q for q in reversed(qubits)]
    ends = list(range(psi.dim() - len(axes), psi.dim()))
    moved = psi.movedim(axes, ends)
    flat = moved.reshape(psi.shape[0], -1, 2 ** len(axes))
    return action(flat).reshape(moved.shape).movedim(ends, axes)


def _acted(gate: Gate, angles: Sequence[float | Tensor], amplitudes: Tensor) -> Tensor:
    """The gate on the last axis of [batch, ..., 2**num_qubits]; controls are its lowest bits."""
    if gate.base:
        inner, count, state = gate.base
        parts = amplitudes.unflatten(-1, (-1, 2**count))
        result = parts.clone()
        result[..., state] = _acted(inner, angles, parts[..., state])
        return result.flatten(-2)
    if gate.action:
        return gate.action(amplitudes, *[_beside(angle, amplitudes) for angle in angles])
    matrix = _matrix(gate, angles).to(amplitudes)
    return amplitudes @ matrix.transpose(-1, -2)


def _beside(angle: float | Tensor, amplitudes: Tensor) -> Tensor:
    """An angle as a tensor that multiplies amplitudes [batch, ...]; numbers are exact."""
    if isinstance(angle, float):
        return torch.tensor(angle, dtype=torch.float64, device=amplitudes.device)
    return angle.reshape([-1] + [1] * (amplitudes.dim() - 1)) if angle.dim() else angle


def _matrix(gate: Gate, angles: Sequence[float | Tensor]) -> Tensor:
    """The gate's matrix, [d, d], or [batch, d, d] where samples differ; fixed ones are exact."""
    numbers = [a for a in angles if isinstance(a, float)]
    if len(numbers) == len(angles):
        return torch.as_tensor(gate.unitary.at(*numbers))
    like = next(a for a in angles if isinstance(a, Tensor))
    tensors = [like.new_tensor(a) if isinstance(a, float) else a for a in angles]
    return gate.unitary(torch.stack(torch.broadcast_tensors(*tensors), -1))
