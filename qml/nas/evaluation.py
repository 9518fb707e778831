"""The worth of a gene: its circuit with weights, compiled for the device, and an estimate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from compile import Compiled, Device, compile
from qml.data.tasks import Split
from qml.nas.digests import digest
from qml.nas.estimators import Candidate, Estimator
from qml.nas.genes import Gene
from qml.nas.objectives import Objective
from qml.nas.supercircuit import SubConfig, SuperCircuit
from qml.nn.model import QuantumLayer
from qml.training.loop import Loss, TrainConfig, fit
from qml.training.threads import threads_for
from qsim import Circuit, expval
from qsim.errors import UsageError


@dataclass(frozen=True)
class Evaluation:
    """What a gene is worth. ``score`` decides, lower is better.

    Attributes:
        score: of the estimator.
        loss: noise-free.
        accuracy: under noise, None where the estimator or the objective has none.
        esp: estimated success probability of the compiled circuit.
        two_qubit_gates, depth: of the compiled circuit.
    """

    score: float
    loss: float
    accuracy: float | None
    esp: float
    two_qubit_gates: int
    depth: int

    @property
    def error(self) -> float:
        """Fraction of wrong answers under noise, 1 where it is not known."""
        return 1.0 - (self.accuracy or 0.0)

    def to_json(self) -> dict[str, Any]:
        """The fields as a JSON-able dictionary."""
        return asdict(self)


class Circuits(Protocol):
    """Gives the circuit of a configuration, and its weights.

    Its `repr` says what it is, the same in every process.
    """

    supercircuit: SuperCircuit

    def __call__(self, config: SubConfig) -> tuple[Circuit, Tensor]: ...


class Inherited:
    """Sub-circuits with the weights of the SuperCircuit as they are, as in QuantumNAS.

    Args:
        supercircuit: what they are part of.
        weights: shared, float [num_weights] in radians.

    Raises:
        UsageError: for another number of weights.
    """

    def __init__(self, supercircuit: SuperCircuit, weights: Tensor) -> None:
        if weights.shape != (supercircuit.num_weights,):
            raise UsageError(
                f"the SuperCircuit shares {supercircuit.num_weights} weights, but those given have "
                f"the shape {list(weights.shape)}"
            )
        self.supercircuit = supercircuit
        self.weights = weights.detach()

    def __call__(self, config: SubConfig) -> tuple[Circuit, Tensor]:
        circuit, index = self.supercircuit.dense(config)
        return circuit, self.weights[index]

    def __repr__(self) -> str:
        space, encoder = self.supercircuit.space.to_json(), self.supercircuit.encoder.to_dict()
        return f"{type(self).__name__}({digest(repr(space), repr(encoder), self.weights)})"


class Tuned:
    """Sub-circuits with inherited weights, trained further.

    Weights as they are favour the large sub-circuits, which share most of them.

    Args:
        circuits: what is trained further.
        model: what the SuperCircuit was trained as, a Classifier, say.
        train, valid, config, seed, loss: as for `qml.training.loop.fit`.
    """

    def __init__(
        self,
        circuits: Inherited,
        model: QuantumLayer,
        train: Split,
        valid: Split,
        config: TrainConfig,
        seed: int,
        loss: Loss = cross_entropy,
    ) -> None:
        self.supercircuit = circuits.supercircuit
        self._circuits = circuits
        self._model = model
        self._fit = (train, valid, config)
        self._seed = seed
        self._loss = loss
        self._tuned: dict[SubConfig, Tensor] = {}

    def __call__(self, config: SubConfig) -> tuple[Circuit, Tensor]:
        config = self.supercircuit.canonical(config)
        circuit, weights = self._circuits(config)
        if config not in self._tuned:
            model = self._model.replaced(circuit, weights)
            fit(model, *self._fit, seed=self._seed, stage="tuning", loss=self._loss)
            self._tuned[config] = model.weights.detach()
        return circuit, self._tuned[config]

    def __repr__(self) -> str:
        train, valid, config = self._fit
        data = digest(train.x, train.y, valid.x, valid.y)
        loss = getattr(self._loss, "__name__", repr(self._loss))
        return f"Tuned({self._circuits!r}, {data}, {config}, seed={self._seed}, {loss})"


class Evaluator:
    """Gives the `Evaluation` of a gene, the same in every process: it works on one thread.

    Args:
        circuits: gives circuits and weights.
        objective: what they are for.
        device: what they are compiled for.
        estimator: scores them.
        seed: of compilation and random draws.
        level: Qiskit's optimization level.

    Raises:
        UsageError: if circuits of the design space do not compile for the device.
    """

    def __init__(
        self,
        circuits: Circuits,
        objective: Objective,
        device: Device,
        estimator: Estimator,
        *,
        seed: int = 0,
        level: int = 3,
    ) -> None:
        self.circuits = circuits
        self.objective = objective
        self.device = device
        self.estimator = estimator
        self.seed = seed
        self.level = level
        self._check_space()

    def __call__(self, gene: Gene) -> Evaluation:
        with threads_for(0):
            circuit, weights = self.circuits(gene.config)
            compiled = self._compile(circuit, weights, gene.layout)
            objective = self.objective
            with torch.no_grad():
                expvals = expval(circuit, objective.observables, weights, objective.inputs)
            candidate = Candidate(compiled, self.device, objective, expvals, self.seed)
            score, accuracy = self.estimator(candidate)
            loss, gates, depth = candidate.loss, compiled.two_qubit_gates, compiled.depth
            return Evaluation(score, loss, accuracy, compiled.esp, gates, depth)

    def compiled(self, gene: Gene) -> Compiled:
        """The compiled circuit of a gene."""
        circuit, weights = self.circuits(gene.config)
        return self._compile(circuit, weights, gene.layout)

    def about(self) -> dict[str, str | int]:
        """What decides the evaluations, JSON-able: those kept under another one do not serve."""
        calibration = self.device.calibration()
        return {
            "circuits": repr(self.circuits),
            "objective": repr(self.objective),
            "device": f"{self.device.name}, {digest(repr(calibration))}",
            "estimator": repr(self.estimator),
            "seed": self.seed,
            "level": self.level,
        }

    def _compile(
        self, circuit: Circuit, weights: Tensor, layout: tuple[int, ...] | None
    ) -> Compiled:
        bound = circuit.bind(weights=weights)
        return compile(bound, self.device, layout=layout, level=self.level, seed=self.seed)

    def _check_space(self) -> None:
        """A block of the space is compiled, so that a long search does not fail in the middle."""
        supercircuit = self.circuits.supercircuit
        circuit, _ = supercircuit.dense(supercircuit.largest(1))
        try:
            self._compile(circuit, torch.ones(circuit.num_weights), None)
        except UsageError as error:
            raise UsageError(
                f"circuits of the design space {supercircuit.space.name} do not run on "
                f"{self.device.name}: {error}"
            ) from error
