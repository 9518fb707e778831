"""The Hadamard test: overlaps, and gradients, from one qubit more."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from qsim import Circuit, PauliString, PauliSum, expval
from qsim.errors import UsageError
from qsim.gates import Gate
from qsim.observables import Observable
from qsim.operations import Operation
from qsim.parameters import Symbol


def hadamard_test(
    unitary: Circuit, state: Circuit | None = None, *, imaginary: bool = False
) -> Circuit:
    """A circuit whose last qubit has <Z> = Re <psi|U|psi>, or Im <psi|U|psi>.

    Args:
        unitary: U on n qubits, with gates alone.
        state: what prepares psi from |0...0>, on as many qubits; nothing by default.
        imaginary: which part.

    Example:
        >>> test = hadamard_test(Circuit(1).s(0), Circuit(1).x(0), imaginary=True)
        >>> round(qsim.expval(test)[1].item(), 3)
        1.0
    """
    n = unitary.num_qubits
    circuit = Circuit(n + 1)
    if state is not None:
        circuit.compose(state, range(n))
    circuit.h(n)
    if imaginary:
        circuit.sdg(n)
    return circuit.compose(unitary.control(), [n, *range(n)]).h(n)


def overlap(
    unitary: Circuit,
    state: Circuit | None = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """<psi|U|psi> by two Hadamard tests: complex [batch] or scalar.

    Options as for `qsim.expval`.
    """
    parts = []
    for imaginary in (False, True):
        test = hadamard_test(unitary, state, imaginary=imaginary)
        last = [PauliString.z(unitary.num_qubits, test.num_qubits)]
        parts.append(expval(test, last, weights, inputs, **options)[..., 0])
    return torch.complex(*parts)


def hadamard_gradient(
    circuit: Circuit,
    observable: Observable,
    weights: Tensor,
    inputs: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """Derivatives of an expectation value by the weights, each a Hadamard test.

    After a rotation exp(-i theta P / 2), P under control of one qubit more, which starts in |+>,
    makes d<O>/d theta the expectation value of Y on that qubit times O (Li and Benjamin,
    arXiv:1611.09301; Guerreschi and Smelyanskiy, arXiv:1701.01450). Parameter shift needs two
    circuits for a rotation, this one.

    Args:
        circuit: whose weights turn rotations by Pauli strings: RX, RY, RZ, RXX, Pauli rotations ...
        observable: O.
        weights: real [num_weights] in radians.
        inputs: as for `qsim.expval`.
        options: as for `qsim.expval`, such as shots.

    Returns:
        real [batch, num_weights], or [num_weights] without a batch.

    Raises:
        UsageError: for weights in other gates, or in more than a multiple and a constant.
    """
    n, found = circuit.num_qubits, []
    measured = _with_y(observable)
    for weight in range(circuit.num_weights):
        derivatives = [
            angle.scale * expval(test, [measured], weights, inputs, **options)[..., 0]
            for test, angle in _tests(circuit, weight, n)
        ]
        found.append(torch.stack(derivatives).sum(0) if derivatives else weights.new_zeros(()))
    return torch.stack(torch.broadcast_tensors(*found), -1)


def _tests(circuit: Circuit, weight: int, n: int) -> list[tuple[Circuit, Symbol]]:
    """For every rotation by this weight, the circuit with its generator after it, and its angle."""
    tests = []
    for k, operation in enumerate(circuit.gates):
        for angle in operation.params:
            if not isinstance(angle, Symbol):
                if not isinstance(angle, float):
                    raise UsageError(f"the Hadamard test takes angles a w + b, not {angle}")
            elif angle.source == "weight" and angle.index == weight:
                test = Circuit(n + 1, circuit.num_weights, circuit.num_inputs).h(n)
                test.compose(circuit.with_operations(circuit.gates[: k + 1], n))
                test.controlled_unitary(_generator(operation), n, operation.qubits)
                test.compose(circuit.with_operations(circuit.gates[k + 1 :], n))
                tests.append((test, angle))
    return tests


def _generator(operation: Operation[Gate]) -> np.ndarray:
    """P of a gate exp(-i theta P / 2)."""
    unitary = operation.gate.unitary
    if unitary.num_params == 1:
        matrix = -2 * np.einsum("k,kij->ij", unitary.frequencies[:, 0], unitary.coefficients)
        if np.allclose(matrix @ matrix, np.eye(len(matrix))):
            return np.asarray(matrix)
    raise UsageError(
        f"the Hadamard test differentiates rotations by Pauli strings, not {operation.gate.name}: "
        "write it as such rotations"
    )


def _with_y(observable: Observable) -> PauliSum:
    """Y on one qubit more, times the observable."""
    given = PauliSum([(1.0, observable)]) if isinstance(observable, PauliString) else observable
    return PauliSum([f"Y{string.label}" for string in given.strings], given.coefficients)
