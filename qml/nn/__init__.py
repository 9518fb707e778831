"""Circuits to learn with: layers, encoders, templates, and modules of PyTorch."""
