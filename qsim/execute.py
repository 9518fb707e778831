"""Run circuits: one function for each result, each a thin use of `run`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.clifford import Stabilizers, run_clifford
from qsim.dynamic import execute as dynamic
from qsim.dynamic.ensemble import Ensemble, counted, refuse_qubits
from qsim.dynamic.plan import is_dynamic
from qsim.errors import UsageError
from qsim.gradients.compiled import untraced
from qsim.gradients.rules import Rule, find_rule
from qsim.gradients.shifted import evaluated
from qsim.mixed import MixedState
from qsim.noise.model import check_noise
from qsim.observables import Observables, check_observables, check_qubits
from qsim.prepare import Options, prepare
from qsim.results import State, combine, layout
from qsim.sampling import Generator


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
    rule = find_rule(gradient)
    if options.get("engine") == "stim":
        if rule is not None:
            raise UsageError("engine='stim' has no gradients: leave out gradient=...")
        stabilizers = run_clifford(circuit, weights, inputs, options)
        return stabilizers.expval(observables, shots=shots, generator=generator)
    if is_dynamic(circuit):
        if rule is not None:
            raise UsageError("a circuit with measurements has the gradient 'adjoint' only")
        if shots is None:
            return dynamic.ensemble(circuit, weights, inputs, options).expval(observables)
        return dynamic.estimated(circuit, observables, weights, inputs, shots, generator, options)
    measured = check_observables(observables, circuit.num_qubits)
    call = prepare(
        circuit, weights, inputs, shots=shots is not None, generator=generator, **options
    )
    strings = layout(measured).strings
    if shots is None and rule is None:
        values = call.expval(strings)
    else:
        values = evaluated(call, strings, rule, shots, generator)
    found = combine(values, measured)
    return found if call.batched else found[0]


@untraced
def run(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> State | Ensemble | Stabilizers:
    """Run the circuit once, to ask for several results.

    Arguments and errors as for `expval`. A circuit with measurements, resets or classical control
    gives an Ensemble: the states of all its branches. With engine="stim" the result is Stabilizers,
    which have expval, samples and counts.

    Example:
        >>> state = run(Circuit(2).h(0).cx(0, 1))
        >>> [round(x, 3) for x in state.probabilities().tolist()], state.entropy([0]).item()
        ([0.5, 0.0, 0.0, 0.5], 1.0)
    """
    if options.get("engine") == "stim":
        return run_clifford(circuit, weights, inputs, options)
    if is_dynamic(circuit):
        return dynamic.ensemble(circuit, weights, inputs, options)
    call = prepare(circuit, weights, inputs, **options)
    psi = call.state()
    return State(psi if call.batched else psi[0])


def _states(
    circuit: Circuit, weights: Tensor | None, inputs: Tensor | None, options: Options
) -> State | Ensemble | MixedState:
    """The final states, for results that look at them, not at what is read."""
    _refuse_stim(options)
    if is_dynamic(circuit):
        return dynamic.ensemble(circuit, weights, inputs, options)
    call = prepare(circuit, weights, inputs, **options)
    if not call.noisy:
        psi = call.state()
        return State(psi if call.batched else psi[0])
    rho = call.density_matrix()
    return MixedState(rho if call.batched else rho[0])


def _merged(
    circuit: Circuit, weights: Tensor | None, inputs: Tensor | None, options: Options
) -> State | MixedState:
    """The final states, averaged over the outcomes of measurements."""
    found = _states(circuit, weights, inputs, options)
    if isinstance(found, Ensemble):
        return MixedState(found.reduced_density_matrix(range(circuit.num_qubits)))
    return found


def _refuse_readout(options: Options) -> None:
    noise = options.get("noise")
    check_noise(noise)
    if noise is not None and noise.readout:
        raise UsageError(
            "variances and covariances are those of the state, but the noise model misreads it: "
            "pass dataclasses.replace(noise, readout=()), or take the spread of shots"
        )


def state(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """The state after the circuit: complex [batch, 2**n], or [2**n] without a batch dimension.

    Arguments and errors as for `expval`; qubit 0 is the least significant bit of the index.
    """
    found = _states(circuit, weights, inputs, options)
    if not isinstance(found, State):
        raise UsageError(
            "a circuit with noise, measurements or resets ends in no pure state: take "
            "density_matrix, expval, probabilities, or the branches of run(circuit)"
        )
    return found.amplitudes


def variance(
    circuit: Circuit,
    observables: Observables = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Variances of observables, real [batch, observables]: see `expval` and `State.variance`.

    With noise, channels or measurements, those of the density matrix.

    Raises:
        UsageError: as `expval`, and for a noise model with readout errors.
    """
    _refuse_readout(options)
    return _merged(circuit, weights, inputs, options).variance(observables)


def covariance(
    circuit: Circuit,
    observables: Observables = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Covariances, real [batch, observables, observables]: see `expval` and `State.covariance`.

    With noise and errors as for `variance`.
    """
    _refuse_readout(options)
    return _merged(circuit, weights, inputs, options).covariance(observables)


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
    _refuse_stim(options)
    if is_dynamic(circuit):
        return dynamic.ensemble(circuit, weights, inputs, options).probabilities(qubits)
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
    _refuse_stim(options)
    if is_dynamic(circuit):
        every = range(circuit.num_qubits)
        return dynamic.ensemble(circuit, weights, inputs, options).reduced_density_matrix(every)
    call = prepare(circuit, weights, inputs, **options)
    found = call.density_matrix()
    return found if call.batched else found[0]


def _qubits(circuit: Circuit, qubits: Iterable[int] | None) -> tuple[int, ...]:
    every = range(circuit.num_qubits)
    return tuple(every) if qubits is None else check_qubits(qubits, circuit.num_qubits)


def _refuse_stim(options: Options) -> None:
    if options.get("engine") == "stim":
        raise UsageError(
            "engine='stim' keeps no amplitudes: take expval, samples or counts, or another engine"
        )


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
    """Basis states as they are measured, int64 [batch, shots]: see `State.samples`.

    Of a circuit with measurements, what its classical bits hold at the end; bits that nothing was
    measured into are 0.
    """
    if options.get("engine") == "stim":
        stabilizers = run_clifford(circuit, weights, inputs, options)
        return stabilizers.samples(shots, qubits, generator=generator)
    if is_dynamic(circuit):
        refuse_qubits(qubits)
        return dynamic.samples(circuit, shots, weights, inputs, generator, options)
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
    """How often each bitstring is measured: see `State.counts`.

    Of a circuit with measurements, bitstrings of its classical bits, of which bit 0 is rightmost.
    """
    if options.get("engine") == "stim":
        stabilizers = run_clifford(circuit, weights, inputs, options)
        return stabilizers.counts(shots, qubits, generator=generator)
    where = None if is_dynamic(circuit) and qubits is None else _qubits(circuit, qubits)
    drawn = samples(circuit, shots, weights, inputs, qubits=where, generator=generator, **options)
    return counted(drawn, circuit.num_clbits if where is None else len(where))


def outcome_probabilities(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    clbits: Iterable[int] | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Probabilities of what classical bits hold at the end: real [batch, 2**num_clbits].

    Exact and differentiable: see `Ensemble.outcome_probabilities`; other arguments as for `expval`.

    Example:
        >>> flipped = Circuit(1).h(0).measure(0).if_test((0, 1), Circuit(1).x(0)).measure(0, 1)
        >>> [round(p, 3) for p in outcome_probabilities(flipped).tolist()]
        [0.5, 0.5, 0.0, 0.0]
    """
    return dynamic.ensemble(circuit, weights, inputs, options).outcome_probabilities(clbits)


def reduced_density_matrix(
    circuit: Circuit,
    qubits: Iterable[int],
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Density matrices of some qubits, not read out: see `State.reduced_density_matrix`."""
    return _states(circuit, weights, inputs, options).reduced_density_matrix(qubits)


def purity(
    circuit: Circuit,
    qubits: Iterable[int],
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Purity of some qubits, real [batch]: see `State.purity`."""
    return _states(circuit, weights, inputs, options).purity(qubits)


def entropy(
    circuit: Circuit,
    qubits: Iterable[int],
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    base: float = 2,
    **options: Unpack[Options],
) -> Tensor:
    """Von Neumann entropy of some qubits, real [batch]: see `State.entropy`.

    It measures their entanglement with the others where the whole is pure, without noise.
    """
    return _merged(circuit, weights, inputs, options).entropy(qubits, base)


def fidelity(
    circuit: Circuit,
    target: State | Tensor,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Fidelity of the circuit's state with a pure one, real [batch]: see `State.fidelity`.

    With noise, channels or measurements, <target|rho|target>.
    """
    return _merged(circuit, weights, inputs, options).fidelity(target)
