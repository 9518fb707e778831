"""Search by several objectives at once: what is ranked first is not dominated by anything.

objectives = ("score", "two_qubit_gates", "depth")
rank = ParetoRank(objectives)
search = EvolutionarySearch(space, evaluations, SearchConfig(), seed=0, rank=rank)
search.run()
plot_front(pareto_front(evaluations.found, objectives))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from qml.nas.evaluation import Evaluation
from qml.nas.search import Ranked
from qsim.errors import UsageError, need

OBJECTIVES = ("score", "two_qubit_gates", "depth")
_NAMES = ("error", *(f.name for f in fields(Evaluation) if f.name not in ("accuracy", "esp")))


class ParetoRank:
    """Ranks as NSGA-II (Deb et al., IEEE Trans. Evol. Comput. 6, 182 (2002)), by pymoo.

    Evaluations that no other dominates come first, then those that only these dominate, and so on;
    of each such front those come first that are far from their neighbours.

    Args:
        objectives: names of what is to be small: "score", "loss", "error" under noise,
            "two_qubit_gates", "depth".

    Raises:
        UsageError: for other objectives, or if the extra `nas` is not installed.
    """

    def __init__(self, objectives: Sequence[str] = OBJECTIVES) -> None:
        _check(objectives)
        self.objectives = tuple(objectives)

    def __call__(self, evaluations: Sequence[Evaluation]) -> list[int]:
        crowding = _pymoo("operators.survival.rank_and_crowding.metrics")
        values = _values(evaluations, self.objectives)
        order: list[int] = []
        for front in _sorting().do(values):
            distances = crowding.calc_crowding_distance(values[front])
            order += [int(front[place]) for place in np.argsort(-distances, kind="stable")]
        return order


def pareto_front(found: Sequence[Ranked], objectives: Sequence[str] = OBJECTIVES) -> list[Ranked]:
    """What nothing in `found` dominates, smallest first objective first.

    Args:
        found: genes and their evaluations, such as `Evaluations.found`.
        objectives: as for `ParetoRank`; errors, too.
    """
    _check(objectives)
    values = _values([evaluation for _, evaluation in found], objectives)
    front = _sorting().do(values, only_non_dominated_front=True)
    return [found[place] for place in sorted(front, key=lambda place: tuple(values[place]))]


def _check(objectives: Sequence[str]) -> None:
    unknown = [name for name in objectives if name not in _NAMES]
    if unknown or not objectives:
        raise UsageError(
            f"the objectives of a search are among {', '.join(_NAMES)}, not {list(objectives)}"
        )
    _sorting()


def _values(evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> np.ndarray:
    """Float [evaluations, objectives]."""
    rows = [[getattr(found, name) for name in objectives] for found in evaluations]
    return np.array(rows, dtype=float).reshape(len(rows), len(objectives))


def _sorting() -> Any:
    return _pymoo("util.nds.non_dominated_sorting").NonDominatedSorting()


def _pymoo(module: str) -> Any:
    return need(f"pymoo.{module}", extra="nas", purpose="searching by several objectives")
