"""Gradients of circuits."""
