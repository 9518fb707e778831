"""PennyLane lightning.qubit: C++ kernels, one sample at a time, gradients by the adjoint method."""

from typing import Any

import numpy as np
import pennylane as qml

from benchmarks.harness import main
from benchmarks.peers.pennylane import step_builder
from benchmarks.works.step import CASES, Case


def options(case: Case) -> dict[str, Any]:
    """With device_vjp, one adjoint pass serves all observables: faster where states are large."""
    return {
        "device": qml.device("lightning.qubit", wires=case.qubits, c_dtype=np.complex64),
        "diff_method": "adjoint",
        "device_vjp": case.qubits > 12,
    }


if __name__ == "__main__":
    main(
        "PennyLane lightning.qubit",
        "pennylane-lightning",
        "complex64",
        CASES,
        step_builder(options),
    )
