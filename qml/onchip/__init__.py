"""On-chip training: gradients measured on the device itself, QOC (arXiv:2202.13239)."""
