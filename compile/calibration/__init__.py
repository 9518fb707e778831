"""Calibrations of devices: as files, as parts of Qiskit targets, and how they drift."""
