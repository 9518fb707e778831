"""Who takes part in which work. The first of each work is what the others are compared with."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Case
from benchmarks.works import (
    candidates,
    conversion,
    forward,
    hamiltonian,
    noise,
    noise_gradient,
    step,
    structure,
    trajectories,
)


@dataclass(frozen=True)
class Contender:
    name: str
    module: str
    threads: int = 1
    environment: str | None = None  # folder below --peers; None: the Python that runs this

    def python(self, peers: Path | None) -> str | None:
        """The interpreter, or None where the environment is not installed."""
        if self.environment is None:
            return sys.executable
        path = peers / self.environment / "bin" / "python" if peers else None
        return str(path) if path and path.exists() else None


@dataclass(frozen=True)
class Work:
    cases: Sequence[Case]
    contenders: Sequence[Contender]

    @property
    def threads(self) -> set[int]:
        return {contender.threads for contender in self.contenders}


WORKS = {
    "step": Work(
        step.CASES,
        (
            Contender("Efficient QML", "ours.step"),
            Contender("Efficient QML, 2 threads", "ours.step", threads=2),
            Contender("TorchQuantum", "peers.torchquantum_step", environment="tq"),
            Contender("Qulacs", "peers.qulacs_step", environment="main"),
            Contender("TensorCircuit-NG (JAX)", "peers.tensorcircuit_step", environment="main"),
            Contender(
                "PennyLane default.qubit", "peers.pennylane_default_step", environment="main"
            ),
            Contender("PennyLane lightning.qubit", "peers.lightning_step", environment="main"),
        ),
    ),
    "forward": Work(
        forward.CASES,
        (
            Contender("Efficient QML", "ours.forward", 2),
            Contender("qsim (Google, fusion 4)", "peers.qsimcirq_forward", 2, "main"),
            Contender("Qiskit Aer", "peers.aer_forward", 2, "main"),
            Contender("Qulacs", "peers.qulacs_forward", 2, "main"),
            Contender("PennyLane lightning.qubit", "peers.lightning_forward", 2, "main"),
        ),
    ),
    "hamiltonian": Work(
        hamiltonian.CASES,
        (
            Contender("Efficient QML", "ours.hamiltonian"),
            Contender("PennyLane lightning.qubit", "peers.lightning_hamiltonian", 1, "main"),
        ),
    ),
    "structure": Work(
        structure.CASES,
        (
            Contender("Efficient QML, structures repeated", "ours.structure_repeated"),
            Contender("Efficient QML, a new structure every step", "ours.structure_new"),
        ),
    ),
    "noise": Work(
        noise.CASES,
        (
            Contender("Efficient QML", "ours.noise"),
            Contender("Qiskit Aer", "peers.aer_noise", environment="main"),
        ),
    ),
    "noise_gradient": Work(
        noise_gradient.CASES, (Contender("Efficient QML", "ours.noise_gradient"),)
    ),
    "candidates": Work(candidates.CASES, (Contender("Efficient QML", "ours.candidates", 2),)),
    "trajectories": Work(
        trajectories.CASES,
        (
            Contender("Efficient QML", "ours.trajectories"),
            Contender("Qiskit Aer", "peers.aer_trajectories", environment="main"),
            Contender(
                "Qiskit Aer, shot branching",
                "peers.aer_trajectories_branching",
                environment="main",
            ),
        ),
    ),
    "conversion": Work(conversion.CASES, (Contender("Efficient QML", "ours.conversion"),)),
}
