"""Where on a device a circuit could stand: connected shapes, orders on them, other places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, permutations
from math import inf, log
from typing import TYPE_CHECKING, Any

import numpy as np

from compile.choice.candidates import used_qubits
from compile.esp import waiting_fidelity
from compile.schedule import schedule
from qsim.errors import need

if TYPE_CHECKING:
    from compile.device import Device
    from compile.transpilation import Routed

Qubits = tuple[int, ...]
_MOST_SUBSETS = 20_000  # connected sets of qubits that are looked at
_MOST_EMBEDDINGS = 5_000  # places of one compiled circuit that are looked at


def layouts(device: Device, num_qubits: int) -> list[Qubits]:
    """All layouts of a small device, those on the most couplings first."""
    edges = {frozenset(edge) for edge in device.edges}

    def couplings(layout: Qubits) -> int:
        return sum(edge <= set(layout) for edge in edges)

    working = sorted(set(range(device.num_qubits)) - set(device.offline_qubits))
    return sorted(permutations(working, num_qubits), key=lambda layout: -couplings(layout))


def shapes(device: Device, num_qubits: int) -> list[Qubits]:
    """For each shape that so many coupled qubits can have, the place with the fewest errors."""
    rustworkx = need("rustworkx", extra="ibm", purpose="placing a circuit")
    graph = _graph(device.num_qubits, device.edges)
    errors = _pair_costs(device)
    readout = _readout_costs(device)

    def cost(qubits: Qubits) -> float:
        pairs = [errors[a, b] for a in qubits for b in qubits if a < b]
        return sum(e for e in pairs if e < inf) + float(readout[list(qubits)].sum())

    found: list[tuple[Any, Qubits]] = []
    for qubits in sorted(_connected(device, num_qubits), key=lambda q: (cost(q), q)):
        part = graph.subgraph(list(qubits))
        if not any(rustworkx.is_isomorphic(part, known) for known, _ in found):
            found.append((part, qubits))
    return [qubits for _, qubits in found]


def orders(device: Device, region: Qubits, num_qubits: int) -> Iterator[Qubits]:
    """Layouts of a circuit on a region, one of those that symmetries of the region make alike."""
    rustworkx = need("rustworkx", extra="ibm", purpose="placing a circuit")
    part = _graph(device.num_qubits, device.edges).subgraph(list(region))
    symmetries = [dict(m) for m in rustworkx.vf2_mapping(part, part, subgraph=False)]
    seen: set[Qubits] = set()
    for order in permutations(range(len(region)), num_qubits):
        if order not in seen:
            seen.update(tuple(symmetry[k] for k in order) for symmetry in symmetries)
            yield tuple(region[k] for k in order)


def placements(made: Routed, device: Device, count: int) -> list[Qubits]:
    """The places of a compiled circuit that promise most, best first.

    Each names a physical qubit for every qubit in use, ascending. Couplings decide where the
    circuit fits; gates, readout and waits are weighed as `esp` does, but with the waits as they are
    now and the better direction of every two-qubit gate.
    """
    rustworkx = need("rustworkx", extra="ibm", purpose="placing a circuit")
    used = used_qubits(made)
    place = {qubit: k for k, qubit in enumerate(used)}
    planned = schedule(made.circuit, device, made.final_layout)
    pairs: dict[tuple[int, int], int] = {}
    single = np.zeros((len(used), device.num_qubits))
    pulses = _pulse_costs(device)
    for name, qubits, _, _ in planned.steps:
        if len(qubits) == 2:
            a, b = sorted(place[q] for q in qubits)
            pairs[a, b] = pairs.get((a, b), 0) + 1
        elif name in pulses:
            single[place[qubits[0]]] += pulses[name]
    for qubit in made.final_layout:
        single[place[qubit]] += _readout_costs(device)
    for _, qubit, seconds in planned.waits:
        losses = [-log(waiting_fidelity(seconds, *rates)) for rates in device.decay]
        single[place[qubit]] += losses
    small = _graph(len(used), pairs)
    mappings = rustworkx.vf2_mapping(
        _graph(device.num_qubits, device.edges), small, subgraph=True, induced=False
    )
    inverse = [{k: q for q, k in m.items()} for m in islice(mappings, _MOST_EMBEDDINGS)]
    if not inverse:
        return []
    table = np.array([[m[k] for k in range(len(used))] for m in inverse])
    cost = single[np.arange(len(used)), table].sum(1)
    errors = _pair_costs(device)
    for (a, b), times in pairs.items():
        cost += times * errors[table[:, a], table[:, b]]
    best = np.argsort(cost, kind="stable")[:count]
    return [tuple(map(int, table[k])) for k in best if cost[k] < inf]


def _connected(device: Device, size: int) -> set[Qubits]:
    """Connected sets of qubits, grown qubit by qubit."""
    near: dict[int, set[int]] = {}
    for a, b in device.edges:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    found: set[Qubits] = {(q,) for q in near}
    for _ in range(size - 1):
        grown = {
            tuple(sorted((*qubits, new)))
            for qubits in found
            for old in qubits
            for new in near[old]
            if new not in qubits
        }
        found = set(islice(sorted(grown), _MOST_SUBSETS))
    return found


def _graph(num_qubits: int, edges: Iterable[tuple[int, int]]) -> Any:
    rustworkx = need("rustworkx", extra="ibm", purpose="placing a circuit")
    graph = rustworkx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(num_qubits))
    graph.add_edges_from_no_data(list(edges))
    return graph


def _costs(errors: Sequence[float] | np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -np.log1p(-np.asarray(errors, dtype=float))


def _readout_costs(device: Device) -> np.ndarray:
    return _costs([device.readout_error(q) for q in range(device.num_qubits)])


def _pulse_costs(device: Device) -> dict[str, np.ndarray]:
    """-log(1 - error) of each one-qubit gate on all qubits; infinite where it is missing."""
    errors: dict[str, np.ndarray] = {}
    for (name, qubits), error in device.gate_errors.items():
        if len(qubits) == 1:
            errors.setdefault(name, np.ones(device.num_qubits))[qubits[0]] = error
    return {name: _costs(known) for name, known in errors.items()}


def _pair_costs(device: Device) -> np.ndarray:
    """-log(1 - error) of the best gate on each pair of qubits, infinite where there is none."""
    errors = np.ones((device.num_qubits, device.num_qubits))
    for a, b in device.edges:
        errors[a, b] = errors[b, a] = device.two_qubit_error(a, b)
    return _costs(errors)
