"""QAOA: sizes of cuts, known values on rings, optimal cuts of small graphs."""

from __future__ import annotations

from itertools import product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qml.algorithms.qaoa import (
    brute_force_maxcut,
    maxcut_hamiltonian,
    qaoa_circuit,
    solve_maxcut,
)
from qsim import PauliSum
from qsim.errors import UsageError


def weighted(seed, nodes=5):
    rng = np.random.default_rng(seed)
    graph = nx.Graph()
    graph.add_nodes_from("abcde"[:nodes])
    for a, b in product(graph.nodes, repeat=2):
        if a < b and rng.random() < 0.7:
            graph.add_edge(a, b, weight=float(rng.integers(1, 5)))
    graph.add_edge("a", "b", weight=2.0)
    return graph


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_the_hamiltonian_and_brute_force_are_sizes_of_cuts(seed):
    graph = weighted(seed)
    sides = list(product((0, 1), repeat=5))
    nodes = list(graph.nodes)
    sizes = [
        nx.cut_size(
            graph, [v for v, side in zip(nodes, bits, strict=True) if side], weight="weight"
        )
        for bits in sides
    ]
    diagonal = np.diag(maxcut_hamiltonian(graph).matrix()).real
    index = [sum(bit << k for k, bit in enumerate(bits)) for bits in sides]
    np.testing.assert_allclose(diagonal[index], sizes, atol=1e-9)
    best = brute_force_maxcut(graph)
    assert best.size == max(sizes)
    assert nx.cut_size(graph, best.part, weight="weight") == best.size


@pytest.mark.parametrize(("layers", "ratio"), [(1, 3 / 4), (2, 5 / 6)])
def test_rings_have_the_known_ratio(layers, ratio):
    """(2p + 1) / (2p + 2) of the edges of a long ring (Farhi et al., arXiv:1411.4028)."""
    found = solve_maxcut(nx.cycle_graph(8), layers)
    assert found.expected == pytest.approx(8 * ratio, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_samples_hold_the_best_cut(seed):
    graph = nx.random_regular_graph(3, 10, seed=seed)
    found, best = solve_maxcut(graph, 2, seed=seed), brute_force_maxcut(graph)
    assert found.cut.size == best.size == nx.cut_size(graph, found.cut.part)
    assert 0.8 * best.size < found.expected < best.size


def test_weights_and_names_of_nodes():
    graph = weighted(3)
    found = solve_maxcut(graph, 3)
    assert found.cut.part <= set(graph.nodes)
    assert found.cut.size == brute_force_maxcut(graph).size


def test_the_circuit():
    circuit = qaoa_circuit(PauliSum({"ZZI": 1, "IZZ": 2}), 2)
    assert circuit.num_weights == 4
    assert circuit.count_ops() == {"rx": 6, "pauli_rotation": 4, "h": 3}


def test_nothing_to_cut():
    with pytest.raises(UsageError, match="without edges"):
        solve_maxcut(nx.empty_graph(3))


def test_too_many_nodes_for_brute_force():
    with pytest.raises(UsageError, match="24 nodes, not 30"):
        brute_force_maxcut(nx.path_graph(30))
