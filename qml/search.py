"""Evolutionary co-search of sub-circuit and qubit mapping (QuantumNAS, arXiv:2107.10845).

A gene is a qubit mapping and a sub-circuit of the SuperCircuit (`qml.genes`). A generation is the
parents, mutations of them and uniform crossovers between them; the best become the next parents.
Each generation draws from a random stream of its own, so a search that goes on after any finished
generation finds what it would have found without a break.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from compile import Device, compile
from qml.genes import Gene, GeneSpace
from qml.model import Classifier
from qml.presets import Preset
from qml.supercircuit import SubConfig, SuperCircuit
from qml.tasks import Split
from qml.training import TrainConfig, epoch_generator, fit
from qsim import expval

# Error of a measured <Z> that does not shrink with the signal: 0.011 of 8,192 shots, and 0.018 that
# was found as the spread of biases over sub-circuits and qubits under the noise of FakeQuitoV2.
READING_ERROR = 0.02
_DRAWS = 8
_MIN_ESP = 1e-3
_ATTEMPTS = 20


@dataclass(frozen=True)
class Evaluation:
    """What a gene is worth. ``score`` decides, lower is better.

    ``loss`` is the noise-free validation loss, ``esp`` the estimated success probability of the
    compiled circuit.
    """

    score: float
    loss: float
    esp: float


class EvolutionarySearch:
    """The search itself, one `step` per generation.

    Args:
        space: the genes.
        evaluate: gives the worth of a gene; called once per distinct gene.
        sizes: how many parents, mutations and crossovers, and the probability of mutation.
        seed: generation ``g`` draws from the stream of (seed, "search", g).
        first: genes that the first generation contains beside random ones.
        state: continue from `state` of an earlier search.
    """

    def __init__(
        self,
        space: GeneSpace,
        evaluate: Callable[[Gene], Evaluation],
        sizes: Preset,
        seed: int,
        *,
        first: Sequence[Gene] = (),
        state: dict[str, Any] | None = None,
    ) -> None:
        self.space = space
        self.sizes = sizes
        self.seed = seed
        self.history: list[dict[str, float]] = []
        self._evaluate = evaluate
        self._first = list(first)
        self._ranked: list[Gene] = []
        self._known: dict[Gene, Evaluation] = {}
        if state is not None:
            self._load(state)

    @property
    def generation(self) -> int:
        """Number of finished generations."""
        return len(self.history)

    @property
    def best(self) -> tuple[Gene, Evaluation]:
        """The best gene so far and its evaluation."""
        gene = self._ranked[0]
        return gene, self._evaluation(gene)

    def step(self) -> dict[str, float]:
        """Run one generation; returns its line of the history."""
        population = self._population(epoch_generator(self.seed, "search", self.generation))
        # sorted() is stable: among equals the older gene stays ahead.
        self._ranked = sorted(population, key=lambda gene: self._evaluation(gene).score)
        scores = [self._evaluation(gene).score for gene in self._ranked]
        best = self._evaluation(self._ranked[0])
        self.history.append(
            {
                "generation": self.generation + 1,
                "best": best.score,
                "mean": float(np.mean(scores)),
                "loss": best.loss,
                "esp": best.esp,
                "evaluations": len(self._known),
            }
        )
        return self.history[-1]

    def state(self) -> dict[str, Any]:
        """Everything a continued search needs, JSON-able."""
        return {
            "ranked": [gene.to_json() for gene in self._ranked],
            "known": [[gene.to_json(), asdict(value)] for gene, value in self._known.items()],
            "history": self.history,
        }

    def _load(self, state: dict[str, Any]) -> None:
        self._ranked = [Gene.from_json(gene) for gene in state["ranked"]]
        self.history = list(state["history"])
        for gene_json, value in state["known"]:
            self._known[Gene.from_json(gene_json)] = Evaluation(**value)

    def _evaluation(self, gene: Gene) -> Evaluation:
        key = self.space.key(gene)
        if key not in self._known:
            self._known[key] = self._evaluate(key)
        return self._known[key]

    def _population(self, rng: np.random.Generator) -> list[Gene]:
        if not self._ranked:
            population = self._first[: self.sizes.population]
            missing = self.sizes.population - len(population)
            return self._extend(population, missing, lambda: self.space.random(rng))
        parents = self._ranked[: self.sizes.parents]

        def mutation() -> Gene:
            parent = parents[rng.integers(len(parents))]
            return self.space.mutate(parent, self.sizes.mutation_probability, rng)

        def crossover() -> Gene:
            first, second = rng.integers(len(parents), size=2)
            return self.space.cross(parents[first], parents[second], rng)

        population = self._extend(list(parents), self.sizes.mutations, mutation)
        return self._extend(population, self.sizes.crossovers, crossover)

    def _extend(self, population: list[Gene], count: int, draw: Callable[[], Gene]) -> list[Gene]:
        """Add genes that the population does not hold yet, or after some attempts others."""
        held = {self.space.key(gene) for gene in population}
        for _ in range(count):
            for _ in range(_ATTEMPTS):
                gene = draw()
                if self.space.key(gene) not in held:
                    break
            held.add(self.space.key(gene))
            population.append(gene)
        return population


class SubCircuitScore:
    """What a gene is worth: the loss of its sub-circuit behind the noise of its mapping.

    To first order a device shrinks every <Z> by the estimated success probability p of the compiled
    circuit, which leaves the most likely class as it is, and adds errors that do not shrink with it:
    shot noise and biases of the qubits, together about `READING_ERROR`. The score is the validation
    loss of readings with the shrinking undone, the mean over fixed draws e of a normal distribution:

        score = loss(<Z> + READING_ERROR / p * e)

    It ranks sub-circuits by their accuracy on a noisy device better than loss / p, the paper's score,
    which weighs noise more than it matters (rank correlation over circuits for FakeQuitoV2 in
    CONTRIBUTING.md).

    <Z> comes from the weights of the SuperCircuit, trained further for a few epochs: untuned ones
    favour the large sub-circuits, which they were trained in most.

    Args:
        supercircuit: what the genes choose from.
        model: a classifier with the trained shared weights.
        train: samples for further training.
        valid: samples that are scored.
        device: what to compile for.
        tuning: settings of the further training; no epochs take the weights as they are.
        seed: of compilation, training and draws.
    """

    def __init__(
        self,
        supercircuit: SuperCircuit,
        model: Classifier,
        train: Split,
        valid: Split,
        device: Device,
        tuning: TrainConfig,
        seed: int,
    ) -> None:
        self.supercircuit = supercircuit
        self.model = model
        self.train = train
        self.valid = valid
        self.device = device
        self.tuning = tuning
        self.seed = seed
        generator = torch.Generator().manual_seed(seed)
        shape = (_DRAWS, len(valid), supercircuit.num_qubits)
        self._errors = READING_ERROR * torch.randn(shape, generator=generator)
        self._tuned: dict[SubConfig, Classifier] = {}

    def __call__(self, gene: Gene) -> Evaluation:
        model = self.tuned(gene.config)
        circuit = model.circuit.bind(weights=model.weights)
        compiled = compile(circuit, self.device, layout=gene.layout, seed=self.seed)
        with torch.no_grad():
            expvals = expval(model.circuit, weights=model.weights, inputs=self.valid.x)
        readings = expvals + self._errors / max(compiled.esp, _MIN_ESP)
        return Evaluation(self._loss(readings), self._loss(expvals[None]), compiled.esp)

    def tuned(self, config: SubConfig) -> Classifier:
        """The sub-circuit with inherited weights, trained further."""
        config = self.supercircuit.canonical(config)
        if config not in self._tuned:
            circuit, index = self.supercircuit.dense(config)
            weights = self.model.weights.detach()[index]
            model = Classifier(circuit, self.model.num_classes, weights=weights)
            fit(model, self.train, self.valid, self.tuning, seed=self.seed, stage="search/tuning")
            self._tuned[config] = model
        return self._tuned[config]

    def _loss(self, expvals: Tensor) -> float:
        """Mean cross-entropy of <Z> [draws, samples, qubits]."""
        logits = self.model.logits(expvals).flatten(0, 1)
        return cross_entropy(logits, self.valid.y.repeat(len(expvals))).item()
