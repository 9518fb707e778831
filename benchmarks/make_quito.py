"""Writes works/quito.json with Qiskit: see works/noise.py."""

import json
from dataclasses import replace

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import ParameterExpression, ParameterVector
from qiskit_ibm_runtime.fake_provider import FakeQuitoV2

from benchmarks.works.noise import FILE
from qsim import NoiseModel

QUBITS, LAYERS = 4, 4


def network() -> QuantumCircuit:
    circuit = QuantumCircuit(QUBITS)
    inputs = iter(ParameterVector("x", 4 * QUBITS))
    weights = iter(np.random.default_rng(0).uniform(-3, 3, 6 * LAYERS * QUBITS))
    for name in ("rx", "ry", "rz", "rx"):
        for qubit in range(QUBITS):
            getattr(circuit, name)(next(inputs), qubit)
    for _ in range(LAYERS):
        for qubit in range(QUBITS):
            circuit.u(next(weights), next(weights), next(weights), qubit)
        for qubit in range(QUBITS):
            angles = (next(weights), next(weights), next(weights))
            circuit.cu(*angles, 0, qubit, (qubit + 1) % QUBITS)
    return circuit


def angle(value: float | ParameterExpression) -> list[float | int | None]:
    """[offset, input or None, scale] of an angle that is affine in one input at most."""
    if not isinstance(value, ParameterExpression) or not value.parameters:
        return [float(value), None, 0.0]
    (parameter,) = value.parameters
    return [float(value.bind({parameter: 0.0})), parameter.index, float(value.gradient(parameter))]


def main() -> None:
    device = FakeQuitoV2()
    compiled = transpile(network(), device, optimization_level=2, seed_transpiler=0)
    place = {qubit: k for k, qubit in enumerate(compiled.qubits)}
    noise = replace(NoiseModel.from_backend(device), readout=())
    content = {
        "gates": [
            (
                step.operation.name,
                [place[qubit] for qubit in step.qubits],
                angle(step.operation.params[0]) if step.operation.params else None,
            )
            for step in compiled.data
        ],
        "qubits": compiled.layout.final_index_layout(),
        "edges": sorted(device.target["cx"]),
        "noise": noise.to_dict(),
    }
    FILE.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
