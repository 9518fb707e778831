"""The works: sizes, data and costs, the same for every contender. Only NumPy is needed."""
