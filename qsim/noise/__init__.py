"""Noise: channels, noise models, and exact evolution of density matrices."""
