"""Molecules as Hamiltonians of qubits, and the circuits that prepare their states."""
