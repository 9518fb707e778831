"""PennyLane default.qubit: torch tensors, gradients by backpropagation."""

from typing import Any

import pennylane as qml

from benchmarks.harness import main
from benchmarks.peers.pennylane import step_builder
from benchmarks.works.step import CASES, Case


def options(case: Case) -> dict[str, Any]:
    device = qml.device("default.qubit", wires=case.qubits)
    return {"device": device, "diff_method": "backprop"}


if __name__ == "__main__":
    main("PennyLane default.qubit", "pennylane", "complex128", CASES, step_builder(options))
