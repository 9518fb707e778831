"""The work of noise.py with the gradient of all weights."""

from dataclasses import dataclass

from benchmarks.costs import Cost
from benchmarks.works import noise

NO_GRADIENT = noise.NO_GRADIENT


@dataclass(frozen=True)
class Case(noise.Case):
    def cost(self) -> Cost:
        """Once forward for the value, once more to go back, which takes two vectors."""
        value = super().cost()
        return Cost(4 * value.flops, 4 * value.bytes, 2 * value.working_set)


CASES = (Case(500),)
