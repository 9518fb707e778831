"""One cell of the study of QuantumNAS: a task on a device, with one seed.

What several rows of the table need (the SuperCircuit, the searched gene, its trained circuit) is
made once, when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torch import Tensor, nn

from compile import Device
from qml.bench.choices import searched
from qml.data.tasks import load_task
from qml.nas.estimators import EXACT_QUBITS, Estimator, default_estimator
from qml.nas.evaluation import Circuits, Evaluator, Inherited, Tuned
from qml.nas.genes import Gene, GeneSpace
from qml.nas.objectives import Classification
from qml.nas.search import SearchConfig
from qml.nas.spaces import find_space
from qml.nas.supercircuit import SuperCircuit
from qml.nn.model import Classifier
from qml.noise_aware.devices import on_device
from qml.training.loop import TrainConfig, fit
from qml.training.start import near_identity
from qsim import Circuit


@dataclass(frozen=True)
class Sizes:
    """Every size of the study.

    Attributes:
        space: design space of `qml.nas.spaces.SPACES`.
        blocks: of it, for tasks of up to `EXACT_QUBITS` qubits and for larger ones.
        energy_steps: of training the SuperCircuit of a molecule.
        super_epochs, epochs, tuning_epochs: of the SuperCircuit, of a circuit from scratch, and of
            what changes a trained circuit.
        lr: peak learning rate.
        batch_size: samples a step.
        search: population and generations.
        search_samples: validation samples that score a sub-circuit.
        finalists, energy_finalists: circuits of a search that are trained further before the best
            is taken; those of a molecule are trained in hundredths of a second.
        prune_target: fraction of the gates, or of the angles, that pruning takes.
        quantize_target: fraction of the entangling gates that are moved onto the pulse grid.
        injection: factor of QuantumNAT's injected errors.
        levels: of QuantumNAT's quantization.
        shots: for each test sample.
        test_samples: at most so many, where noise is exact and where every shot is a trajectory.
        trajectories: for each sample in training, where noise is not exact.
        exact_blocks: plain circuits of so many blocks compete with the searched one for the
            training through exact noise, which finds its way through more gates than the search.
    """

    space: str = "u3cu3"
    blocks: tuple[int, int] = (8, 4)
    energy_steps: int = 2000
    super_epochs: int = 100
    epochs: int = 50
    tuning_epochs: int = 30
    lr: float = 0.05
    batch_size: int = 32
    search: SearchConfig = field(default_factory=lambda: SearchConfig(generations=15))
    search_samples: int = 500
    finalists: int = 10
    energy_finalists: int = 60
    prune_target: float = 0.3
    quantize_target: float = 0.5
    injection: float = 0.05
    levels: int = 6
    shots: int = 8192
    test_samples: tuple[int, int] = (1000, 200)
    trajectories: int = 2
    exact_blocks: tuple[int, ...] = (2, 4)


@dataclass(frozen=True)
class Trained:
    """A model, and its qubits on the device; None where Qiskit chooses them."""

    model: Classifier
    layout: tuple[int, ...] | None


class Cell:
    """A task on a device, with one seed.

    Args:
        task: name of the task.
        device: name of the device.
        seed: of every random draw.
        sizes: of circuits, training and search.

    Raises:
        UsageError: for unknown names, or a device that is too small for the task.
    """

    def __init__(self, task: str, device: str, seed: int, sizes: Sizes) -> None:
        self.task = load_task(task, seed)
        self.device = Device.from_name(device)
        self.seed = seed
        self.sizes = sizes
        self.exact = self.task.num_qubits <= EXACT_QUBITS
        space = replace(find_space(sizes.space), blocks=sizes.blocks[not self.exact])
        self.supercircuit = SuperCircuit(space, self.task.num_qubits, self.task.encoder)
        self.space = GeneSpace(self.supercircuit, self.device)

    @cached_property
    def shared_weights(self) -> Tensor:
        """Weights of the trained SuperCircuit."""
        model = self.fresh(self.supercircuit.full(), "supercircuit")
        self.fit(model, self.sizes.super_epochs, sampler=self.supercircuit.sampler())
        return model.weights.detach()

    @cached_property
    def gene(self) -> Gene:
        """What QuantumNAS finds: circuit and qubits."""
        return self.search(self.space, self.estimator)

    @cached_property
    def searched(self) -> Trained:
        """Its circuit, trained from scratch without noise."""
        return self.trained(self.gene)

    @property
    def estimator(self) -> Estimator:
        """Scores candidates under the device's noise."""
        return default_estimator(self.task.num_qubits)

    def evaluator(self, estimator: Estimator, *, tuned: bool = False) -> Evaluator:
        """Scores genes on validation samples, with inherited weights or such trained further."""
        model = self.fresh(self.supercircuit.full(), "votes")
        inherited = Inherited(self.supercircuit, self.shared_weights)
        circuits: Circuits = inherited
        if tuned:
            config = self.config(self.sizes.tuning_epochs)
            train = self.task.train
            circuits = Tuned(inherited, model, train, self.task.valid, config, self.seed)
        objective = Classification(model, self.task.valid.first(self.sizes.search_samples))
        return Evaluator(circuits, objective, self.device, estimator, seed=self.seed)

    def search(self, space: GeneSpace, estimator: Estimator) -> Gene:
        """The best gene of an evolutionary search."""
        inherited, trained = self.evaluator(estimator), self.evaluator(estimator, tuned=True)
        sizes = self.sizes
        return searched(space, inherited, trained, sizes.search, self.seed, sizes.finalists)

    def fresh(self, circuit: Circuit, stage: str, readout: nn.Module | None = None) -> Classifier:
        """A classifier whose gates are close to the identity."""
        weights = near_identity(circuit, self.seed, stage)
        return Classifier(circuit, self.task.num_classes, weights=weights, readout=readout)

    def trained(self, gene: Gene) -> Trained:
        """The circuit of a gene, trained from scratch without noise."""
        circuit, _ = self.supercircuit.dense(gene.config)
        model = self.fresh(circuit, "scratch")
        self.fit(model, self.sizes.epochs)
        return Trained(model, gene.layout)

    def fit(self, model: nn.Module, epochs: int, **options: Any) -> None:
        """Train on the task, in place."""
        task = self.task
        fit(model, task.train, task.valid, self.config(epochs), seed=self.seed, **options)

    def config(self, epochs: int) -> TrainConfig:
        """Settings of training for so many epochs."""
        return TrainConfig(epochs, self.sizes.lr, self.sizes.batch_size)

    def under_noise(
        self, model: Classifier, layout: tuple[int, ...] | None, **options: Any
    ) -> nn.Module:
        """The model on these qubits of the device, sharing its parameters, for training."""
        if not self.exact:
            options |= {"method": "trajectories", "trajectories": self.sizes.trajectories}
        return on_device(model, self.device, layout=layout, seed=self.seed, **options)
