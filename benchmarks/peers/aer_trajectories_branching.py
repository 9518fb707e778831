"""Qiskit Aer with shot branching: shots share a statevector until their errors differ."""

from functools import partial

from benchmarks.harness import main
from benchmarks.peers.aer_trajectories import build
from benchmarks.works.trajectories import CASES

if __name__ == "__main__":
    branching = partial(build, shot_branching_enable=True, shot_branching_sampling_enable=True)
    main("Qiskit Aer", "qiskit-aer", "complex64", CASES, branching)
