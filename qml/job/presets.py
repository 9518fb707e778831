"""Sizes of the main job by name: of the circuits, the training and the search."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_PRESET = "default"


@dataclass(frozen=True)
class Preset:
    """Every size of the main job.

    Attributes:
        blocks: blocks of the design space, None for as many as it has in the paper; the baseline
            uses all of them.
        super_epochs, epochs, prune_epochs: passes over the training samples for the SuperCircuit,
            for a circuit from scratch, and for pruning with fine-tuning.
        tuning_epochs: passes with which a sub-circuit of the search is trained further before it
            is scored; 0 scores the weights of the SuperCircuit as they are, as the paper does.
        batch_size: samples per step.
        learning_rate, prune_learning_rate: of Adam.
        prune_ratio: part of the rotation angles that pruning removes in the end.
        parents, mutations, crossovers: the population of the search is their sum.
        generations: of the search.
        mutation_probability: for every element of a gene.
        search_samples: validation samples that score a sub-circuit (all if there are fewer).
        shots: per test sample on the device.
        device_samples: test samples run on the device, None for all of them.
    """

    blocks: int | None
    super_epochs: int
    epochs: int
    prune_epochs: int
    tuning_epochs: int
    batch_size: int
    learning_rate: float
    prune_learning_rate: float
    prune_ratio: float
    parents: int
    mutations: int
    crossovers: int
    generations: int
    mutation_probability: float = 0.4
    search_samples: int = 500
    shots: int = 8192
    device_samples: int | None = None

    @property
    def population(self) -> int:
        """Genes in a generation of the search."""
        return self.parents + self.mutations + self.crossovers


PRESETS: dict[str, Preset] = {
    # Minutes on two cores.
    "default": Preset(
        blocks=None,
        super_epochs=200,
        epochs=100,
        prune_epochs=100,
        tuning_epochs=5,
        batch_size=32,
        learning_rate=5e-2,
        prune_learning_rate=2e-2,
        prune_ratio=0.5,
        parents=10,
        mutations=20,
        crossovers=10,
        generations=25,
    ),
    # Epochs, population, generations and untuned scores of QuantumNAS (arXiv:2107.10845); batch
    # and learning rate are those of "default", because its tasks have more samples (256 at 5e-3).
    "paper": Preset(
        blocks=None,
        super_epochs=200,
        epochs=200,
        prune_epochs=100,
        tuning_epochs=0,
        batch_size=32,
        learning_rate=5e-2,
        prune_learning_rate=2e-2,
        prune_ratio=0.3,
        parents=10,
        mutations=20,
        crossovers=10,
        generations=40,
    ),
    # Seconds: shows that everything works together, not how well.
    "tiny": Preset(
        blocks=2,
        super_epochs=2,
        epochs=2,
        prune_epochs=2,
        tuning_epochs=1,
        batch_size=128,
        learning_rate=2e-2,
        prune_learning_rate=1e-2,
        prune_ratio=0.2,
        parents=2,
        mutations=2,
        crossovers=2,
        generations=4,
        search_samples=32,
        shots=128,
        device_samples=8,
    ),
}


def load_preset(name: str) -> Preset:
    """The preset of that name. Raises UsageError for an unknown one."""
    if name not in PRESETS:
        from qsim.errors import UsageError  # qsim takes PyTorch along, which --help does without

        raise UsageError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
