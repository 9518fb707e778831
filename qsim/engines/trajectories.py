"""The reference engine of trajectories: pure states in plain torch, all operators tried in turn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.engines.reference import act, apply_gate, value_of
from qsim.gates import Gate
from qsim.noise.channels import Channel
from qsim.noise.unravelling import Unravelling, unravelled
from qsim.sampling import draw

_ROUNDING = 1e-9  # probabilities below are none


def final_states(
    circuit: Circuit, psi: Tensor, weights: Tensor, inputs: Tensor, number: Callable[[int], Tensor]
) -> Tensor:
    """States after gates and the operators that were chosen, complex [rows, 2**n] of norm 1.

    What they are divided by is no part of a derivative: so that of <psi|O|psi>, averaged over
    trajectories, is the derivative of the mean.

    Args:
        circuit: gates and channels.
        psi: complex [rows, 2**n].
        weights: as for `qsim.engines.Engine`; a row for each trajectory where they are batched.
        inputs: likewise.
        number: from the number of a draw to uniform numbers, float64 [rows].
    """
    states = psi.reshape([len(psi), *[2] * circuit.num_qubits])
    draws = 0
    for acting, qubits, params in circuit.operations:
        if isinstance(acting, Gate):
            angles = [value_of(param, weights, inputs) for param in params]
            states = apply_gate(acting, angles, states, qubits)
            continue
        assert isinstance(acting, Channel)
        choice = unravelled(acting)
        chosen = torch.zeros(len(psi), dtype=torch.int64, device=psi.device)
        if len(choice.least) > 1:
            chosen = _choose(choice, states.detach(), qubits, number(draws).to(psi.device))
            draws += 1
        matrices = torch.as_tensor(choice.operators).to(states)[chosen]
        states = _times(matrices, states, qubits)
        states = states / _norms(states.detach()).reshape([-1, *[1] * circuit.num_qubits])
    return states.reshape(psi.shape)


def _choose(
    choice: Unravelling, states: Tensor, qubits: tuple[int, ...], numbers: Tensor
) -> Tensor:
    """The number of an operator for each row: first what is sure in any state, then the rest."""
    least = torch.as_tensor(choice.least, device=states.device).expand(len(states), -1)
    operators = torch.as_tensor(choice.operators).to(states)
    moved = [_times(matrix.expand(len(states), -1, -1), states, qubits) for matrix in operators]
    found = torch.stack([_norms(m) for m in moved], 1).double() ** 2 - least
    pieces = torch.cat([least, torch.where(found > _ROUNDING, found, 0.0)], 1)
    return draw(pieces, numbers[:, None])[:, 0] % len(choice.least)


def _times(matrices: Tensor, states: Tensor, qubits: tuple[int, ...]) -> Tensor:
    return act(states, qubits, lambda amplitudes: amplitudes @ matrices.transpose(1, 2))


def _norms(states: Tensor) -> Tensor:
    return torch.linalg.vector_norm(states.flatten(1), dim=1)
