"""PennyLane lightning.qubit: one large state by C++ kernels, gate after gate."""

import numpy as np
import pennylane as qml

from benchmarks.harness import Run, main
from benchmarks.peers.pennylane import add_layers
from benchmarks.works.forward import CASES, NO_GRADIENT, Case


def build(case: Case) -> Run:
    weights = case.angles()

    @qml.qnode(qml.device("lightning.qubit", wires=case.qubits, c_dtype=np.complex64))
    def circuit():
        add_layers(case.qubits, weights)
        return qml.expval(qml.Z(0))

    return lambda: (float(circuit()), NO_GRADIENT)


if __name__ == "__main__":
    main("PennyLane lightning.qubit", "pennylane-lightning", "complex64", CASES, build)
