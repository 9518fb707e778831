"""The quantum approximate optimization algorithm, and MaxCut by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from qml.algorithms.minimize import minimize
from qml.nn.layers import new_weights, times
from qsim import Circuit, PauliString, PauliSum, expval, samples
from qsim.errors import UsageError

if TYPE_CHECKING:
    import networkx

MAX_BRUTE_FORCE = 24  # nodes: 16 million cuts


class Cut(NamedTuple):
    """Nodes in two parts.

    Attributes:
        part: nodes on one side.
        size: weight of the edges between the sides.
    """

    part: frozenset[Any]
    size: float


class MaxCut(NamedTuple):
    """What QAOA has found.

    Attributes:
        cut: the best among the samples.
        expected: mean size of a sample's cut, exactly.
        weights: gamma and beta of each layer in turn, real [2 layers].
        circuit: with these weights.
    """

    cut: Cut
    expected: float
    weights: Tensor
    circuit: Circuit


def maxcut_hamiltonian(graph: networkx.Graph) -> PauliSum:
    """The size of a cut, sum of w (1 - Z Z) / 2 over the edges; qubit k is the k-th of the nodes.

    Raises:
        UsageError: for a graph without edges between different nodes.
    """
    places = {node: k for k, node in enumerate(graph.nodes)}
    n, terms = len(places), []
    for a, b, weight in graph.edges(data="weight", default=1.0):
        if a != b:
            pair = PauliString.from_sparse("ZZ", [places[a], places[b]], n)
            terms += [(weight / 2, PauliString("I" * n)), (-weight / 2, pair)]
    if not terms:
        raise UsageError("a graph without edges has nothing to cut")
    return PauliSum(terms)


def qaoa_circuit(cost: PauliSum, layers: int = 1) -> Circuit:
    """|+...+>, then exp(-i gamma C) and exp(-i beta sum X) in turn (Farhi et al., arXiv:1411.4028).

    Args:
        cost: C, a sum of strings of Z.
        layers: how often; weights are gamma and beta of each layer in turn.
    """
    circuit = Circuit(cost.num_qubits).h(range(cost.num_qubits))
    weights = new_weights(circuit)
    for _ in range(times(layers, "layers", 1)):
        circuit.evolve(cost, next(weights))
        circuit.rx(2 * next(weights), range(cost.num_qubits))
    return circuit


def annealing_weights(cost: PauliSum, layers: int) -> Tensor:
    """Gamma that rises and beta that falls from layer to layer, as in slow annealing.

    Sack and Serbyn, arXiv:2101.05742; gamma in units of the typical coefficient. float64
    [2 layers].
    """
    fraction = (torch.arange(layers, dtype=torch.float64) + 0.5) / layers
    z = [abs(number) for number, string in cost.terms if string.z_mask]
    gamma = 0.75 * fraction / (2 * float(np.mean(z)))
    return torch.stack([gamma, 0.75 * (1 - fraction)], 1).flatten()


def solve_maxcut(
    graph: networkx.Graph, layers: int = 2, *, shots: int = 1024, seed: int = 0, **training: Any
) -> MaxCut:
    """Train QAOA on a graph, then measure: the best cut of the samples.

    Args:
        graph: with edge attributes "weight", 1 where there is none.
        layers: of the circuit.
        shots: measurements in the end.
        seed: of the measurements.
        training: optimizer, steps and tolerance of `qml.algorithms.minimize.minimize`.

    Example:
        >>> found = solve_maxcut(networkx.cycle_graph(6), layers=3)
        >>> found.cut.size, round(found.expected, 3)
        (6.0, 6.0)
    """
    cost = maxcut_hamiltonian(graph)
    circuit, start = qaoa_circuit(cost, layers), annealing_weights(cost, layers)
    found = minimize(lambda w: -expval(circuit, [cost], w)[0], start, **training)
    generator = torch.Generator().manual_seed(seed)
    measured = samples(circuit, shots, found.weights, generator=generator).unique()
    cut = _best(graph, measured.numpy())
    return MaxCut(cut, -found.value, found.weights, circuit)


def brute_force_maxcut(graph: networkx.Graph) -> Cut:
    """The largest cut, by looking at all of them.

    Raises:
        UsageError: for more than 24 nodes.
    """
    nodes = graph.number_of_nodes()
    if nodes > MAX_BRUTE_FORCE:
        raise UsageError(f"brute force looks at cuts of {MAX_BRUTE_FORCE} nodes, not {nodes}")
    return _best(graph, np.arange(2 ** max(0, nodes - 1)))  # the last node stays on one side


def _best(graph: networkx.Graph, states: np.ndarray) -> Cut:
    nodes = list(graph.nodes)
    places = {node: k for k, node in enumerate(nodes)}
    sizes = np.zeros(len(states))
    for a, b, weight in graph.edges(data="weight", default=1.0):
        sizes += weight * ((states >> places[a] ^ states >> places[b]) & 1)
    best = int(sizes.argmax())
    part = frozenset(node for k, node in enumerate(nodes) if states[best] >> k & 1)
    return Cut(part, float(sizes[best]))
