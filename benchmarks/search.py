"""The search of QuantumNAS at the size of the paper, and its simulation against Qiskit Aer's.

    python -m benchmarks.search [--cores 0 1] [--candidates 5] [--output FILE]

The search: mnist-4 on FakeQuitoV2, U3+CU3 space of 8 blocks, population 40, 40 generations, circuit
and mapping, each candidate compiled and scored by the exact noise of the device on 500 samples, in
one process a core; their start is part of the time. The SuperCircuit is trained before, for a few
epochs.

One candidate's simulation: what the search does with a compiled circuit that it sees for the first
time, on one core, and the same estimate by Aer on all cores, from 8,192 shots a sample. Candidates
are random ones; compiling is timed, too. The scores of both have to agree, or the run ends with 1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from benchmarks.harness import version
from benchmarks.report import machine, write
from compile import Device
from qml.data.tasks import Split, Task, load_task
from qml.nas.estimators import Candidate, ExactNoise, Shots
from qml.nas.evaluation import Evaluator, Inherited
from qml.nas.evaluations import Evaluations
from qml.nas.genes import Gene, GeneSpace
from qml.nas.objectives import Classification
from qml.nas.search import EvolutionarySearch, SearchConfig
from qml.nas.spaces import U3CU3
from qml.nas.supercircuit import SuperCircuit
from qml.nn.model import Classifier
from qml.pools import LocalPool
from qml.training.loop import TrainConfig, fit
from qsim import expval

SAMPLES, SHOTS = 500, 8192
TOLERANCE = 0.02  # nats: a <Z> from 8,192 shots errs by 0.01, a mean over 500 samples by less
EPOCHS = 10
T = TypeVar("T")


def timed(function: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def trained(supercircuit: SuperCircuit, task: Task) -> Classifier:
    generator = torch.Generator().manual_seed(0)
    model = Classifier(supercircuit.full(), task.num_classes, generator=generator)
    config = TrainConfig(EPOCHS, lr=5e-2)
    fit(model, task.train, task.valid, config, seed=0, sampler=supercircuit.sampler())
    return model


def samples(task: Task) -> Split:
    """500 of them: those for validation, filled up with those for training."""
    x, y = torch.cat([task.valid.x, task.train.x]), torch.cat([task.valid.y, task.train.y])
    return Split(x[:SAMPLES], y[:SAMPLES])


def search(space: GeneSpace, evaluator: Evaluator, processes: int) -> dict[str, float]:
    with LocalPool(evaluator, processes) as pool:
        run = EvolutionarySearch(space, Evaluations(space, pool), SearchConfig(), seed=0)
        seconds, (_, best) = timed(run.run)
    return {
        "seconds": seconds,
        "processes": processes,
        "evaluations": run.history[-1]["evaluations"],
        "first_score": run.history[0]["best"],
        "best_score": best.score,
        "best_two_qubit_gates": best.two_qubit_gates,
    }


def simulation(evaluator: Evaluator, gene: Gene, cores: int) -> dict[str, float]:
    """Seconds to compile a candidate, and to simulate it by us and by Aer."""
    circuit, weights = evaluator.circuits(gene.config)
    compiling, compiled = timed(lambda: evaluator.compiled(gene))
    objective = evaluator.objective
    expvals = expval(circuit, None, weights, objective.inputs)
    candidate = Candidate(compiled, evaluator.device, objective, expvals, 0)
    torch.set_num_threads(1)
    ours, exact = timed(lambda: ExactNoise()(candidate))
    torch.set_num_threads(cores)
    aer, sampled = timed(lambda: Shots(SHOTS)(candidate))
    return {
        "two_qubit_gates": compiled.two_qubit_gates,
        "compile_seconds": compiling,
        "ours_seconds": ours,
        "aer_seconds": aer,
        "ours_score": exact.score,
        "aer_score": sampled.score,
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--cores", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--candidates", type=int, default=5, help="that are simulated by both")
    default = Path(__file__).parent / "results" / "search.json"
    parser.add_argument("--output", type=Path, default=default, help="file for the results")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, arguments.cores)
    task, device = load_task("mnist-4"), Device.from_name("FakeQuitoV2")
    supercircuit = SuperCircuit(U3CU3, task.num_qubits, task.encoder)
    model, space = trained(supercircuit, task), GeneSpace(supercircuit, device)
    objective = Classification(model, samples(task))
    evaluator = Evaluator(Inherited(supercircuit, model.weights), objective, device, ExactNoise())
    cores = len(arguments.cores)
    found = search(space, evaluator, cores)
    rng = np.random.default_rng(0)
    genes = [space.random(rng) for _ in range(arguments.candidates + 1)]
    # The first one brings what every later one uses, such as the noise of the qubits.
    candidates = [simulation(evaluator, gene, cores) for gene in genes][1:]
    medians = {
        key: statistics.median(line[key] for line in candidates)
        for key in ("compile_seconds", "ours_seconds", "aer_seconds")
    }
    ratio = medians["aer_seconds"] / medians["ours_seconds"]
    report = {
        "machine": machine(arguments.cores),
        "versions": {name: version(name) for name in ("torch", "qiskit", "qiskit-aer")},
        "samples": SAMPLES,
        "shots": SHOTS,
        "search": found,
        "simulation": {**medians, "aer_over_ours": ratio, "candidates": candidates},
    }
    write(arguments.output, report)
    print(f"search: {found['seconds']:.1f} s for {found['evaluations']} candidates")
    print(
        f"a candidate: {1e3 * medians['compile_seconds']:.1f} ms to compile, then "
        f"{1e3 * medians['ours_seconds']:.1f} ms by us and {medians['aer_seconds']:.2f} s by Aer, "
        f"{ratio:.0f} times as long"
    )
    if any(abs(line["ours_score"] - line["aer_score"]) > TOLERANCE for line in candidates):
        sys.exit("scores disagree: see the results")


if __name__ == "__main__":
    main()
