"""Qiskit Aer: the network under the device's noise, density matrices, one run for all inputs."""

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.library import SaveExpectationValue
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime.fake_provider import FakeQuitoV2

from benchmarks.harness import Run, main, threads
from benchmarks.works.noise import CASES, NO_GRADIENT, Case


def network(case: Case) -> tuple[QuantumCircuit, ParameterVector]:
    circuit, x = QuantumCircuit(5), ParameterVector("x", 16)
    for name, qubits, angle in case.gates():
        if angle:
            offset, place, scale = angle
            circuit.rz(offset if place is None else scale * x[place] + offset, *qubits)
        else:
            getattr(circuit, name)(*qubits)
    loss = SparsePauliOp.from_sparse_list([("Z", [k], 1.0) for k in range(4)], 4)
    circuit.append(SaveExpectationValue(loss), case.qubits())
    return circuit, x


def build(case: Case) -> Run:
    circuit, x = network(case)
    inputs, _ = case.angles()
    binds = {x[k]: inputs[:, k].tolist() for k in range(16)}
    simulator = AerSimulator(
        method="density_matrix",
        noise_model=NoiseModel.from_backend(FakeQuitoV2()),
        max_parallel_threads=threads(),
    )

    def run():
        result = simulator.run([circuit], parameter_binds=[binds]).result()
        return sum(result.data(k)["expectation_value"] for k in range(case.batch)), NO_GRADIENT

    return run


if __name__ == "__main__":
    main("Qiskit Aer", "qiskit-aer", "complex128", CASES, build)
