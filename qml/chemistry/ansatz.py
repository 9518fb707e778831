"""Circuits for molecules: the Hartree-Fock state, unitary coupled cluster, and pools for ADAPT."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

from qml.chemistry.fermions import Electrons, excitation
from qml.nn.layers import new_weights, times
from qsim import Circuit, PauliString, PauliSum


def hartree_fock(electrons: Electrons) -> Circuit:
    """The state with the lowest orbitals filled: an X on every qubit that is 1 in it.

    Example:
        >>> hartree_fock(load_molecule("H2").on_qubits())
        Circuit(4 qubits, 0 weights, 0 inputs: x 0; x 2)
    """
    circuit = Circuit(electrons.num_qubits)
    return circuit.x([q for q in range(circuit.num_qubits) if electrons.reference >> q & 1])


def excitations(electrons: Electrons) -> list[PauliSum]:
    """i (T - T+) of every single and double excitation T of the Hartree-Fock state that keeps spin.

    Their strings commute, so that `Circuit.evolve` makes exp(-i theta of one of them) exactly.
    """
    n = electrons.orbitals
    filled = (range(electrons.up), range(n, n + electrons.down))
    empty = (range(electrons.up, n), range(n + electrons.down, 2 * n))
    singles = [((a,), (i,)) for s in (0, 1) for i, a in product(filled[s], empty[s])]
    mixed = [
        ((a, b), (j, i))
        for (i, a), (j, b) in product(product(filled[0], empty[0]), product(filled[1], empty[1]))
    ]
    alike = [
        (into, out_of[::-1])
        for s in (0, 1)
        for out_of, into in product(combinations(filled[s], 2), combinations(empty[s], 2))
    ]
    every = [*singles, *mixed, *alike]
    return [electrons.pauli_sum(excitation(into, out_of)) for into, out_of in every]


def uccsd(electrons: Electrons, steps: int = 1) -> Circuit:
    """Unitary coupled cluster with single and double excitations, from the Hartree-Fock state.

    exp(sum theta_k (T_k - T_k+)) in `steps` steps of Trotter's formula, a weight for each
    excitation (Peruzzo et al., arXiv:1304.3061; Romero et al., arXiv:1701.02691). Doubles go first:
    singles do nothing to the energy of the Hartree-Fock state (Brillouin).

    Raises:
        UsageError: for less than one step.
    """
    circuit = hartree_fock(electrons)
    generators = excitations(electrons)[::-1]
    weights = new_weights(circuit)
    angles = [next(weights) for _ in generators]
    layer = Circuit(electrons.num_qubits)
    for generator, angle in zip(generators, angles, strict=True):
        layer.evolve(generator, angle / times(steps, "steps", 1))
    return circuit.compose(layer.repeat(steps))


def qubit_pool(generators: Sequence[PauliSum]) -> list[PauliString]:
    """Every string of the operators, each once: the pool of qubit-ADAPT.

    Tang et al., arXiv:1911.10205: one rotation each, where an excitation takes 2 or 8.
    """
    return list(dict.fromkeys(string for g in generators for string in g.strings))
