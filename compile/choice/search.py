"""The search for the best candidate.

Recipes are weighed in stages, in a fixed order: some of every kind, by which variants of the
circuit are judged; then layouts and more seeds for the best of them, or seeds alone for circuits
too large for that; then other places for the best of all. Each stage builds on what all stages
before found, so the result is a function of circuit, device, effort and seed, unless time runs out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from compile.choice.candidates import Builder, Candidate, Recipe
from compile.choice.placements import layouts, orders, placements, shapes
from compile.choice.variants import pytket_installed
from compile.choice.workers import Workers, available_workers

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from compile.device import Device
    from compile.transpilation import Routed

TIE = 0.05
"""Scores closer than this cannot be told apart: in simulations, 4% more ESP gave no fidelity."""
SMALL_DEVICE = 7  # physical qubits up to which all layouts are weighed
SMALL_CIRCUIT = 6  # logical qubits up to which all orders on shapes are weighed

OBJECTIVES: dict[str, Callable[[Candidate], float]] = {
    "esp": lambda c: c.esp,
    "depth": lambda c: 1 / (1 + c.depth),
    "two_qubit_gates": lambda c: 1 / (1 + c.two_qubit_gates),
}
"""Scores of candidates: more is better."""


@dataclass(frozen=True)
class Effort:
    """How much is weighed.

    Attributes:
        orders: layouts of a small device, or orders on the shapes of a large one, at most.
        seeds: of level 3, for each promising variant of a circuit too large for that.
        tuned: of how many of the best layouts, more seeds are tried.
        moved: how many of the best are moved to other places.
        places: how many places of each.
    """

    orders: int
    seeds: int
    tuned: int
    moved: int
    places: int


EFFORTS = {
    "balanced": Effort(orders=120, seeds=12, tuned=4, moved=4, places=3),
    "best": Effort(orders=2000, seeds=400, tuned=12, moved=8, places=5),
}
_PROBED_SEEDS = 3
_PROBED_PLACES = 16
_TUNING = 8  # seeds for a layout


class Search:
    """Weighs the ways to compile one circuit for one device; arguments as those of `compile`."""

    def __init__(
        self,
        source: QuantumCircuit,
        device: Device,
        layout: tuple[int, ...] | None,
        seed: int,
        objective: str,
        budget_s: float,
        workers: int | None,
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self.builder = Builder(source, device)
        self.device = device
        self.layout = layout
        self.seed = seed
        self.score = OBJECTIVES[objective]
        self.deadline = perf_counter() + budget_s
        self.workers = workers or available_workers()
        self.progress = progress or (lambda done, total: None)
        self.found: list[Candidate] = []
        self.variants: list[str] = []
        self.weighed = 0

    def run(self, effort: str) -> tuple[Routed, dict[str, Any]]:
        """The chosen circuit, and what `Compiled` keeps of the search.

        Raises:
            TranspilerError: level 3 finds no way to compile the circuit.
        """
        baseline = self.builder.candidate(Recipe(seed=self.seed, layout=self.layout))
        self.found.append(baseline)
        self.variants = self.builder.prepare()
        with Workers(self.builder, self.deadline, self.workers) as workers:
            complete = all(self._weigh(workers, stage) for stage in self._stages(EFFORTS[effort]))
        chosen = choose(self.found, self.score)
        return self.builder.routed(chosen.recipe), {
            "candidates": tuple(self.found),
            "baseline": baseline,
            "complete": complete,
            "notes": tuple(self._notes(chosen)),
        }

    def _weigh(self, workers: Workers, stage: Iterable[Recipe]) -> bool:
        """Weigh a stage -> whether there was time for all of it."""
        known = {candidate.recipe for candidate in self.found}
        recipes = [recipe for recipe in dict.fromkeys(stage) if recipe not in known]
        before, self.weighed = self.weighed, self.weighed + len(recipes)
        weighed = workers.weigh(recipes, lambda n: self.progress(before + n, self.weighed))
        self.found += [candidate for candidate in weighed if candidate is not None]
        return len(weighed) == len(recipes)

    def _notes(self, chosen: Candidate) -> Iterator[str]:
        source = self.builder.source
        if source.parameters:
            rng = np.random.default_rng(self.seed)
            values = rng.uniform(-np.pi, np.pi, len(source.parameters))
            bound = Builder(source.assign_parameters(values), self.device)
            esp = bound.candidate(chosen.recipe).esp
            yield (
                f"with its {len(values)} parameters bound (to random values) before compiling, the "
                f"circuit has an estimated success of {esp:.4f} instead of {chosen.esp:.4f}: bind "
                "and compile again for a last run"
            )
        elif not pytket_installed():
            yield "pytket's optimizations were left out: pip install 'efficient-qml[tket]'"
        elif "peephole" not in self.builder.variants:
            yield "pytket's optimizations were left out, as they take too long on so many gates"

    # --- Stages -----------------------------------------------------------------------------------

    def _stages(self, effort: Effort) -> Iterator[Iterable[Recipe]]:
        places = list(islice(self._places(), effort.orders))
        yield self._probes(places[:_PROBED_PLACES])
        names = self._promising()
        if places:
            yield (replace(place, variant=name) for place in places for name in names)
            yield self._tuned(effort.tuned)
            yield self._moved(effort.moved, effort.places)
            return
        # Some are moved after a part of the seeds, in case the budget does not last for all.
        for part in (4, 1):
            yield self._seeds(names, effort.seeds // part)
            yield self._moved(effort.moved // part, effort.places)

    def _probes(self, places: list[Recipe]) -> Iterator[Recipe]:
        """Some runs of every kind, by which variants are judged."""
        for k in range(_PROBED_SEEDS):
            plain = Recipe(seed=self.seed + k, layout=self.layout)
            yield plain
            yield from (replace(plain, variant=name) for name in self.variants)
            yield from (replace(plain, level=level) for level in (2, 1, 0))
            if self.device.fractional_gates:
                yield replace(plain, fractional=False)
        for place in places:
            yield from (replace(place, variant=name) for name in self.variants)

    def _promising(self) -> list[str]:
        """The best variant, and the next one if its runs come close."""
        best: dict[str, float] = {}
        for candidate in self.found:
            name = candidate.recipe.variant
            best[name] = max(best.get(name, 0.0), self.score(candidate))
        first, *others = sorted(best, key=lambda name: -best[name])
        return [first, *[n for n in others[:1] if best[n] >= (1 - 2 * TIE) * best[first]]]

    def _places(self) -> Iterator[Recipe]:
        """Every layout of a small device, or every order on the shapes of a larger one."""
        count = self.builder.source.num_qubits
        if self.layout is not None:
            return
        if self.device.num_qubits <= SMALL_DEVICE:
            for layout in layouts(self.device, count):
                yield Recipe(seed=self.seed, layout=layout)
        elif 1 < count <= SMALL_CIRCUIT:
            each = [orders(self.device, region, count) for region in shapes(self.device, count)]
            for layout in _in_turn(each):
                yield Recipe(seed=self.seed, layout=layout, region=tuple(sorted(layout)))

    def _seeds(self, names: list[str], count: int) -> Iterator[Recipe]:
        for k in range(count):
            yield from (Recipe(name, 3, self.seed + k, self.layout) for name in names)

    def _tuned(self, count: int) -> Iterator[Recipe]:
        """More seeds for the best of the layouts."""
        for candidate in self._best(count, lambda r: r.layout is not None):
            for k in range(1, 1 + _TUNING):
                yield replace(candidate.recipe, seed=self.seed + k)

    def _moved(self, count: int, places: int) -> Iterator[Recipe]:
        """Other places for the best of all, if the device has places that were not tried."""
        if self.layout is not None or self.device.num_qubits <= SMALL_DEVICE:
            return
        for candidate in self._best(count, lambda r: True):
            made = self.builder.routed(candidate.recipe)
            for placement in placements(made, self.device, places):
                yield replace(candidate.recipe, placement=placement)

    def _best(self, count: int, fits: Callable[[Recipe], bool]) -> list[Candidate]:
        """The best so far; of those with equal score, depth and gates, the first."""
        kinds: dict[Any, Candidate] = {}
        for c in sorted(self.found, key=self.score, reverse=True):  # stable
            if fits(c.recipe):
                kinds.setdefault((self.score(c), c.depth, c.two_qubit_gates), c)
        return list(kinds.values())[:count]


def choose(candidates: Sequence[Candidate], score: Callable[[Candidate], float]) -> Candidate:
    """The best that is no worse than any run of level 3.

    Those within a tie of the best count as equal, and the least deep of them are kept, again within
    a tie, then those with the fewest two-qubit gates; of these, the best.
    """
    level3 = [
        c for c in candidates if c.recipe == Recipe(seed=c.recipe.seed, layout=c.recipe.layout)
    ]
    floor = max((1 - TIE) * max(map(score, candidates)), *map(score, level3))
    tied = [c for c in candidates if score(c) >= floor]
    for cost in (lambda c: c.depth, lambda c: c.two_qubit_gates):
        least = min(map(cost, tied))
        tied = [c for c in tied if cost(c) <= (1 + TIE) * least]
    return max(tied, key=score)


def _in_turn(iterables: list[Iterator[Any]]) -> Iterator[Any]:
    """First of each, second of each, ..."""
    for group in zip_longest(*iterables):
        yield from (item for item in group if item is not None)
