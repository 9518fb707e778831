"""States and unitary matrices that a circuit learns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qml.algorithms.minimize import Minimum, minimize, small_weights
from qsim import Circuit, fidelity, state
from qsim.errors import UsageError


def learn_state(
    circuit: Circuit,
    target: Tensor,
    *,
    weights: Tensor | None = None,
    seed: int = 0,
    **training: Any,
) -> Minimum:
    """Train a circuit to prepare a state, up to its phase: variational state preparation.

    `qsim.state_preparation` prepares it exactly, by more gates.

    Args:
        circuit: with weights.
        target: amplitudes, complex [2**n].
        weights: where to start; small ones by default.
        seed: of the first weights.
        training: optimizer, steps and tolerance of `qml.algorithms.minimize.minimize`.

    Returns:
        Weights, and what is missing to fidelity 1.
    """
    start = small_weights(circuit, seed) if weights is None else weights
    return minimize(lambda w: 1 - fidelity(circuit, target, w), start, **training)


def learn_unitary(
    circuit: Circuit,
    target: Tensor,
    *,
    weights: Tensor | None = None,
    seed: int = 0,
    **training: Any,
) -> Minimum:
    """Train a circuit to act as a unitary matrix, up to its phase.

    Khatri et al., arXiv:1807.00800.

    Args:
        circuit: with weights.
        target: complex [2**n, 2**n].
        weights, seed, training: as for `learn_state`.

    Returns:
        Weights, and what is missing to `unitary_fidelity` 1.
    """
    start = small_weights(circuit, seed) if weights is None else weights
    return minimize(lambda w: 1 - unitary_fidelity(circuit, target, w), start, **training)


def unitary_fidelity(circuit: Circuit, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """|Tr(V+ U)|^2 / 4**n of the circuit's matrix U and a target V [2**n, 2**n]: a scalar.

    All basis states run as one batch; differentiable.

    Raises:
        UsageError: for a matrix of another shape.
    """
    size = 2**circuit.num_qubits
    if target.shape != (size, size):
        raise UsageError(f"the matrix of this circuit is {[size, size]}, not {list(target.shape)}")
    columns = state(circuit, weights, initial_state=torch.eye(size, dtype=target.dtype))
    return (target.T.conj() * columns).sum().abs().square() / size**2
