"""How much is pruned, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from qsim.errors import UsageError

Kind: TypeAlias = Literal["angle", "gate", "entangler", "block"]


@dataclass(frozen=True)
class PruneConfig:
    """How much is pruned, and when.

    Attributes:
        target: fraction of the units that is pruned in the end.
        unit: what is pruned as one. "angle": any single angle, as in the paper. "gate": all angles
            of a gate. "entangler": all angles of a gate on two qubits or more; other gates stay. A
            CU3 costs two CX as long as one of its angles is left, so pruning it as a whole loses
            less accuracy per CX saved. "block": all angles of a block of layers.
        start: fraction pruned before the first epoch.
        ramp: part of the epochs in which the fraction rises to `target`; the rest fine-tunes.
    """

    target: float = 0.3
    unit: Kind = "angle"
    start: float = 0.05
    ramp: float = 0.6

    def __post_init__(self) -> None:
        if not (0 <= self.target <= 1 and 0 <= self.start <= 1 and 0 <= self.ramp <= 1):
            raise UsageError(
                "the fraction to prune, at the start and in the end, and the part of the epochs in "
                f"which it rises are from 0 to 1, not {self}"
            )
        if self.unit not in get_args(Kind):
            kinds = ", ".join(map(repr, get_args(Kind)))
            raise UsageError(f"the unit to prune is one of {kinds}, not {self.unit!r}")

    def fraction(self, epoch: int, epochs: int) -> float:
        """Fraction pruned before `epoch`, a cubic (Zhu and Gupta, arXiv:1710.01878)."""
        progress = min(1.0, epoch / max(1.0, self.ramp * epochs))
        return self.target + (min(self.start, self.target) - self.target) * (1 - progress) ** 3
