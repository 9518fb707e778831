"""What the machine can do, on the cores and threads of the benchmark, as one JSON line.

gflops is the rate of a single-precision matrix product, which NumPy's BLAS brings close to that of
fused multiply-adds; a copy moves its working set once, half of it read and half of it written.
"""

import json

import numpy as np

from benchmarks.harness import seconds_per_call, threads

MATRIX_SIZE = 2048
WORKING_SETS = {"cache": 2**20, "memory": 2**30}
"""Bytes: what fits in the private cache of any current core, and what fits in no cache."""


def gigaflops() -> float:
    a = np.ones((MATRIX_SIZE, MATRIX_SIZE), dtype=np.float32)
    product = a @ a
    return 2e-9 * MATRIX_SIZE**3 / seconds_per_call(lambda: np.matmul(a, a, out=product))


def copy_gigabytes_per_second(working_set: int) -> float:
    source = np.ones(working_set // 8, dtype=np.float32)
    target = source.copy()
    return 1e-9 * working_set / seconds_per_call(lambda: np.copyto(target, source))


if __name__ == "__main__":
    line: dict[str, float] = {"threads": threads(), "gflops": gigaflops()}
    for name, working_set in WORKING_SETS.items():
        line[f"{name}_gigabytes_per_second"] = copy_gigabytes_per_second(working_set)
    print(json.dumps(line))
