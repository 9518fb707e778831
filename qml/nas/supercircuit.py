"""SuperCircuit: one set of weights shared by every circuit of a design space.

QuantumNAS (Wang et al., arXiv:2107.10845): a sub-circuit keeps the first k gates of every layer and
the first b blocks ("front sampling"), so gates that come first are trained in most sub-circuits.
While the SuperCircuit is trained, consecutive sub-circuits differ in few choices ("restricted
sampling"), which steadies the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from qml.nas.spaces import DesignSpace
from qsim import Circuit, Gate, Symbol, Weight
from qsim.errors import UsageError
from qsim.gates import find_gate

MAX_CHANGES = 7
Choices: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class SubConfig:
    """The choices that single out a sub-circuit.

    Attributes:
        widths: gates kept of every layer, block by block, for all blocks of the space, used or not.
        blocks: blocks kept.
    """

    widths: tuple[int, ...]
    blocks: int

    @property
    def choices(self) -> Choices:
        """All choices as one tuple, number of blocks last: a gene, and what is saved."""
        return (*self.widths, self.blocks)

    @classmethod
    def from_choices(cls, choices: Sequence[int]) -> SubConfig:
        return cls(tuple(int(choice) for choice in choices[:-1]), int(choices[-1]))


@dataclass(frozen=True)
class _Slot:
    """A gate of the full circuit; `layer` counts over all blocks, `rank` within the layer."""

    gate: Gate
    qubits: tuple[int, ...]
    params: tuple[Symbol, ...]
    layer: int
    rank: int


class SuperCircuit:
    """All sub-circuits of a design space on some qubits behind an encoder.

    Args:
        space: the design space.
        num_qubits: number of qubits.
        encoder: a circuit of inputs and no weights that comes first.

    Attributes:
        limits: gates of every full layer, block by block: the largest `widths`.
        num_weights: number of shared weights.
    """

    def __init__(self, space: DesignSpace, num_qubits: int, encoder: Circuit | None = None) -> None:
        """Raises UsageError for an encoder with weights, or on another number of qubits."""
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
        self.limits = tuple(len(layer.sites(num_qubits)) for layer in space.layers) * space.blocks
        self.num_weights = sum(len(slot.params) for slot in self._slots)

    def largest(self, blocks: int | None = None) -> SubConfig:
        """Every gate of the first `blocks` blocks (default: of all)."""
        return SubConfig(self.limits, self.space.blocks if blocks is None else blocks)

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
        """The configuration with its unused widths at their limits: equal for equal circuits."""
        used = self._used(config)
        return SubConfig((*config.widths[:used], *self.limits[used:]), config.blocks)

    def sample(
        self,
        rng: np.random.Generator,
        previous: SubConfig | None = None,
        max_changes: int = MAX_CHANGES,
    ) -> SubConfig:
        """Draw every choice uniformly (at least one gate a layer, at least one block).

        With `previous`, at most `max_changes` choices, drawn among those that differ, leave their
        old value.
        """
        drawn = rng.integers(1, np.array([*self.limits, self.space.blocks]) + 1)
        if previous is not None:
            old = np.array(previous.choices)
            differing = np.flatnonzero(drawn != old)
            if len(differing) > max_changes:
                kept = rng.permutation(differing)[max_changes:]
                drawn[kept] = old[kept]
        return SubConfig.from_choices(drawn.tolist())

    def sampler(
        self, max_changes: int = MAX_CHANGES
    ) -> Callable[[np.random.Generator, Choices | None], tuple[Circuit, Choices]]:
        """Restricted sampling as `qml.training.loop.fit` takes it."""

        def draw(rng: np.random.Generator, previous: Choices | None) -> tuple[Circuit, Choices]:
            before = None if previous is None else SubConfig.from_choices(previous)
            config = self.sample(rng, before, max_changes)
            return self.subcircuit(config), config.choices

        return draw

    def _used(self, config: SubConfig) -> int:
        """Number of layers that the configuration uses, after checking it."""
        limits = (*self.limits, self.space.blocks)
        choices = config.choices
        if len(choices) != len(limits) or not all(
            1 <= choice <= limit for choice, limit in zip(choices, limits, strict=True)
        ):
            raise UsageError(
                f"{self.space.name} on {self.num_qubits} qubits has widths from 1 to {self.limits} "
                f"and from 1 to {self.space.blocks} blocks, so {config} does not fit"
            )
        return config.blocks * len(self.space.layers)

    def _kept(self, config: SubConfig) -> list[_Slot]:
        used = self._used(config)
        return [s for s in self._slots if s.layer < used and s.rank < config.widths[s.layer]]

    def _encoded(self, num_weights: int) -> Circuit:
        return Circuit(self.num_qubits, num_weights).compose(self.encoder)


def _slots(space: DesignSpace, num_qubits: int) -> Iterator[_Slot]:
    """Every gate of the space in the order of execution, weights numbered consecutively."""
    weight = 0
    for index, layer in enumerate(space.layers * space.blocks):
        gate = find_gate(layer.gate)
        for rank, qubits in enumerate(layer.sites(num_qubits)):
            params = tuple(Weight(weight + k) for k in range(gate.num_params))
            yield _Slot(gate, qubits, params, index, rank)
            weight += gate.num_params
