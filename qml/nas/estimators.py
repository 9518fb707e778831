"""Estimators: how well a compiled circuit will do on its device, before it runs there.

Each is a callable from a `Candidate` to an `Estimate`, and so is anything else that a search may
use. QuantumNAS (Wang et al., arXiv:2107.10845) has the simulation of the device's noise, shots on
the device itself, and the success probability. The `repr` of an estimator says what it is, the same
in every process: evaluations that are kept are told apart by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from compile import Compiled, Device, Executor, NoisyCircuit, noisy
from compile.execution.usage import REP_DELAY
from qml.nas.objectives import Objective
from qml.nn.layers import named
from qml.predictor import estimator as quest
from qsim.errors import UsageError

# Error of a measured <Z> that does not shrink with the signal. In simulations of FakeQuitoV2 it is
# 0.02: 0.011 from 8,192 shots, and biases of 0.018. The rest is a reserve for what calibrations do
# not tell (crosstalk, idling, drift): with it, searches on digits-4 (three seeds) found circuits of
# 9 to 22 two-qubit gates instead of 22 to 34, no less accurate in simulation.
READING_ERROR = 0.05
MAX_PHYSICAL = 9
"""Physical qubits up to which density matrices of some hundred samples fit into memory."""
EXACT_QUBITS = 6
"""Up to so many qubits, of 4**n numbers under noise, exact noise on 500 samples takes fractions of
a second. Beyond, a first-order estimate serves in searches, and trajectories in training."""
_DRAWS = 8
_MIN_SIGNAL = 1e-3


@dataclass(frozen=True, eq=False)
class Candidate:
    """A circuit with weights, compiled for a device, and what it is for.

    Attributes:
        compiled: weights bound.
        device: that it was compiled for.
        objective: what it is to do.
        expvals: noise-free expectation values [samples, observables] of the objective.
        seed: of every random draw.
    """

    compiled: Compiled
    device: Device
    objective: Objective
    expvals: Tensor
    seed: int

    @cached_property
    def loss(self) -> float:
        """Without noise."""
        return self.objective.loss(self.expvals)


class Estimate(NamedTuple):
    """A score, lower is better, and the accuracy under noise where the estimator knows it."""

    score: float
    accuracy: float | None = None


Estimator: TypeAlias = Callable[[Candidate], Estimate]


@dataclass(frozen=True)
class ExactNoise:
    """The loss under the exact noise of the device's calibration: the paper's main estimator.

    A circuit that routing leads over more than `MAX_PHYSICAL` qubits is out of its reach, and is
    scored by `SuccessProbability`: so many SWAPs leave no good candidate.

    Attributes:
        shots: drawn from the noisy distributions for every sample; None for exact values.
        idle: whether qubits relax while they wait, too.
    """

    shots: int | None = None
    idle: bool = False

    def __call__(self, candidate: Candidate) -> Estimate:
        circuit = noisy(candidate.compiled, candidate.device, idle=self.idle)
        if circuit.circuit.num_qubits > MAX_PHYSICAL:
            return SuccessProbability()(candidate)
        return _read(candidate, self.expvals(candidate, circuit))

    def expvals(self, candidate: Candidate, circuit: NoisyCircuit) -> Tensor:
        """Expectation values of the objective [samples, observables] under noise."""
        options: dict[str, Any] = {}
        if self.shots is not None:
            generator = torch.Generator().manual_seed(candidate.seed)
            options = {"shots": self.shots, "generator": generator}
        objective = candidate.objective
        with torch.no_grad():
            return circuit.expval(objective.observables, inputs=objective.inputs, **options)


@dataclass(frozen=True)
class Shots:
    """The loss of what shots measure: on a real device, or of a snapshot in simulation.

    `cost` tells beforehand what a search takes on a real device.

    Attributes:
        shots: for every sample.
    """

    shots: int = 8192

    def __call__(self, candidate: Candidate) -> Estimate:
        objective = candidate.objective
        executor = Executor(candidate.device, shots=self.shots, seed=candidate.seed)
        compiled, inputs = candidate.compiled, objective.inputs
        return _read(candidate, executor.expval(compiled, objective.observables, inputs=inputs))

    def cost(self, objective: Objective, device: Device, evaluations: int) -> str:
        """A sentence on what so many evaluations take on the device."""
        samples = 1 if objective.inputs is None else len(objective.inputs)
        return cost(device, evaluations * samples * self.shots)


@dataclass(frozen=True)
class SuccessProbability:
    """The noise-free loss over the probability that no gate fails, the paper's cheap estimator.

    A loss below zero, as energies are, is multiplied by the probability instead, as there.
    """

    def __call__(self, candidate: Candidate) -> Estimate:
        return _weighed(candidate, candidate.compiled.gate_esp)


@dataclass(frozen=True)
class Predictor:
    """The noise-free loss over a predicted fidelity, as of QuEst (arXiv:2210.16724).

    Attributes:
        predict: gives the fidelity in [0, 1] of a compiled circuit on a device.
        name: says which predictor it is.
    """

    predict: Callable[[Compiled, Device], float]
    name: str

    def __call__(self, candidate: Candidate) -> Estimate:
        return _weighed(candidate, float(self.predict(candidate.compiled, candidate.device)))

    def __repr__(self) -> str:
        return f"Predictor({self.name!r})"


@dataclass(frozen=True)
class SurvivingSignal:
    """The loss behind the noise to first order, without a simulation of it.

    A device shrinks <Z> of qubit q to about s_q <Z>, where s_q are the `surviving_signals` of the
    compiled circuit. A common factor would not change the most likely class: what does is that the
    factors differ, and errors e that do not shrink with the signal, shot noise and biases. The
    score is the loss of such readings, scaled back by the mean s of the factors, averaged over
    fixed normal draws of e:

        score = loss((s_q <Z>_q + e_q) / s)

    Rank correlation with the accuracy under the noise of FakeQuitoV2, over 22 sub-circuits of
    digits-4 trained from scratch, two seeds: loss / probability 0.06 and 0.32, after 5 epochs of
    tuning 0.35 and 0.69; this score after 5 epochs 0.44 and 0.78, and 0.70 and 0.86 with an error
    of 0.02, which is what simulation has.

    Attributes:
        error: standard deviation of e.
    """

    error: float = READING_ERROR

    def __call__(self, candidate: Candidate) -> Estimate:
        if candidate.objective.observables is not None:
            raise UsageError(
                "the estimator 'signal' measures Z on every qubit, not other observables: "
                "take the estimator 'noise'"
            )
        generator = torch.Generator().manual_seed(candidate.seed)
        errors = torch.randn(_DRAWS, *candidate.expvals.shape, generator=generator)
        signals = torch.tensor(surviving_signals(candidate.compiled, candidate.device))
        readings = signals * candidate.expvals + self.error * errors
        return _read(candidate, readings / signals.mean().clamp_min(_MIN_SIGNAL))


ESTIMATORS: dict[str, Estimator] = {
    "noise": ExactNoise(),
    "success": SuccessProbability(),
    "signal": SurvivingSignal(),
    "shots": Shots(),
    "quest": Predictor(quest.predict_success, "QuEst, first weights"),
}
"""Estimators by name."""


def find_estimator(name: str) -> Estimator:
    """The estimator of that name. Raises UsageError with the nearest names, if there is none."""
    return named(ESTIMATORS, name, "estimator")


def default_estimator(num_qubits: int) -> Estimator:
    """Exact noise, but for circuits that it would take too long: the first order of it."""
    return ExactNoise() if num_qubits <= EXACT_QUBITS else SurvivingSignal()


def surviving_signals(compiled: Compiled, device: Device) -> list[float]:
    """Factor by which noise shrinks <Z> of every logical qubit, to first order.

    It is the probability that no gate fails in the light cone of the qubit (gates outside cannot
    touch it), times 1 - 2 r for a readout that errs with probability r.
    """
    index = {qubit: i for i, qubit in enumerate(compiled.circuit.qubits)}
    gates = [
        (instruction.name, tuple(index[qubit] for qubit in instruction.qubits))
        for instruction in reversed(compiled.circuit.data)
    ]
    signals = []
    for measured in compiled.final_layout:
        cone, signal = {measured}, 1 - 2 * device.readout_error(measured)
        for name, qubits in gates:
            if not cone.isdisjoint(qubits):
                cone.update(qubits)
                signal *= 1 - device.gate_errors.get((name, qubits), 0.0)
        signals.append(signal)
    return signals


def cost(device: Device, executions: int) -> str:
    """A sentence on what so many executions take on the device."""
    if device.is_simulated:
        return f"the {executions:,} executions on {device.name} are simulated on this computer"
    return (
        f"the {executions:,} executions on {device.name} will take about "
        f"{REP_DELAY * executions / 60:.0f} minutes of quantum time"
    )


def _read(candidate: Candidate, expvals: Tensor) -> Estimate:
    """What noisy expectation values say."""
    objective = candidate.objective
    return Estimate(objective.loss(expvals), objective.accuracy(expvals))


def _weighed(candidate: Candidate, success: float) -> Estimate:
    """The noise-free loss, made worse by the probability of failure."""
    loss = candidate.loss
    tiny = torch.finfo(torch.float32).tiny
    return Estimate(loss / max(success, tiny) if loss > 0 else loss * success)
