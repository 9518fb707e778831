"""QuantumNAS: design spaces, SuperCircuit, co-search of circuit and qubits."""
