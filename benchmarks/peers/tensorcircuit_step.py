"""TensorCircuit-NG on JAX: compiled by XLA, the batch by vmap.

Layers are scanned: that compiles faster than the unrolled circuit and runs no slower.
"""

import jax
import jax.numpy as jnp
import numpy as np
import tensorcircuit as tc

from benchmarks.harness import Run, main
from benchmarks.works.step import CASES, Case


def build(case: Case) -> Run:
    inputs, weights = case.angles()
    tc.set_backend("jax")
    tc.set_dtype("complex64")

    def apply_layer(state: jax.Array, angles: jax.Array) -> tuple[jax.Array, None]:
        circuit = tc.Circuit(case.qubits, inputs=state)
        for qubit in range(case.qubits):
            circuit.rx(qubit, theta=angles[qubit, 0])
            circuit.ry(qubit, theta=angles[qubit, 1])
            circuit.rz(qubit, theta=angles[qubit, 2])
        for qubit in range(case.qubits):
            circuit.cnot(qubit, (qubit + 1) % case.qubits)
        return circuit.state(), None

    def z_sum(x: jax.Array, angles: jax.Array) -> jax.Array:
        encoder = tc.Circuit(case.qubits)
        for qubit in range(case.qubits):
            encoder.ry(qubit, theta=x[qubit])
        state, _ = jax.lax.scan(apply_layer, encoder.state(), angles)
        probabilities = (jnp.abs(state) ** 2).reshape((2,) * case.qubits)
        total = jnp.float32(0)
        for qubit in range(case.qubits):
            others = tuple(axis for axis in range(case.qubits) if axis != qubit)
            up, down = probabilities.sum(axis=others)
            total += up - down
        return total

    def loss(x: jax.Array, angles: jax.Array) -> jax.Array:
        return jax.vmap(z_sum, (0, None))(x, angles).sum()

    value_and_gradient = jax.jit(jax.value_and_grad(loss, argnums=1))
    x = jnp.asarray(inputs, dtype=jnp.float32)
    parameters = jnp.asarray(weights, dtype=jnp.float32)

    def run():
        value, gradient = value_and_gradient(x, parameters)
        return float(value), np.asarray(gradient)

    return run


if __name__ == "__main__":
    main("TensorCircuit-NG (JAX)", "tensorcircuit-ng", "complex64", CASES, build)
