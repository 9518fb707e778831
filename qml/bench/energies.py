"""One cell of the study whose task is a ground state: a molecule on a device, with one seed.

Rows are those of classification as far as they make sense for an energy, with unitary coupled
cluster and a hardware-efficient ansatz as what people design. Every circuit starts from the
Hartree-Fock state, in the parity mapping.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from compile import Device, compile, noisy
from qml.algorithms.minimize import small_weights
from qml.algorithms.vqe import vqe
from qml.bench.cells import Sizes
from qml.bench.choices import nearest_size, noise_free, searched
from qml.chemistry.ansatz import hartree_fock, uccsd
from qml.chemistry.molecules import load_molecule
from qml.data.tasks import Split
from qml.nas.estimators import Estimator, ExactNoise
from qml.nas.evaluation import Circuits, Evaluator, Inherited
from qml.nas.genes import Gene, GeneSpace
from qml.nas.objectives import Energy
from qml.nas.spaces import DesignSpace
from qml.nas.supercircuit import SubConfig, SuperCircuit
from qml.nn.ansatz import add_template
from qml.nn.layers import Layer
from qml.nn.model import QuantumLayer
from qml.pruning import PruneConfig, prune
from qml.training.loop import TrainConfig, epoch_generator, fit
from qsim import Circuit, expval

MOLECULE_TASKS = {"vqe-h2": "H2", "vqe-lih": "LiH"}
"""Molecules of the study by the names of their tasks."""
MAPPING = "parity"
_TURNS = (Layer("ry"), Layer("rz"))
SPACE = DesignSpace("ry_rz_cx", 4, (Layer("cx", "linear"), *_TURNS), first=_TURNS)
"""What circuits are searched in: a CU3 of the paper's space takes two CX, which under noise cost
more energy than the correlation of such molecules is worth."""
_MILLI = 1e3
_DRAWS = 20


@dataclass(frozen=True)
class Solved:
    """A circuit with weights, and its qubits on the device; None where Qiskit chooses them."""

    circuit: Circuit
    weights: Tensor
    layout: tuple[int, ...] | None = None


class EnergyCell:
    """A molecule on a device, with one seed; arguments and errors as for `qml.bench.cells.Cell`."""

    def __init__(self, task: str, device: str, seed: int, sizes: Sizes) -> None:
        self.molecule = load_molecule(MOLECULE_TASKS[task])
        self.hamiltonian = self.molecule.hamiltonian(MAPPING)
        self.start = hartree_fock(self.molecule.on_qubits(MAPPING))
        self.device = Device.from_name(device)
        self.seed = seed
        self.sizes = sizes
        self.supercircuit = SuperCircuit(SPACE, self.start.num_qubits, self.start)
        self.space = GeneSpace(self.supercircuit, self.device)

    @cached_property
    def shared_weights(self) -> Tensor:
        """Weights of the trained SuperCircuit."""
        circuit = self.supercircuit.full()
        first = small_weights(circuit, self.seed).float()
        model = QuantumLayer(circuit, [self.hamiltonian], weights=first)
        self._fit(model, self.sizes.energy_steps, sampler=self.supercircuit.sampler())
        return model.weights.detach()

    @cached_property
    def gene(self) -> Gene:
        """What QuantumNAS finds: circuit and qubits."""
        return self.search(ExactNoise(), self.space)

    @cached_property
    def searched(self) -> Solved:
        """Its circuit, trained without noise."""
        return self.solved(self._circuit(self.gene), self.gene.layout)

    def search(self, estimator: Estimator, space: GeneSpace) -> Gene:
        """The best circuit of an evolutionary search, by the energy after training of the best."""
        inherited = self._evaluator(Inherited(self.supercircuit, self.shared_weights), estimator)
        solved = self._evaluator(_Solving(self), estimator)
        sizes = self.sizes
        return searched(space, inherited, solved, sizes.search, self.seed, sizes.energy_finalists)

    def _evaluator(self, circuits: Circuits, estimator: Estimator) -> Evaluator:
        objective = Energy(self.hamiltonian)
        return Evaluator(circuits, objective, self.device, estimator, seed=self.seed)

    def solved(self, circuit: Circuit, layout: tuple[int, ...] | None = None) -> Solved:
        """The circuit with the weights of the lowest energy without noise."""
        found = vqe(circuit, self.hamiltonian, seed=self.seed)
        return Solved(circuit, found.weights, layout)

    def through_noise(self, solved: Solved) -> Solved:
        """The same circuit, trained further through the exact noise of the device."""
        compiled = compile(solved.circuit, self.device, layout=solved.layout, seed=self.seed)
        runner = noisy(compiled, self.device)
        found = vqe(solved.circuit, self.hamiltonian, weights=solved.weights, runner=runner)
        return replace(solved, weights=found.weights)

    def pruned(self, solved: Solved) -> Solved:
        """The same circuit without its small angles."""
        weights = solved.weights.float()
        model = QuantumLayer(solved.circuit, [self.hamiltonian], weights=weights)
        smaller, _ = prune(
            model, _NOTHING, _NOTHING, self._config(self.sizes.tuning_epochs),
            PruneConfig(self.sizes.prune_target), seed=self.seed, loss=_mean,
        )  # fmt: skip
        found = vqe(smaller.circuit, self.hamiltonian, weights=smaller.weights.detach().double())
        return Solved(smaller.circuit, found.weights, solved.layout)

    def random_circuit(self) -> Circuit:
        """A random circuit with about as many weights as the searched one."""
        rng = epoch_generator(self.seed, "random", 0)
        genes = [Gene(None, self.supercircuit.sample(rng)) for _ in range(_DRAWS)]
        wanted = self.searched.circuit.num_weights
        return self._circuit(nearest_size(self.supercircuit, genes, wanted))

    def _circuit(self, gene: Gene) -> Circuit:
        return self.supercircuit.dense(gene.config)[0]

    def _fit(self, model: QuantumLayer, epochs: int, **options: Any) -> None:
        fit(
            model, _NOTHING, _NOTHING, self._config(epochs),
            seed=self.seed, stage="supercircuit", loss=_mean, **options,
        )  # fmt: skip

    def _config(self, epochs: int) -> TrainConfig:
        return TrainConfig(epochs, self.sizes.lr, 1, weight_decay=0.0)


_NOTHING = Split(torch.zeros(1, 0), torch.zeros(1))
"""`fit` takes samples, of which an energy has none: one without features stands for it."""


def _mean(outputs: Tensor, _: Tensor) -> Tensor:
    return outputs.mean()


class _Solving:
    """Circuits with the weights of their lowest energy, as an `Evaluator` takes them."""

    def __init__(self, cell: EnergyCell) -> None:
        self.supercircuit = cell.supercircuit
        self._cell = cell

    def __call__(self, config: SubConfig) -> tuple[Circuit, Tensor]:
        solved = self._cell.solved(self.supercircuit.dense(config)[0])
        return solved.circuit, solved.weights


def _unaware(cell: EnergyCell) -> Solved:
    unmapped = GeneSpace(cell.supercircuit, cell.device, mapping=False)
    return cell.solved(cell._circuit(cell.search(noise_free, unmapped)))


def _hardware_efficient(cell: EnergyCell) -> Solved:
    return cell.solved(add_template(cell.start.copy(), "efficient_su2", reps=1))


ENERGY_ROWS: dict[str, Callable[[EnergyCell], Solved]] = {
    "Hartree-Fock": lambda cell: Solved(cell.start, torch.zeros(0)),
    "UCCSD": lambda cell: cell.solved(uccsd(cell.molecule.on_qubits(MAPPING))),
    "hardware-efficient": _hardware_efficient,
    "random": lambda cell: cell.solved(cell.random_circuit()),
    "noise-unaware search": _unaware,
    "QuantumNAS": lambda cell: cell.searched,
    "+ pruning": lambda cell: cell.pruned(cell.searched),
    "exact noise": lambda cell: cell.through_noise(cell.searched),
}
"""The rows of an energy."""


def measure_energy(cell: EnergyCell, solved: Solved) -> dict[str, Any]:
    """Facts as of `qml.bench.measure.measure`; energies in mHa above the exact one."""
    circuit = solved.circuit.bind(weights=solved.weights) if solved.weights.numel() else cell.start
    compiled = compile(circuit, cell.device, layout=solved.layout, seed=cell.seed)
    generator = torch.Generator().manual_seed(cell.seed)
    read = noisy(compiled, cell.device).expval(
        [cell.hamiltonian], shots=cell.sizes.shots, generator=generator
    )
    exact = cell.molecule.exact_energy
    free = expval(circuit, [cell.hamiltonian], dtype=torch.complex128)
    return {
        "noise_free": _MILLI * (free.item() - exact),
        "noisy": _MILLI * (read.item() - exact),
        "parameters": solved.circuit.num_weights,
        **compiled.costs,
    }
