"""What the machine can do, on the cores and threads of the benchmark, as one JSON line.

gigaflops is the rate of a single-precision matrix product, which NumPy's BLAS brings close to that
of fused multiply-adds; a copy moves its working set once, half of it read and half of it written,
each thread one of its own.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.harness import seconds_per_call, threads

MATRIX_SIZE = 2048
CACHE_BYTES = 2**20
"""For each thread: what fits in the private cache of any current core."""
MEMORY_BYTES = 2**30
"""For all threads: what fits in no cache."""
BYTES_PER_CALL = 2**32
"""Long enough for the start of threads to vanish."""


def gigaflops() -> float:
    a = np.ones((MATRIX_SIZE, MATRIX_SIZE), dtype=np.float32)
    product = a @ a
    return 2e-9 * MATRIX_SIZE**3 / seconds_per_call(lambda: np.matmul(a, a, out=product))


def copy_gigabytes_per_second(bytes_per_thread: int) -> float:
    count = threads()
    sources = [np.ones(bytes_per_thread // 8, dtype=np.float32) for _ in range(count)]
    targets = [source.copy() for source in sources]
    repetitions = max(1, BYTES_PER_CALL // (count * bytes_per_thread))

    def copy(thread: int) -> None:
        for _ in range(repetitions):
            np.copyto(targets[thread], sources[thread])

    with ThreadPoolExecutor(count) as pool:
        seconds = seconds_per_call(lambda: list(pool.map(copy, range(count))))
    return 1e-9 * count * bytes_per_thread * repetitions / seconds


if __name__ == "__main__":
    line = {
        "gigaflops": gigaflops(),
        "cache_bytes": CACHE_BYTES,
        "cache_gigabytes_per_second": copy_gigabytes_per_second(CACHE_BYTES),
        "memory_gigabytes_per_second": copy_gigabytes_per_second(MEMORY_BYTES // threads()),
    }
    print(json.dumps(line))
