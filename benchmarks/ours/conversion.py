"""A circuit of random gates to Qiskit and back."""

import numpy as np

from benchmarks.harness import Run
from benchmarks.ours import main
from benchmarks.works.conversion import CASES, Case
from qsim import Circuit, Input, Weight
from qsim.interop.qiskit import from_qiskit, to_qiskit

GATES = {"h": 0, "rx": 1, "ry": 1, "rz": 1, "u3": 3, "cx": 0, "cz": 0, "cp": 1, "rxx": 1, "ccx": 0}


def circuit(case: Case) -> Circuit:
    generator = np.random.default_rng(0)
    result = Circuit(case.qubits)
    for k, name in enumerate(generator.choice(list(GATES), case.gates).tolist()):
        size = 3 if name == "ccx" else 2 if name in ("cx", "cz", "cp", "rxx") else 1
        angles = [generator.uniform(), Weight(k), 2 * Input(k % 100) + 0.5]
        where = generator.permutation(case.qubits)[:size].tolist()
        result.append(name, where, [angles[(k + j) % 3] for j in range(GATES[name])])
    return result


def build(case: Case) -> Run:
    given = circuit(case)
    assert from_qiskit(to_qiskit(given)) == given

    def run():
        return float(len(from_qiskit(to_qiskit(given)))), np.zeros(0)

    return run


if __name__ == "__main__":
    main(CASES, build)
