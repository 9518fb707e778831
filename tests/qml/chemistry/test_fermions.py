"""Mappings: the algebra of electrons holds, and both mappings have the same energies."""

from __future__ import annotations

from itertools import product as pairs

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qml.chemistry.fermions import (
    Electrons,
    adjoint,
    combination,
    excitation,
    hamiltonian,
    ladder,
    product,
)
from qsim.errors import UsageError


def majoranas(orbitals):
    """a + a+ and i (a - a+) of every spin orbital, as matrices."""
    electrons = Electrons(orbitals, 0, 0)
    for p in range(2 * orbitals):
        up, down = (ladder(p, creates=creates) for creates in (True, False))
        yield electrons.pauli_sum(combination([(1, up), (1, down)])).matrix()
        yield electrons.pauli_sum(combination([(1j, down), (-1j, up)])).matrix()


def test_ladder_operators_anticommute():
    operators = list(majoranas(2))
    for (i, a), (j, b) in pairs(enumerate(operators), repeat=2):
        np.testing.assert_allclose(a @ b + b @ a, 2 * (i == j) * np.eye(16), atol=1e-12)


def test_creation_fills_an_empty_orbital():
    number = product(ladder(1, creates=True), ladder(1, creates=False))
    matrix = Electrons(1, 1, 0).pauli_sum(number).matrix()
    np.testing.assert_allclose(np.diag(matrix), [0, 0, 1, 1])


def test_adjoint_of_creation_is_annihilation():
    assert adjoint(ladder(2, creates=True)) == ladder(2, creates=False)


def random_integrals(orbitals, seed):
    rng = np.random.default_rng(seed)
    one = rng.normal(size=(orbitals, orbitals))
    two = rng.normal(size=[orbitals] * 4)
    for axes in ((1, 0, 2, 3), (0, 1, 3, 2), (2, 3, 0, 1)):
        two = two + two.transpose(axes)
    return one + one.T, two


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2), st.integers(0, 2))
def test_parity_has_the_energies_of_jordan_wigner_with_these_parities(seed, up, down):
    terms = hamiltonian(0.3, *random_integrals(2, seed))
    full = Electrons(2, up, down).pauli_sum(terms).matrix()
    states = np.arange(16)
    counts = np.bitwise_count(states & 3), np.bitwise_count(states >> 2)
    same = ((counts[0] - up) % 2 == 0) & ((counts[1] - down) % 2 == 0)
    reduced = Electrons(2, up, down, "parity").pauli_sum(terms).matrix()
    np.testing.assert_allclose(
        np.linalg.eigvalsh(reduced), np.linalg.eigvalsh(full[np.ix_(same, same)]), atol=1e-9
    )


def test_hamiltonian_of_two_electrons_by_hand():
    """One orbital: h for one electron, 2 h + (00|00) for two."""
    matrix = Electrons(1, 1, 1).pauli_sum(hamiltonian(0.5, np.array([[-1.0]]), np.ones([1] * 4)))
    np.testing.assert_allclose(np.diag(matrix.matrix()), [0.5, -0.5, -0.5, -0.5])


@pytest.mark.parametrize("mapping", ["jordan_wigner", "parity"])
def test_reference_has_the_electrons(mapping):
    electrons = Electrons(3, 2, 1, mapping)
    for p in range(6):
        number = product(ladder(p, creates=True), ladder(p, creates=False))
        matrix = electrons.pauli_sum(number).matrix()
        assert matrix[electrons.reference, electrons.reference] == (p in electrons.occupied)


def test_what_is_not_hermitian():
    with pytest.raises(UsageError, match="Hermitian"):
        Electrons(1, 1, 0).pauli_sum(ladder(0, creates=True))


def test_parity_keeps_the_number_of_electrons():
    with pytest.raises(UsageError, match="keep the numbers"):
        Electrons(2, 1, 1, "parity").pauli_sum(excitation([0], [2]))


@pytest.mark.parametrize("arguments", [(2, 3, 0), (2, -1, 0), (2, 1, 1, "bravyi")])
def test_electrons_that_there_are_not(arguments):
    with pytest.raises(UsageError, match=r"orbitals hold|a mapping is"):
        Electrons(*arguments)
