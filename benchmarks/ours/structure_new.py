"""Random sub-circuits, another one in every step: planning is part of it, building is not.

They are built many at a time; the median leaves out the steps in which that happens.
"""

from collections.abc import Iterator
from itertools import count

from benchmarks.harness import Run
from benchmarks.ours import main
from benchmarks.ours.structures import sub_circuit, training
from benchmarks.works.structure import CASES, Case
from qsim import Circuit

AT_A_TIME = 64


def sub_circuits(case: Case) -> Iterator[Circuit]:
    for first in count(0, AT_A_TIME):
        yield from [sub_circuit(case, number) for number in range(first, first + AT_A_TIME)]


def build(case: Case) -> Run:
    return training(case, sub_circuits(case))


if __name__ == "__main__":
    main(CASES, build)
