"""The variational quantum eigensolver, with a circuit as it is given or as it grows (ADAPT)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from qml.algorithms.minimize import Minimum, minimize, small_weights
from qml.nn.layers import times
from qml.nn.model import Runner
from qsim import Circuit, PauliSum, Weight, expval
from qsim.errors import UsageError
from qsim.observables import Observable


def vqe(
    circuit: Circuit,
    hamiltonian: PauliSum,
    *,
    weights: Tensor | None = None,
    runner: Runner | None = None,
    seed: int = 0,
    **training: Any,
) -> Minimum:
    """Minimize the energy of a circuit's state (Peruzzo et al., arXiv:1304.3061).

    Args:
        circuit: the ansatz, with weights: `qml.chemistry.ansatz.uccsd`, a template after
            `hartree_fock`, or one that a search has found.
        hamiltonian: of the energy.
        weights: where to start; small ones by default.
        runner: what runs the circuit; `compile.noisy(compile.compile(circuit, device), device)`
            trains it under the exact noise of a device.
        seed: of the first weights.
        training: optimizer, steps and tolerance of `qml.algorithms.minimize.minimize`.

    Returns:
        Weights, energy in the unit of the Hamiltonian, and its course.

    Raises:
        UsageError: for a Hamiltonian of another size.

    Example:
        >>> molecule = load_molecule("H2")
        >>> found = vqe(uccsd(molecule.on_qubits()), molecule.hamiltonian())
        >>> abs(found.value - molecule.exact_energy) < CHEMICAL_ACCURACY
        True
    """
    start = small_weights(circuit, seed) if weights is None else weights
    run = partial(expval, circuit) if runner is None else runner.expval
    return minimize(lambda w: run([hamiltonian], w)[0], start, **training)


class Adapted(NamedTuple):
    """What ADAPT-VQE has grown.

    Attributes:
        circuit: the ansatz, a weight for each operator that was chosen.
        weights: real [operators].
        value: its energy.
        history: the energy with 0, 1, 2 ... operators.
        chosen: place in the pool of each operator.
    """

    circuit: Circuit
    weights: Tensor
    value: float
    history: list[float]
    chosen: list[int]


def adapt_vqe(
    start: Circuit,
    hamiltonian: PauliSum,
    pool: Sequence[Observable],
    *,
    tolerance: float = 1e-3,
    max_operators: int = 50,
    **training: Any,
) -> Adapted:
    """Grow an ansatz by the operator with the steepest gradient, again and again.

    Grimsley et al., arXiv:1812.11173.

    Args:
        start: the state to start from, without weights, such as `hartree_fock`.
        hamiltonian: of the energy.
        pool: Hermitian G, of which exp(-i theta G) is appended: `qml.chemistry.ansatz.excitations`,
            or `qubit_pool` of them.
        tolerance: growth ends where the gradients of the pool have a smaller norm.
        max_operators: growth ends there at the latest.
        training: optimizer, steps and tolerance of every training, as for `vqe`.

    Raises:
        UsageError: for a start with weights, an empty pool, or operators of another size.
    """
    if start.num_weights or not pool:
        raise UsageError(
            "ADAPT grows a circuit without weights by the operators of a pool, but got "
            f"{start.num_weights} weights and {len(pool)} operators"
        )
    circuit, chosen = start.copy(), []
    found = vqe(circuit, hamiltonian, weights=_zeros(0), steps=0)
    history = [found.value]
    for _ in range(times(max_operators, "operators")):
        slopes = pool_gradient(circuit, hamiltonian, pool, found.weights)
        if slopes.norm() < tolerance:
            break
        chosen.append(int(slopes.abs().argmax()))
        circuit.evolve(pool[chosen[-1]], Weight(circuit.num_weights))
        first = torch.cat([found.weights, _zeros(1)])
        found = vqe(circuit, hamiltonian, weights=first, **training)
        history.append(found.value)
    return Adapted(circuit, found.weights, found.value, history, chosen)


def pool_gradient(
    circuit: Circuit, hamiltonian: PauliSum, pool: Sequence[Observable], weights: Tensor
) -> Tensor:
    """i <[G, H]> of every operator G of the pool: real [operators].

    They are the derivatives by angles that are zero at the end of the circuit, where the operators
    do not see one another: one backward pass gives them all.
    """
    grown = circuit.copy()
    for k, operator in enumerate(pool):
        grown.evolve(operator, Weight(circuit.num_weights + k))
    angles = _zeros(len(pool)).requires_grad_()
    energy = expval(grown, [hamiltonian], torch.cat([weights.double(), angles]))[0]
    return torch.autograd.grad(energy, angles)[0]


def _zeros(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.float64)
