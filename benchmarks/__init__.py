"""Speed of the engines beside their peers; `python -m benchmarks` runs everything."""

import os

# OpenMP reads this once, when the first library that uses it is loaded: set it before any is.
os.environ.setdefault("OMP_NUM_THREADS", "1")
