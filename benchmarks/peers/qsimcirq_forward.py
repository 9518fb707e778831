"""Google's qsim: one large state, gates fused up to four qubits."""

import cirq
import qsimcirq

from benchmarks.harness import Run, main, threads
from benchmarks.works.forward import CASES, NO_GRADIENT, Case


def build(case: Case) -> Run:
    qubits = cirq.LineQubit.range(case.qubits)
    circuit = cirq.Circuit()
    for layer in case.angles():
        for qubit, (x, y, z) in zip(qubits, layer, strict=True):
            circuit.append([cirq.rx(x)(qubit), cirq.ry(y)(qubit), cirq.rz(z)(qubit)])
        for k, qubit in enumerate(qubits):
            circuit.append(cirq.CNOT(qubit, qubits[(k + 1) % case.qubits]))
    options = qsimcirq.QSimOptions(max_fused_gate_size=4, cpu_threads=threads())
    simulator = qsimcirq.QSimSimulator(options)
    measured = [cirq.Z(qubits[0])]

    def run():
        (value,) = simulator.simulate_expectation_values(circuit, measured)
        return value.real, NO_GRADIENT

    return run


if __name__ == "__main__":
    main("qsim (Google, fusion 4)", "qsimcirq", "complex64", CASES, build)
