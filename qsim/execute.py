"""Run circuits: one function for each result, each a thin use of `run`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.errors import UsageError
from qsim.gradients.compiled import untraced
from qsim.gradients.rules import Rule, find_rule
from qsim.gradients.shifted import evaluated
from qsim.observables import Observables, check_observables, check_qubits
from qsim.prepare import Options, prepare
from qsim.results import State, combine, layout
from qsim.sampling import Generator, check_generator, check_shots, count


@untraced
def expval(
    circuit: Circuit,
    observables: Observables = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    shots: int | None = None,
    generator: Generator = None,
    gradient: str | Rule = "adjoint",
    **options: Unpack[Options],
) -> Tensor:
    """Expectation values of Pauli strings and sums after the circuit.

    Args:
        circuit: the circuit.
        observables: PauliString and PauliSum in any mixture; Z on every qubit by default.
        weights: the circuit's weights in radians, [num_weights] or [batch, num_weights].
        inputs: the circuit's inputs in radians, [batch, num_inputs] or [num_inputs].
        shots: estimate the values from that many shots for each set of strings that commute qubit
            by qubit; exact by default.
        generator: what shots and trajectories are drawn with: a torch.Generator, or a list with one
            for each sample.
        gradient: "adjoint", "shift", "finite-difference", "spsa", or an object of
            `qsim.gradients.rules`; with shots any but "adjoint".
        options: values, initial_state, engine, dtype, noise, method, trajectories; see
            `qsim.prepare.Options`.
            With noise, a string's value is what a device would estimate: its qubits are turned to
            Z and read with their readout errors.

    Returns:
        real [batch, observables], or [observables] if nothing has a batch dimension;
        differentiable in weights, inputs and coefficients, with "adjoint" also in the initial
        state.

    Raises:
        UsageError: for tensors of a wrong shape, device or dtype, angles that are not finite,
            states beyond the memory, an unknown engine, observables of another size, wrong shots
            or generators, or a gradient that cannot be had.
    """
    measured = check_observables(observables, circuit.num_qubits)
    call = prepare(
        circuit, weights, inputs, shots=shots is not None, generator=generator, **options
    )
    strings = layout(measured).strings
    rule = find_rule(gradient)
    if shots is None and rule is None:
        values = call.expval(strings)
    else:
        if shots is not None:
            shots = check_shots(shots, call.batch * max(1, len(strings.settings)))
        check_generator(generator, call.batch)
        if rule is None and call.wants_gradient:
            raise UsageError(
                "shots have no adjoint gradient: use gradient='shift', 'finite-difference' or "
                "'spsa', or torch.no_grad()"
            )
        values = evaluated(call, strings, rule, shots, generator)
    found = combine(values, measured)
    return found if call.batched else found[0]


@untraced
def run(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> State:
    """Run the circuit once, to ask the state for several results.

    Arguments and errors as for `expval`.

    Example:
        >>> state = run(Circuit(2).h(0).cx(0, 1))
        >>> [round(x, 3) for x in state.probabilities().tolist()], state.entropy([0]).item()
        ([0.5, 0.0, 0.0, 0.5], 1.0)
    """
    call = prepare(circuit, weights, inputs, **options)
    psi = call.state()
    return State(psi if call.batched else psi[0])


def state(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """The state after the circuit: complex [batch, 2**n], or [2**n] without a batch dimension.

    Arguments and errors as for `expval`; qubit 0 is the least significant bit of the index.
    """
    return run(circuit, weights, inputs, **options).amplitudes


def variance(
    circuit: Circuit,
    observables: Observables = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Variances of observables, real [batch, observables]: see `expval` and `State.variance`."""
    return run(circuit, weights, inputs, **options).variance(observables)


def covariance(
    circuit: Circuit,
    observables: Observables = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Covariances, real [batch, observables, observables]: see `expval` and `State.covariance`."""
    return run(circuit, weights, inputs, **options).covariance(observables)


def probabilities(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    qubits: Iterable[int] | None = None,
    generator: Generator = None,
    **options: Unpack[Options],
) -> Tensor:
    """Probabilities of what is read from all or some qubits: see `State.probabilities`.

    With `noise`, of what is read with its readout errors; `generator` is what trajectories are
    drawn with, as for `expval`.
    """
    call = prepare(circuit, weights, inputs, generator=generator, **options)
    found = call.probabilities(_qubits(circuit, qubits))
    return found if call.batched else found[0]


def density_matrix(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Density matrices after the circuit, with its channels and `noise` but not read out.

    Arguments and errors as for `expval`.

    Returns:
        complex [batch, 2**n, 2**n], or [2**n, 2**n] without a batch dimension; differentiable.
    """
    call = prepare(circuit, weights, inputs, **options)
    found = call.density_matrix()
    return found if call.batched else found[0]


def _qubits(circuit: Circuit, qubits: Iterable[int] | None) -> tuple[int, ...]:
    every = range(circuit.num_qubits)
    return tuple(every) if qubits is None else check_qubits(qubits, circuit.num_qubits)


@torch.no_grad()
def samples(
    circuit: Circuit,
    shots: int,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    qubits: Iterable[int] | None = None,
    generator: Generator = None,
    **options: Unpack[Options],
) -> Tensor:
    """Basis states as they are measured, int64 [batch, shots]: see `State.samples`."""
    call = prepare(circuit, weights, inputs, shots=True, generator=generator, **options)
    found = call.samples(_qubits(circuit, qubits), shots, generator)
    return found if call.batched else found[0]


@torch.no_grad()
def counts(
    circuit: Circuit,
    shots: int,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    qubits: Iterable[int] | None = None,
    generator: Generator = None,
    **options: Unpack[Options],
) -> dict[str, int] | list[dict[str, int]]:
    """How often each bitstring is measured: see `State.counts`."""
    where = _qubits(circuit, qubits)
    drawn = samples(circuit, shots, weights, inputs, qubits=where, generator=generator, **options)
    found = [count(row, len(where)) for row in drawn.reshape(-1, drawn.shape[-1])]
    return found if drawn.dim() == 2 else found[0]


def reduced_density_matrix(
    circuit: Circuit,
    qubits: Iterable[int],
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Density matrices of some qubits: see `State.reduced_density_matrix`."""
    return run(circuit, weights, inputs, **options).reduced_density_matrix(qubits)


def purity(
    circuit: Circuit,
    qubits: Iterable[int],
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Purity of some qubits, real [batch]: see `State.purity`."""
    return run(circuit, weights, inputs, **options).purity(qubits)


def entropy(
    circuit: Circuit,
    qubits: Iterable[int],
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    base: float = 2,
    **options: Unpack[Options],
) -> Tensor:
    """Entanglement entropy of some qubits with the others, real [batch]: see `State.entropy`."""
    return run(circuit, weights, inputs, **options).entropy(qubits, base)


def fidelity(
    circuit: Circuit,
    target: State | Tensor,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Fidelity of the circuit's state with another one, real [batch]: see `State.fidelity`."""
    return run(circuit, weights, inputs, **options).fidelity(target)
