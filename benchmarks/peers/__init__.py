"""The works in other simulators, each run by the Python that has it."""
