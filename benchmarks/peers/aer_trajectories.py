"""Qiskit Aer: statevectors, a new one for each shot."""

from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error, thermal_relaxation_error

from benchmarks.harness import Run, main, threads
from benchmarks.works.trajectories import CASES, NO_GRADIENT, PARAMETERS, T1, T2, TIMES, Case


def noise(case: Case) -> NoiseModel:
    model = NoiseModel()
    if case.kind == "pauli":
        for size, (name, parameter) in enumerate(PARAMETERS.items(), 1):
            model.add_all_qubit_quantum_error(depolarizing_error(parameter, size), [name])
    else:
        alone, each = (thermal_relaxation_error(T1, T2, TIMES[name]) for name in ("ry", "cx"))
        model.add_all_qubit_quantum_error(alone, ["ry"])
        model.add_all_qubit_quantum_error(each.tensor(each), ["cx"])
    return model


def build(case: Case, **options: bool) -> Run:
    circuit = QuantumCircuit(case.qubits)
    for name, qubits, angles in case.operations():
        getattr(circuit, name)(*angles, *qubits)
    circuit.measure_all()
    simulator = AerSimulator(
        method="statevector",
        precision="single",
        noise_model=noise(case),
        max_parallel_threads=threads(),
        seed_simulator=0,
        **options,
    )

    def run():
        result = simulator.run(circuit, shots=case.shots).result()
        return case.loss(result.get_counts()), NO_GRADIENT

    return run


if __name__ == "__main__":
    main("Qiskit Aer", "qiskit-aer", "complex64", CASES, build)
