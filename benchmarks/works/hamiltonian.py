"""Value and gradient of a Hamiltonian of many Pauli terms, after layers of RX RY RZ and CX rings.

Two Hamiltonians: `random` has Pauli strings of random letters, nearly all of which flip different
qubits; `molecule` is the Jordan-Wigner form of random real one- and two-body integrals on as many
spin orbitals as there are qubits, cut to its largest terms, of which many flip the same qubits.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product

import numpy as np

from benchmarks import harness
from benchmarks.costs import Cost, circuit_cost, hamiltonian_cost
from benchmarks.harness import FloatArray

Masks = tuple[int, int]
"""Qubits with X and qubits with Z; a qubit in both has Y."""


@dataclass(frozen=True)
class Case(harness.Case):
    kind: str
    qubits: int
    layers: int
    terms: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind} is none of {', '.join(KINDS)}")

    def angles(self) -> FloatArray:
        """Weights [layers, qubits, 3], in radians."""
        return np.random.default_rng(0).uniform(-np.pi, np.pi, (self.layers, self.qubits, 3))

    @cached_property
    def hamiltonian(self) -> dict[str, float]:
        """Coefficients of Pauli strings, whose last letter acts on qubit 0."""
        masks = KINDS[self.kind](self.qubits, self.terms)
        return {label(x, z, self.qubits): value for (x, z), value in masks.items()}

    def cost(self) -> Cost:
        rotations = self.layers * ["rx", "ry", "rz"] * self.qubits
        flips = Counter(text.translate(FLIPS) for text in self.hamiltonian)
        return circuit_cost(
            self.qubits, 1, rotations, self.layers, gradients=len(rotations)
        ) + hamiltonian_cost(self.qubits, flips.values())


FLIPS = str.maketrans("XYZI", "1100")


def label(x: int, z: int, qubits: int) -> str:
    return "".join("IXZY"[(x >> q & 1) + 2 * (z >> q & 1)] for q in reversed(range(qubits)))


def random_strings(qubits: int, terms: int) -> dict[Masks, float]:
    generator = np.random.default_rng(0)
    found: dict[Masks, float] = {}
    while len(found) < min(terms, 4**qubits):
        x, z = generator.integers(0, 2**qubits, 2).tolist()
        found[x, z] = generator.normal()
    return found


Products = dict[Masks, float]
"""A sum of products X^x Z^z, X to the left."""


def times(left: Products, right: Products) -> Products:
    result: Products = defaultdict(float)
    for ((x, z), a), ((u, v), b) in product(left.items(), right.items()):
        result[x ^ u, z ^ v] += a * b * (-1) ** (z & u).bit_count()
    return result


def ladder(orbital: int, sign: int) -> Products:
    """Creation (sign +1) or annihilation (-1): (X + sign X Z) / 2 on its qubit, Z below."""
    bit, below = 1 << orbital, (1 << orbital) - 1
    return {(bit, below): 0.5, (bit, below | bit): 0.5 * sign}


def molecule(orbitals: int, terms: int) -> dict[Masks, float]:
    """sum h[p,q] a+_p a_q + sum v[pq,rs] a+_p a+_q a_s a_r over p < q and r < s."""
    generator = np.random.default_rng(0)
    raising = [ladder(p, +1) for p in range(orbitals)]
    lowering = [ladder(p, -1) for p in range(orbitals)]
    ups = [*raising, *(times(raising[p], raising[q]) for p, q in combinations(range(orbitals), 2))]
    downs = [
        *lowering,
        *(times(lowering[q], lowering[p]) for p, q in combinations(range(orbitals), 2)),
    ]
    total: Products = defaultdict(float)
    for block in (slice(0, orbitals), slice(orbitals, None)):
        size = len(ups[block])
        integrals = generator.normal(size=(size, size))
        integrals += integrals.T
        for up, row in zip(ups[block], integrals, strict=True):
            for down, integral in zip(downs[block], row, strict=True):
                for masks, value in times(up, down).items():
                    total[masks] += integral * value
    # X Z is -i Y: real symmetric integrals leave only strings with an even number of Y.
    strings = {
        (x, z): value * (-1) ** ((x & z).bit_count() // 2)
        for (x, z), value in total.items()
        if (x & z).bit_count() % 2 == 0
    }
    largest = sorted(strings, key=lambda masks: -abs(strings[masks]))
    return {masks: strings[masks] for masks in largest[:terms]}


KINDS: dict[str, Callable[[int, int], dict[Masks, float]]] = {
    "random": random_strings,
    "molecule": molecule,
}
CASES = (Case("random", 16, 2, 5000), Case("molecule", 16, 2, 5000))
