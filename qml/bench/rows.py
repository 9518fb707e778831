"""The rows of the study: how each method comes to a model for a task on a device.

`ROWS` are those of the table, `ABLATIONS` take the methods apart. A method with a plus starts from
the circuit and the qubits that QuantumNAS has found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import nn

from qml.bench.cells import Cell, Trained
from qml.bench.choices import final, nearest_size, noise_free
from qml.nas.evaluations import Evaluations
from qml.nas.genes import Gene, GeneSpace
from qml.nas.search import human_designs, random_search
from qml.nn.model import Classifier, Votes
from qml.noise_aware.injection import NoiseInjection
from qml.noise_aware.normalization import Normalization
from qml.noise_aware.quantization import Quantization, quantization_loss
from qml.noise_aware.shots import ShotNoise
from qml.pools import OneProcess
from qml.pruning import GradualRounding, Objective, PruneConfig, SuccessGain, magnitude, prune
from qml.pruning.criteria import Criterion
from qml.pruning.schedule import Kind
from qml.quantization import pulse_grid
from qml.training.loop import epoch_generator, evaluate
from qsim import Circuit

NORMALIZED_SCALE = 2.0
"""Of votes on normalized values, whose deviation is 1 where that of <Z> is a few tenths."""
_DRAWS = 50


def human(cell: Cell) -> Trained:
    """All gates of the first blocks, about as many angles as the searched circuit has."""
    return cell.trained(_nearest_size(cell, human_designs(cell.supercircuit)))


def random(cell: Cell) -> Trained:
    """A random circuit of about that size."""
    rng = epoch_generator(cell.seed, "random", 0)
    genes = [Gene(None, cell.supercircuit.sample(rng)) for _ in range(_DRAWS)]
    return cell.trained(_nearest_size(cell, genes))


def noise_unaware(cell: Cell) -> Trained:
    """The circuit of the smallest loss without noise, where Qiskit places it."""
    unmapped = GeneSpace(cell.supercircuit, cell.device, mapping=False)
    return cell.trained(cell.search(unmapped, noise_free))


def quantumnas(cell: Cell) -> Trained:
    """Circuit and qubits of the smallest loss under noise."""
    return cell.searched


def pruned(cell: Cell) -> Trained:
    """Gates that the device gains most without, or small angles, taken out; the rest fine-tuned.

    A searched circuit may be too small to lose whole gates: the smaller loss under noise decides.
    """
    found = [_pruned(cell, "gate", _criterion(cell, cell.searched.model))] if cell.exact else []
    found.append(_pruned(cell, "angle", magnitude))
    return min(found, key=lambda trained: _loss_under_noise(cell, trained))


def _pruned(cell: Cell, unit: Kind, criterion: Criterion) -> Trained:
    model, task, sizes = deepcopy(cell.searched.model), cell.task, cell.sizes
    smaller, _ = prune(
        model, task.train, task.valid, cell.config(sizes.tuning_epochs),
        PruneConfig(sizes.prune_target, unit=unit), seed=cell.seed, criterion=criterion,
    )  # fmt: skip
    return Trained(smaller, cell.gene.layout)


def _loss_under_noise(cell: Cell, trained: Trained) -> float:
    return evaluate(cell.under_noise(trained.model, trained.layout), cell.task.valid).loss


def quantized(cell: Cell) -> Trained:
    """Entangling gates moved onto angles that take fewer pulses, the rest fine-tuned."""
    model, sizes = deepcopy(cell.searched.model), cell.sizes
    rounding = GradualRounding(
        model.circuit,
        pulse_grid(model.circuit),
        PruneConfig(sizes.quantize_target, unit="entangler"),
        sizes.tuning_epochs,
        _criterion(cell, model),
    )
    cell.fit(model, sizes.tuning_epochs, pruner=rounding)
    return Trained(model, cell.gene.layout)


def normalization(cell: Cell) -> Trained:
    """Normalized readings."""
    return _quantumnat(cell, inject=False, quantize=False)


def injection(cell: Cell) -> Trained:
    """Injected errors alone."""
    return _quantumnat(cell, normalize=False, quantize=False)


def reading_quantization(cell: Cell) -> Trained:
    """Normalized readings on a few levels, which quantization needs."""
    return _quantumnat(cell, inject=False)


def quantumnat(cell: Cell) -> Trained:
    """All parts of QuantumNAT."""
    return _quantumnat(cell)


def exact(cell: Cell) -> Trained:
    """Trained through the exact noise of the device, read by a linear layer.

    The circuit is that of the smallest validation loss under noise: of the searched one, and of
    plain ones where training is quick.
    """
    genes = [cell.gene]
    if cell.exact:
        plain = (cell.supercircuit.largest(blocks) for blocks in cell.sizes.exact_blocks)
        genes += [Gene(None, config) for config in plain]
    candidates = [_through_noise(cell, gene) for gene in genes]
    return min(candidates, key=lambda pair: pair[1])[0]


def _through_noise(cell: Cell, gene: Gene) -> tuple[Trained, float]:
    """The circuit of a gene trained so, and its validation loss under noise."""
    n, classes = cell.task.num_qubits, cell.task.num_classes
    reading = (ShotNoise(cell.sizes.shots), Normalization(n), _linear(cell, n, classes))
    circuit, _ = cell.supercircuit.dense(gene.config)
    model = cell.fresh(circuit, "scratch", nn.Sequential(*reading))
    noisy_model = cell.under_noise(model, gene.layout)
    cell.fit(noisy_model, cell.sizes.epochs)
    trained = Trained(model, gene.layout)
    return trained, _loss_under_noise(cell, trained)


def linear(cell: Cell) -> Trained:
    """The same read-out, trained without noise."""
    n, classes = cell.task.num_qubits, cell.task.num_classes
    readout = nn.Sequential(Normalization(n), _linear(cell, n, classes))
    model = cell.fresh(_circuit(cell), "scratch", readout)
    cell.fit(model, cell.sizes.epochs)
    return Trained(model, cell.gene.layout)


def random_genes(cell: Cell) -> Trained:
    """The best of as many random genes as the search has evaluated at most."""
    config = cell.sizes.search
    count = config.population + (config.generations - 1) * (config.mutations + config.crossovers)
    evaluations = Evaluations(cell.space, OneProcess(cell.evaluator(cell.estimator)))
    found = random_search(cell.space, evaluations, count, cell.seed)
    tuned = cell.evaluator(cell.estimator, tuned=True)
    return cell.trained(final(cell.space, tuned, found, cell.sizes.finalists))


def circuit_only(cell: Cell) -> Trained:
    """The circuit searched under noise, on qubits that Qiskit chooses."""
    unmapped = GeneSpace(cell.supercircuit, cell.device, mapping=False)
    return cell.trained(cell.search(unmapped, cell.estimator))


Row = Callable[[Cell], Trained]

ROWS: dict[str, Row] = {
    "human": human,
    "random": random,
    "noise-unaware search": noise_unaware,
    "QuantumNAS": quantumnas,
    "+ pruning": pruned,
    "+ quantization": quantized,
    "+ QuantumNAT": quantumnat,
    "exact noise": exact,
}
ABLATIONS: dict[str, Row] = {
    "random search": random_genes,
    "circuit-only search": circuit_only,
    "+ normalization": normalization,
    "+ injection": injection,
    "+ normalization, levels": reading_quantization,
    "+ linear read-out": linear,
}


def _circuit(cell: Cell) -> Circuit:
    circuit, _ = cell.supercircuit.dense(cell.gene.config)
    return circuit


def _nearest_size(cell: Cell, genes: Sequence[Gene]) -> Gene:
    """The gene whose circuit has about as many angles as the searched one."""
    return nearest_size(cell.supercircuit, genes, _circuit(cell).num_weights)


def _criterion(cell: Cell, model: Classifier) -> Criterion:
    """By the success that the device gains; compiling for it takes too long for large circuits."""
    if not cell.exact:
        return magnitude
    objective = Objective(model, cell.task.valid)
    return SuccessGain(objective, cell.device, layout=cell.gene.layout, seed=cell.seed)


def _quantumnat(
    cell: Cell, *, normalize: bool = True, inject: bool = True, quantize: bool = True
) -> Trained:
    n, classes = cell.task.num_qubits, cell.task.num_classes
    parts: list[nn.Module] = []
    if normalize:
        parts.append(Normalization(n))
    if quantize:
        parts.append(Quantization(cell.sizes.levels))
    votes = Votes(n, classes, NORMALIZED_SCALE) if normalize else Votes(n, classes)
    model = cell.fresh(_circuit(cell), "scratch", nn.Sequential(*parts, votes))
    run: nn.Module = model
    if inject:
        factor = cell.sizes.injection
        run = cell.under_noise(
            model, cell.gene.layout, runner=lambda circuit: NoiseInjection(circuit, factor)
        )
    options = {"loss": quantization_loss(run)} if quantize else {}
    cell.fit(run, cell.sizes.epochs, **options)
    return Trained(model, cell.gene.layout)


def _linear(cell: Cell, inputs: int, outputs: int) -> nn.Linear:
    with torch.random.fork_rng([]):
        torch.manual_seed(cell.seed)
        return nn.Linear(inputs, outputs)
