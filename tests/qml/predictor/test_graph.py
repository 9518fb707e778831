"""Graphs of compiled circuits: nodes, neighbours, and what calibrations say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from compile import Device, compile
from qml.predictor.circuits import random_compiled
from qml.predictor.graph import ERROR, KINDS, LEVEL, NUM_FEATURES, PULSES, circuit_graph
from qsim import Circuit, Input, Weight
from qsim.errors import UsageError

QUITO = Device.from_name("FakeQuitoV2")


def kinds(graph):
    return [KINDS[row[: len(KINDS)].argmax()] for row in graph]


def test_nodes_of_a_small_circuit():
    compiled = compile(Circuit(2).x(0).cx(0, 1), QUITO, layout=[1, 3], level=0)
    graph = circuit_graph(compiled, QUITO)
    assert kinds(graph) == ["input", "flip", "input", "two-qubit", "output", "output"]
    neighbours = graph[:, NUM_FEATURES:].int().tolist()
    assert neighbours == [
        [-1, 1, -1, -1],
        [0, 3, -1, -1],
        [-1, 3, -1, -1],
        [1, 4, 2, 5],
        [3, -1, -1, -1],
        [3, -1, -1, -1],
    ]
    assert graph[:, LEVEL].tolist() == [0, 1, 0, 2, 3, 3]
    errors = QUITO.gate_errors
    assert graph[1, ERROR].item() == pytest.approx(errors["x", (1,)])
    assert graph[3, ERROR].item() == pytest.approx(errors["cx", (1, 3)])
    wrong = QUITO.noise_model([1, 3]).readout_errors
    assert graph[4:, ERROR].tolist() == pytest.approx([wrong[0][0], wrong[1][0]])
    assert graph[4:, ERROR + 5].tolist() == pytest.approx([wrong[0][1], wrong[1][1]])
    seconds = QUITO.backend.target["cx"][1, 3].duration
    times = [QUITO.t1(1), QUITO.t2(1), QUITO.t1(3), QUITO.t2(3)]
    assert graph[3, ERROR + 1 : ERROR + 5].tolist() == pytest.approx([seconds / t for t in times])


def test_pulses_that_lead_to_a_gate():
    circuit = Circuit(2).sx(0).sx(0).cx(0, 1).x(1).cx(0, 1)
    graph = circuit_graph(compile(circuit, QUITO, layout=[0, 1], level=0), QUITO)
    entangling = graph[[kind == "two-qubit" for kind in kinds(graph)]]
    assert entangling[:, PULSES : PULSES + 2].tolist() == [[2, 0], [2, 2]]


@pytest.mark.parametrize("name", ["FakeGuadalupeV2", "FakeTorino", "FakeRochesterV2"])
def test_every_gate_is_a_node_and_knows_its_neighbours(name):
    device = Device.from_name(name)
    compiled = random_compiled(device, np.random.default_rng(3))
    graph = circuit_graph(compiled, device)
    found = kinds(graph)
    assert found.count("two-qubit") == compiled.two_qubit_gates
    assert found.count("virtual") == compiled.virtual_gates
    assert found.count("flip") + found.count("pulse") == compiled.one_qubit_gates
    assert found.count("output") == compiled.num_qubits
    assert graph[:, LEVEL].max() == compiled.depth + 1
    before, after = graph[:, NUM_FEATURES::2].long(), graph[:, NUM_FEATURES + 1 :: 2].long()
    edges = {(int(a), b) for b, row in enumerate(before) for a in row if a >= 0}
    assert edges == {(a, int(b)) for a, row in enumerate(after) for b in row if b >= 0}
    assert all(a < b for a, b in edges)


def test_open_angles_make_no_difference():
    circuit = Circuit(2).rx(Input(0), 0).ry(Weight(0), 1).cx(0, 1)
    compiled = compile(circuit, QUITO, layout=[0, 1])
    bound = replace(compiled, circuit=compiled.circuit.assign_parameters([0.3, 0.9]))
    assert torch.equal(circuit_graph(compiled, QUITO), circuit_graph(bound, QUITO))


def test_circuits_of_other_devices():
    compiled = compile(Circuit(1).x(0), Device.from_name("FakeLimaV2"))
    with pytest.raises(UsageError, match="was compiled for fake_lima, so the errors of fake_quito"):
        circuit_graph(compiled, QUITO)
