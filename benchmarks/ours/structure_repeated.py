"""Random sub-circuits, each repeated many times: they were planned before."""

from itertools import chain, cycle, repeat

from benchmarks.harness import Run
from benchmarks.ours import main
from benchmarks.ours.structures import sub_circuit, training
from benchmarks.works.structure import CASES, Case

STRUCTURES = 16
REPETITIONS = 8


def build(case: Case) -> Run:
    circuits = [sub_circuit(case, number) for number in range(STRUCTURES)]
    plan = training(case, iter(circuits))
    for _ in circuits:
        plan()
    repeated = chain.from_iterable(repeat(circuit, REPETITIONS) for circuit in cycle(circuits))
    return training(case, repeated)


if __name__ == "__main__":
    main(CASES, build)
