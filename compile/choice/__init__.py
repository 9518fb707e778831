"""Choosing among many ways to compile a circuit: variants, candidates, placements, search."""
