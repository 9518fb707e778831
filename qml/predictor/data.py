"""Graphs of circuits with what their simulation gave, as tensors and as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from compile import Compiled, Device
from qml.data.tasks import Split
from qml.predictor.circuits import random_compiled
from qml.predictor.graph import NUM_COLUMNS, circuit_graph
from qml.predictor.pst import success_probability
from qml.training.checkpoints import read_tensors, write_tensors

_PART = 500  # circuits in a file: half a minute's work
_MAX_GATES = 300


def random_circuits(
    folder: Path,
    name: str,
    count: int,
    devices: Sequence[str],
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Split:
    """Graphs and success probabilities of random circuits, from files of 500 or simulated.

    Circuit k depends on the seed, the name and k alone; files that are there are not made again.

    Args:
        folder, name: files are "folder/name-0-500.safetensors" and so on.
        count: how many circuits.
        devices: names, which take turns.
        seed: of the circuits.
        progress: told how many are ready.
    """
    machines = [Device.from_name(device) for device in devices]
    parts = []
    for start in range(0, count, _PART):
        end = min(start + _PART, count)
        path = folder / f"{name}-{start}-{end}.safetensors"
        if not path.exists():
            numbers = range(start, end)
            part = simulated(_random(k, name, machines, seed, progress) for k in numbers)
            write_tensors(path, {"graphs": part.x, "success": part.y})
        tensors, _ = read_tensors(path, "delete it to simulate its circuits again")
        parts.append(Split(tensors["graphs"], tensors["success"]))
    graphs = [graph for part in parts for graph in part.x]
    return Split(padded(graphs), torch.cat([part.y for part in parts]))


def _random(
    k: int, name: str, devices: Sequence[Device], seed: int, progress: Callable[[int], None]
) -> tuple[Compiled, Device]:
    """Circuit number k, of a size that can be simulated quickly."""
    rng, device = np.random.default_rng([seed, *name.encode(), k]), devices[k % len(devices)]
    progress(k + 1)
    while True:
        compiled = random_compiled(device, rng)
        if compiled.circuit.size() <= _MAX_GATES:
            return compiled, device


def simulated(circuits: Iterable[tuple[Compiled, Device]]) -> Split:
    """Graphs of compiled circuits and their success probabilities under the noise of a device."""
    pairs = [(circuit_graph(*pair), success_probability(*pair)) for pair in circuits]
    graphs, successes = zip(*pairs, strict=True)
    return Split(padded(graphs), torch.tensor(successes))


def padded(graphs: Sequence[Tensor]) -> Tensor:
    """Graphs filled up with zeros to the size of the largest [graphs, nodes, columns]."""
    full = torch.zeros(len(graphs), max(map(len, graphs)), NUM_COLUMNS)
    for row, graph in zip(full, graphs, strict=True):
        row[: len(graph)] = graph
    return full
