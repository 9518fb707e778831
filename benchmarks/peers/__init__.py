"""The training step of harness.py in other simulators, each run by the Python that has it."""
