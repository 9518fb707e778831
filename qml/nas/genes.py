"""Genes of the co-search, qubit mapping and sub-circuit: how to draw, change and cross them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compile import Device
from qml.nas.supercircuit import SubConfig, SuperCircuit
from qsim.errors import UsageError


@dataclass(frozen=True)
class Gene:
    """A candidate: a sub-circuit, and where it stands on the device.

    Attributes:
        layout: physical qubit of every logical qubit, or None if Qiskit chooses them.
        config: the sub-circuit.
    """

    layout: tuple[int, ...] | None
    config: SubConfig

    def to_json(self) -> dict[str, Any]:
        """The fields as a JSON-able dictionary."""
        return {
            "layout": None if self.layout is None else list(self.layout),
            "layers": list(self.config.layers),
            "blocks": self.config.blocks,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Gene:
        """The gene of `to_json`."""
        layout = value["layout"]
        config = SubConfig(tuple(value["layers"]), value["blocks"])
        return cls(None if layout is None else tuple(layout), config)


class GeneSpace:
    """All genes: how to draw, change and cross them without leaving the device or the design space.

    Args:
        supercircuit: its sub-circuits are the circuits of the genes.
        device: its edges are where two-qubit gates may go.
        mapping: whether the mapping is searched, too; otherwise Qiskit chooses it every time.

    Raises:
        UsageError: the device has no connected group of ``num_qubits`` qubits.
    """

    def __init__(self, supercircuit: SuperCircuit, device: Device, *, mapping: bool = True) -> None:
        self.supercircuit = supercircuit
        self.mapping = mapping
        self.num_qubits = num_qubits = supercircuit.num_qubits
        self.neighbours: list[set[int]] = [set() for _ in range(device.num_qubits)]
        for a, b in device.edges:
            self.neighbours[a].add(b)
            self.neighbours[b].add(a)
        self.starts = [q for q in range(device.num_qubits) if len(self._reach(q)) == num_qubits]
        if not self.starts:
            raise UsageError(
                f"the task needs {num_qubits} connected qubits, but {device.name} has "
                f"{device.num_qubits} qubits and no working group of that size: "
                "choose a larger device ('qml devices' lists them)"
            )

    def random(self, rng: np.random.Generator) -> Gene:
        """A random gene whose physical qubits are connected."""
        layout = self._random_layout(rng) if self.mapping else None
        return Gene(layout, self.supercircuit.sample(rng))

    def mutate(self, gene: Gene, probability: float, rng: np.random.Generator) -> Gene:
        """Redraw every element of the gene with the given probability.

        A logical qubit moves next to the qubits in use or trades places with another one: a place
        far away would only bring SWAP gates.
        """
        fresh = self.supercircuit.sample(rng)
        config = _mix(fresh, gene.config, probability, rng)
        if gene.layout is None:
            return Gene(None, config)
        layout = list(gene.layout)
        for logical in range(self.num_qubits):
            if rng.random() < probability:
                self._move(layout, logical, rng)
        return Gene(tuple(layout), config)

    def cross(self, first: Gene, second: Gene, rng: np.random.Generator) -> Gene:
        """Take every element from either gene (uniform crossover), no physical qubit twice.

        Where the mappings lie in different corners of the device, one of them is taken whole.
        """
        config = _mix(first.config, second.config, 0.5, rng)
        return Gene(self._crossed(first.layout, second.layout, rng), config)

    def key(self, gene: Gene) -> Gene:
        """What tells two genes apart: layers of blocks that are switched off do not."""
        return Gene(gene.layout, self.supercircuit.canonical(gene.config))

    def _crossed(
        self,
        first: tuple[int, ...] | None,
        second: tuple[int, ...] | None,
        rng: np.random.Generator,
    ) -> tuple[int, ...] | None:
        if first is None or second is None:
            return first or second
        layout: list[int] = []
        for a, b in zip(first, second, strict=True):
            taken, other = (a, b) if rng.random() < 0.5 else (b, a)
            layout.append(other if taken in layout else taken)
        crossed = self._repair(layout, first)
        if self._connected(crossed):
            return crossed
        return first if rng.random() < 0.5 else second

    def _random_layout(self, rng: np.random.Generator) -> tuple[int, ...]:
        chosen = [int(rng.choice(self.starts))]
        while len(chosen) < self.num_qubits:
            chosen.append(int(rng.choice(self._border(chosen))))
        return tuple(int(qubit) for qubit in rng.permutation(chosen))

    def _reach(self, start: int) -> list[int]:
        """A connected group around ``start``, as large as the circuit or as the device allows."""
        group = [start]
        while len(group) < self.num_qubits and (border := self._border(group)):
            group.append(border[0])
        return group

    def _connected(self, layout: Sequence[int]) -> bool:
        group = {layout[0]}
        while border := set(self._border(group)) & set(layout):
            group |= border
        return len(group) == len(layout)

    def _border(self, layout: Collection[int]) -> list[int]:
        return sorted(set().union(*(self.neighbours[qubit] for qubit in layout)) - set(layout))

    def _move(self, layout: list[int], logical: int, rng: np.random.Generator) -> None:
        target = int(rng.choice([*self._border(layout), *layout]))
        if target in layout:
            layout[layout.index(target)] = layout[logical]
        layout[logical] = target

    def _repair(self, layout: list[int], spare: Sequence[int]) -> tuple[int, ...]:
        """Replace repeated qubits, in order, by unused ones of ``spare``."""
        unused = iter([qubit for qubit in spare if qubit not in layout])
        seen: set[int] = set()
        repaired = []
        for qubit in layout:
            repaired.append(next(unused) if qubit in seen else qubit)
            seen.add(qubit)
        return tuple(repaired)


def _mix(
    first: SubConfig, second: SubConfig, probability: float, rng: np.random.Generator
) -> SubConfig:
    """Every choice from the first configuration with that probability, else from the second."""
    pairs = zip(first.choices, second.choices, strict=True)
    return SubConfig.from_choices([a if rng.random() < probability else b for a, b in pairs])
