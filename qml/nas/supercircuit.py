"""SuperCircuit: one set of weights shared by every circuit of a design space.

QuantumNAS (Wang et al., arXiv:2107.10845): a sub-circuit keeps the first b blocks and of every
layer the first k gates ("front sampling"), so gates that come first are trained in most
sub-circuits; or any gates of a layer, where the space says so. While the SuperCircuit is trained,
consecutive sub-circuits differ in few choices ("restricted sampling"), which steadies the weights,
and may start from the full circuit ("progressive shrinking").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from qml.nas.spaces import DesignSpace
from qml.nn.layers import times
from qsim import Circuit, Gate, Symbol, Weight
from qsim.errors import UsageError
from qsim.gates import find_gate

MAX_CHANGES = 7
MAX_ANY = 62
"""Gates of a layer of which any may be kept: one bit each of a 64-bit integer."""
Choices: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class SubConfig:
    """The choices that single out a sub-circuit.

    Attributes:
        layers: what is kept of every layer of the full circuit, of blocks in use or not: in a space
            that keeps "front" gates their number, in one that keeps "any" the sum of 2**k over the
            gates k.
        blocks: blocks kept.
    """

    layers: tuple[int, ...]
    blocks: int

    @property
    def choices(self) -> Choices:
        """All choices as one tuple, number of blocks last: a gene, and what is saved."""
        return (*self.layers, self.blocks)

    @classmethod
    def from_choices(cls, choices: Sequence[int]) -> SubConfig:
        return cls(tuple(int(choice) for choice in choices[:-1]), int(choices[-1]))


@dataclass(frozen=True)
class Shrinking:
    """Progressive shrinking: training starts with the full circuit and ends with all of them.

    In stage s of S a sub-circuit keeps at least the fraction 1 - s / (S - 1) of the blocks and of
    the gates of every layer (Once-for-all, Cai et al., arXiv:1908.09791; 40 stages in QuantumNAS).

    Attributes:
        steps: of training, after which all sub-circuits are drawn.
        stages: in which the least size falls.
    """

    steps: int
    stages: int = 40

    def __post_init__(self) -> None:
        times(self.steps, "steps of shrinking", 1)
        times(self.stages, "stages of shrinking", 2)

    def least(self, step: int) -> float:
        """The least fraction that is kept in that step, counted from 0."""
        stage = min(step * self.stages // self.steps, self.stages - 1)
        return 1 - stage / (self.stages - 1)


@dataclass(frozen=True)
class _Slot:
    """A gate of the full circuit; `layer` counts over `first` and all blocks, `rank` within it."""

    gate: Gate
    qubits: tuple[int, ...]
    params: tuple[Symbol, ...]
    layer: int
    rank: int


class SuperCircuit:
    """All sub-circuits of a design space on some qubits, behind an encoder if there is one.

    Args:
        space: the design space.
        num_qubits: number of qubits.
        encoder: a circuit of inputs and no weights that comes first.

    Attributes:
        sizes: gates of every layer of the full circuit.
        num_weights: number of shared weights.
    """

    def __init__(self, space: DesignSpace, num_qubits: int, encoder: Circuit | None = None) -> None:
        """Raises UsageError for an encoder with weights or on another number of qubits, a layer
        without gates, or one of more than `MAX_ANY` gates in a space that keeps "any"."""
        self.space = space
        self.num_qubits = num_qubits
        self.encoder = Circuit(num_qubits) if encoder is None else encoder
        if self.encoder.num_qubits != num_qubits:
            raise UsageError(
                f"a SuperCircuit on {num_qubits} qubits takes an encoder on as many, "
                f"not on {self.encoder.num_qubits}"
            )
        if self.encoder.num_weights:
            raise UsageError(
                f"the weights of a SuperCircuit are those of its space, but the encoder has "
                f"{self.encoder.num_weights}: encode by inputs and constants only"
            )
        self._slots = tuple(_slots(space, num_qubits))
        layers = (*space.first, *space.layers * space.blocks)
        self.sizes = tuple(len(layer.sites(num_qubits)) for layer in layers)
        self.num_weights = sum(len(slot.params) for slot in self._slots)
        if not all(self.sizes):
            empty = layers[self.sizes.index(0)]
            raise UsageError(
                f"on {num_qubits} qubits {empty} of the design space {space.name} has no gates: "
                "leave it out or take more qubits"
            )
        if space.keep == "any" and max(self.sizes) > MAX_ANY:
            raise UsageError(
                f"any gates of a layer can be kept up to {MAX_ANY} in it, but {space.name} on "
                f"{num_qubits} qubits has {max(self.sizes)}: let it keep 'front' gates"
            )

    def largest(self, blocks: int | None = None) -> SubConfig:
        """Every gate of the first `blocks` blocks (default: of all)."""
        full = self.sizes if self.space.keep == "front" else [2**size - 1 for size in self.sizes]
        return SubConfig(tuple(full), self.space.blocks if blocks is None else blocks)

    def full(self) -> Circuit:
        """The circuit with every gate."""
        return self.subcircuit(self.largest())

    def subcircuit(self, config: SubConfig) -> Circuit:
        """The circuit of a configuration over the shared weights [num_weights].

        Raises:
            UsageError: if the configuration does not belong to this space.
        """
        circuit = self._encoded(self.num_weights)
        for slot in self._kept(config):
            circuit.append(slot.gate, slot.qubits, slot.params)
        return circuit

    def dense(self, config: SubConfig) -> tuple[Circuit, Tensor]:
        """The circuit of a configuration over weights of its own, and where those come from.

        Returns:
            (circuit, index): index int64 [circuit.num_weights]; `shared[index]` inherits the
            weights.
        """
        kept = self._kept(config)
        index = [symbol.index for slot in kept for symbol in slot.params]
        circuit = self._encoded(len(index))
        own = iter(range(len(index)))
        for slot in kept:
            circuit.append(slot.gate, slot.qubits, [Weight(next(own)) for _ in slot.params])
        return circuit, torch.tensor(index, dtype=torch.int64)

    def canonical(self, config: SubConfig) -> SubConfig:
        """The configuration with unused layers as in `largest`: equal for equal circuits."""
        used = self._used(config)
        unused = self.largest().layers[used:]
        return SubConfig((*config.layers[:used], *unused), config.blocks)

    def sample(
        self,
        rng: np.random.Generator,
        previous: SubConfig | None = None,
        max_changes: int = MAX_CHANGES,
        least: float = 0.0,
    ) -> SubConfig:
        """Draw the numbers of gates and blocks uniformly, one or more, and which gates if any.

        Args:
            rng: what they are drawn with.
            previous: restricts sampling: at most `max_changes` choices, drawn among those that
                differ, leave the value that they have here.
            max_changes: see there.
            least: fraction of the gates of every layer, and of the blocks, that are kept at least.
        """
        sizes = np.array([*self.sizes, self.space.blocks])
        fewest = np.maximum(1, np.ceil(least * sizes)).astype(int)
        counts = rng.integers(fewest, sizes + 1).tolist()
        if self.space.keep == "any":
            chosen = zip(counts[:-1], self.sizes, strict=True)
            counts[:-1] = [_subset(size, count, rng) for count, size in chosen]
        if previous is not None:
            old = previous.choices
            differing = [i for i, choice in enumerate(counts) if choice != old[i]]
            if len(differing) > max_changes:
                for i in rng.permutation(differing)[max_changes:]:
                    counts[i] = old[i]
        return SubConfig.from_choices(counts)

    def sampler(
        self, max_changes: int = MAX_CHANGES, shrinking: Shrinking | None = None
    ) -> Callable[[np.random.Generator, Choices | None], tuple[Circuit, Choices]]:
        """Restricted sampling, and progressive shrinking, as `qml.training.loop.fit` takes them.

        The choices that it passes on end in the number of steps so far, so that training which is
        resumed goes on in the same stage.
        """

        def draw(rng: np.random.Generator, previous: Choices | None) -> tuple[Circuit, Choices]:
            before, step = None, 0
            if previous is not None:
                before, step = SubConfig.from_choices(previous[:-1]), previous[-1]
            least = 0.0 if shrinking is None else shrinking.least(step)
            config = self.sample(rng, before, max_changes, least)
            return self.subcircuit(config), (*config.choices, step + 1)

        return draw

    def _used(self, config: SubConfig) -> int:
        """Number of layers that the configuration uses, after checking it."""
        limits = self.largest().choices
        choices = config.choices
        if len(choices) != len(limits) or not all(
            1 <= choice <= limit for choice, limit in zip(choices, limits, strict=True)
        ):
            raise UsageError(
                f"{self.space.name} on {self.num_qubits} qubits has layers from 1 to {limits[:-1]} "
                f"and from 1 to {self.space.blocks} blocks, so {config} does not fit"
            )
        return len(self.space.first) + config.blocks * len(self.space.layers)

    def _kept(self, config: SubConfig) -> list[_Slot]:
        used, layers = self._used(config), config.layers
        if self.space.keep == "front":
            return [s for s in self._slots if s.layer < used and s.rank < layers[s.layer]]
        return [s for s in self._slots if s.layer < used and layers[s.layer] >> s.rank & 1]

    def _encoded(self, num_weights: int) -> Circuit:
        return Circuit(self.num_qubits, num_weights).compose(self.encoder)


def _subset(size: int, count: int, rng: np.random.Generator) -> int:
    """The bits of `count` out of `size` gates."""
    return sum(1 << int(rank) for rank in rng.permutation(size)[:count])


def _slots(space: DesignSpace, num_qubits: int) -> Iterator[_Slot]:
    """Every gate of the space in the order of execution, weights numbered consecutively."""
    weight = 0
    for index, layer in enumerate((*space.first, *space.layers * space.blocks)):
        gate = find_gate(layer.gate)
        for rank, qubits in enumerate(layer.sites(num_qubits)):
            params = tuple(Weight(weight + k) for k in range(gate.num_params))
            yield _Slot(gate, qubits, params, index, rank)
            weight += gate.num_params
