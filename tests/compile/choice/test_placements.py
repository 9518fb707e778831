"""Placements: every layout, shape and place that there is, and none twice."""

from collections.abc import Callable
from itertools import combinations, permutations

import networkx
import pytest

from compile import Device, compile, estimate_esp
from compile.choice.candidates import Builder, Recipe, used_qubits
from compile.choice.placements import layouts, orders, placements, shapes
from compile.transpilation import Routed
from qsim import Circuit
from qsim.interop.qiskit import to_qiskit

LineDevice = Callable[..., Device]


def graph(device: Device) -> networkx.Graph:
    return networkx.Graph(device.edges)


def test_layouts_are_all_there_are_coupled_ones_first(quito: Device) -> None:
    found = layouts(quito, 3)
    assert sorted(found) == sorted(permutations(range(5), 3))
    coupled = [len(graph(quito).subgraph(layout).edges) for layout in found]
    assert coupled == sorted(coupled, reverse=True)


def test_layouts_leave_out_offline_qubits(line: LineDevice) -> None:
    device = line({(0, 1): 0.01, (1, 2): 0.01, (2, 3): 0.01}, sx={3: 1.0})
    assert all(3 not in layout for layout in layouts(device, 2))


@pytest.mark.parametrize(("name", "size"), [("quito", 4), ("kolkata", 4), ("kolkata", 5)])
def test_shapes_are_all_connected_ones_up_to_isomorphism(name: str, size: int) -> None:
    device = Device.from_fake(name)
    whole = graph(device)
    kinds: list[networkx.Graph] = []
    for qubits in combinations(range(device.num_qubits), size):
        part = whole.subgraph(qubits)
        if networkx.is_connected(part) and not any(map(networkx.is_isomorphic, kinds, [part] * 99)):
            kinds.append(part)
    found = [whole.subgraph(shape) for shape in shapes(device, size)]
    assert len(found) == len(kinds) >= 2
    assert all(any(networkx.is_isomorphic(a, b) for b in kinds) for a in found)


def test_orders_are_those_that_symmetry_leaves(quito: Device) -> None:
    line, star = (0, 1, 3, 4), (0, 1, 2, 3)
    assert len(list(orders(quito, line, 4))) == 24 / 2
    assert len(list(orders(quito, star, 4))) == 24 / 6
    assert set(orders(quito, line, 3)) < set(permutations(line, 3))


def test_best_place_is_that_with_the_fewest_errors(line: LineDevice) -> None:
    errors = {(q, q + 1): 0.02 for q in range(8)} | {(5, 6): 0.001, (6, 7): 0.002}
    device = line(errors | {(b, a): e for (a, b), e in errors.items()})
    made = compile(Circuit(3).h(0).cx(0, 1).cx(1, 2).cx(0, 1), device, layout=(0, 1, 2))
    routed = Routed(made.circuit, made.initial_layout, made.final_layout)
    best, *others = placements(routed, device, 20)
    assert best == (5, 6, 7)  # two gates on the best coupling, one on the second best
    assert len({best, *others}) == 14  # seven places, both ways


def test_order_of_places_is_that_of_esp(quito: Device) -> None:
    kolkata = Device.from_fake("kolkata")
    builder = Builder(to_qiskit(Circuit(3).h(0).cx(0, 1).cx(1, 2).ry(0.3, 2).cx(1, 2)), kolkata)
    base = Recipe(layout=(0, 1, 4), region=(0, 1, 4))
    made = builder.routed(base)
    found = placements(made, kolkata, 500)
    exact = []
    for place in (found[0], found[len(found) // 2], found[-1]):
        moved = builder.routed(Recipe(base.variant, 3, 0, base.layout, base.region, place))
        assert set(used_qubits(moved)) == set(place)
        exact.append(estimate_esp(moved.circuit, kolkata, moved.final_layout).total)
    assert exact == sorted(exact, reverse=True)
