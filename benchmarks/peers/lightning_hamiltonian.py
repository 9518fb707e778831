"""PennyLane lightning.qubit: a Hamiltonian as one observable, gradients by the adjoint method.

Terms are grouped by commuting qubit by qubit, which takes seconds once and saves a little after.
"""

import numpy as np
import pennylane as qml

from benchmarks.harness import Run, main
from benchmarks.peers.pennylane import add_layers, training
from benchmarks.works.hamiltonian import CASES, Case


def build(case: Case) -> Run:
    wires = range(case.qubits)
    words = [
        qml.pauli.string_to_pauli_word(text[::-1], dict(zip(wires, wires, strict=True)))
        for text in case.hamiltonian
    ]
    hamiltonian = qml.Hamiltonian(list(case.hamiltonian.values()), words, grouping_type="qwc")

    @qml.qnode(
        qml.device("lightning.qubit", wires=case.qubits, c_dtype=np.complex64),
        interface="torch",
        diff_method="adjoint",
    )
    def circuit(angles):
        add_layers(case.qubits, angles)
        return qml.expval(hamiltonian)

    return training(case.angles(), circuit)


if __name__ == "__main__":
    main("PennyLane lightning.qubit", "pennylane-lightning", "complex64", CASES, build)
