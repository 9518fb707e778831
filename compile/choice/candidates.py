"""Ways to compile a circuit, and what each comes to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from compile.calibration.targets import cut
from compile.choice.variants import PYTKET, SEEDED, Variant, variants
from compile.esp import estimate_esp
from compile.transpilation import Routed, transpile

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.transpiler import Target

    from compile.device import Device


@dataclass(frozen=True)
class Recipe:
    """How to compile a circuit; the same recipe always gives the same circuit.

    Attributes:
        variant: the circuit as it is ("plain") or written anew first; see `variants`.
        level: Qiskit's optimization level.
        seed: Qiskit's seed.
        layout: physical qubit where each logical one starts; None for Qiskit's choice.
        region: physical qubits to keep to; None for all.
        placement: physical qubits to which the compiled circuit is moved as a whole in the end, one
            for each qubit that it uses, ascending.
        fractional: whether to use the device's gates of any angle, if it has them.
    """

    variant: str = "plain"
    level: int = 3
    seed: int = 0
    layout: tuple[int, ...] | None = None
    region: tuple[int, ...] | None = None
    placement: tuple[int, ...] | None = None
    fractional: bool = True


@dataclass(frozen=True)
class Candidate:
    """A recipe and what it gives.

    Attributes:
        recipe: how it was compiled.
        gate_esp: probability that no gate fails.
        readout_esp: probability that all logical qubits are read out right.
        idle_esp: probability that all qubits survive their waits.
        depth: in gates, virtual ones included, as Qiskit counts it.
        two_qubit_gates: how many.
    """

    recipe: Recipe
    gate_esp: float
    readout_esp: float
    idle_esp: float
    depth: int
    two_qubit_gates: int

    @property
    def esp(self) -> float:
        """Estimated success probability."""
        return self.gate_esp * self.readout_esp * self.idle_esp


class Builder:
    """Compiles one circuit for one device, by recipes."""

    def __init__(self, source: QuantumCircuit, device: Device) -> None:
        self.source = source
        self.device = device
        self.variants = variants(source)
        self._variant = lru_cache(maxsize=None)(self._make_variant)
        self._region = lru_cache(maxsize=None)(self._make_region)

    def prepare(self) -> list[str]:
        """Make all variants, which copies of this process then have -> those to be weighed.

        pytket's are not where they save no two-qubit gates: Qiskit makes as much of the others.
        """
        gates = {n: self._variant(n, 0).circuit.num_nonlocal_gates() for n in self.variants}
        least = gates["resynthesized"]
        return [n for n in gates if n not in PYTKET or gates[n] < least]

    def routed(self, recipe: Recipe) -> Routed:
        """The circuit that a recipe gives.

        Raises:
            TranspilerError: Qiskit finds no way to compile it so.
        """
        if recipe.placement is not None:
            return self._moved(self.routed(replace(recipe, placement=None)), recipe)
        seed = recipe.seed if recipe.variant in SEEDED else 0
        circuit, ends = self._variant(recipe.variant, seed)
        target = self._plain_target if not recipe.fractional else self.device.target
        layout = recipe.layout
        if recipe.region is not None:
            target = self._region(recipe.region)
            layout = layout and tuple(recipe.region.index(q) for q in layout)
        made = transpile(circuit, target, layout, recipe.level, recipe.seed)
        if recipe.region is not None:
            made = _on_device(made, recipe.region, self.device.num_qubits)
        return made._replace(final_layout=tuple(made.final_layout[wire] for wire in ends))

    def candidate(self, recipe: Recipe) -> Candidate:
        """What a recipe comes to."""
        made = self.routed(recipe)
        esp = estimate_esp(made.circuit, self.device, made.final_layout)
        return Candidate(
            recipe,
            esp.gate,
            esp.readout,
            esp.idle,
            int(made.circuit.depth()),
            int(made.circuit.num_nonlocal_gates()),
        )

    def _moved(self, made: Routed, recipe: Recipe) -> Routed:
        """A compiled circuit on other qubits, coupled alike: Qiskit mends directions of gates."""
        assert recipe.placement is not None
        used = used_qubits(made)
        place = {qubit: k for k, qubit in enumerate(used)}
        target = self._plain_target if not recipe.fractional else self.device.target
        small = renumbered(made.circuit, used)
        again = transpile(small, target, recipe.placement, recipe.level, recipe.seed)
        return Routed(
            again.circuit,
            tuple(again.initial_layout[place[q]] for q in made.initial_layout),
            tuple(again.final_layout[place[q]] for q in made.final_layout),
        )

    def _make_variant(self, name: str, seed: int) -> Variant:
        return self.variants[name](self.source, seed)

    def _make_region(self, region: tuple[int, ...]) -> Target:
        return cut(self.device.target, region)

    @cached_property
    def _plain_target(self) -> Target:
        """The device's gates without those of any angle."""
        target, left_out = self.device.target, self.device.fractional_gates
        return cut(target, range(self.device.num_qubits), lambda name, _: name not in left_out)


def used_qubits(made: Routed) -> list[int]:
    """Physical qubits that hold a logical qubit or have a gate, ascending."""
    circuit = made.circuit
    index = {qubit: i for i, qubit in enumerate(circuit.qubits)}
    touched = {index[qubit] for step in circuit.data for qubit in step.qubits}
    return sorted(touched | set(made.initial_layout) | set(made.final_layout))


def _on_device(made: Routed, region: tuple[int, ...], num_qubits: int) -> Routed:
    """What was compiled for a part of a device, on the whole device."""
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(num_qubits)
    circuit.compose(made.circuit, qubits=list(region), inplace=True, copy=False)
    return Routed(
        circuit,
        tuple(region[q] for q in made.initial_layout),
        tuple(region[q] for q in made.final_layout),
    )


def renumbered(circuit: QuantumCircuit, used: list[int]) -> QuantumCircuit:
    """The circuit on qubits `used` alone, which become 0, 1, ..."""
    from qiskit import QuantumCircuit

    place = {circuit.qubits[qubit]: k for k, qubit in enumerate(used)}
    small = QuantumCircuit(len(used))
    for step in circuit.data:
        small.append(step.operation, [place[q] for q in step.qubits], copy=False)
    return small
