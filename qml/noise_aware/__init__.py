"""Training for noisy devices: QuantumNAT (arXiv:2110.11331), and through the exact noise itself."""
