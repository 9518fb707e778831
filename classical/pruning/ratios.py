"""How much to prune where, under a budget: the same everywhere, or by NetAdapt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from classical.errors import UsageError
from classical.pruning.pruner import Cost, Evaluate, Model, Pruner

LIMIT = 0.9
"""The most that is taken from any layer."""


def uniform(
    model: nn.Module, pruner: Pruner, cost: Cost, budget: float, *, limit: float = LIMIT
) -> dict[str, float]:
    """The least ratio that meets the budget if it is the same for all.

        macs = lambda model: count_macs(model, x)
        smaller = pruner(model, uniform(model, pruner, macs, 0.5))

    Args:
        model: it stays as it is.
        pruner: what prunes it.
        cost: what counts.
        budget: fraction of the model's cost that may stay, in (0, 1].
        limit: the most to prune of each.

    Raises:
        UsageError: for a budget outside (0, 1], or one that the limit does not reach.
    """
    names = pruner.names(model)
    allowed = allowance(model, cost, budget)
    return dict.fromkeys(
        names,
        reach(lambda ratio: cost(pruner(model, dict.fromkeys(names, ratio))), allowed, limit),
    )


def allowance(model: nn.Module, cost: Cost, budget: float) -> float:
    """The cost that may stay. Raises UsageError for a budget outside (0, 1]."""
    if not 0 < budget <= 1:
        raise UsageError(
            f"the budget is the fraction of the cost that may stay, from 0 to 1, not {budget}"
        )
    return budget * cost(model)


def reach(cost_at: Callable[[float], float], allowed: float, limit: float = LIMIT) -> float:
    """The least ratio, to one in a thousand, at which the cost is allowed.

    Raises:
        UsageError: if it is not at the limit either.
    """
    if cost_at(0.0) <= allowed:
        return 0.0
    least = cost_at(limit)
    if least > allowed:
        raise UsageError(
            f"a cost of {allowed:g} is out of reach: pruning {limit:.0%} leaves {least:g}; raise "
            "the budget, or take a cost that the pruner lowers (masks lower no MACs)"
        )
    low, high = 0.0, limit
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if cost_at(middle) <= allowed else (middle, high)
    return high


@dataclass(frozen=True)
class Adaptation:
    """One step of NetAdapt: what was pruned, by how much of what it had, and what came of it."""

    name: str
    ratio: float
    cost: float
    score: float


def netadapt(
    model: Model,
    pruner: Pruner,
    cost: Cost,
    budget: float,
    evaluate: Evaluate,
    *,
    steps: int = 5,
    tune: Callable[[nn.Module], object] = lambda model: None,
    names: Sequence[str] | None = None,
) -> tuple[Model, list[Adaptation]]:
    """Prune step by step, each time the one layer that costs least quality (arXiv:1804.03230).

    In every step each layer by itself is pruned until the cost falls by the same amount, and
    fine-tuned for a short time; the best of these models goes on.

    Args:
        model: it stays as it is.
        pruner: what prunes it.
        cost: what counts, also measured latency.
        budget: fraction of the model's cost that may stay, in (0, 1].
        evaluate: how good a model is.
        steps: in which the budget is reached.
        tune: short fine-tuning of a model in place.
        names: what to prune; by default all that the pruner knows.

    Returns:
        the pruned model, to be fine-tuned at length, and the steps.

    Raises:
        UsageError: for a budget outside (0, 1], less than one step, or if the budget is not reached
            when no layer can lower the cost any more.
    """
    if steps < 1:
        raise UsageError(f"NetAdapt takes one step or more, not {steps}")
    allowed = allowance(model, cost, budget)
    start = cost(model)
    taken: list[Adaptation] = []
    while (now := cost(model)) > allowed:
        target = max(allowed, now - (start - allowed) / steps)
        found = []
        for name in pruner.names(model) if names is None else names:
            proposal = _proposal(model, pruner, cost, name, target)
            if proposal is not None:
                smaller, ratio = proposal
                tune(smaller)
                found.append((smaller, Adaptation(name, ratio, cost(smaller), evaluate(smaller))))
        if not found:
            raise UsageError(
                f"a cost of {allowed:g} is out of reach: at {now:g} no single layer lowers it to "
                f"{target:g}; take more steps, or raise the budget"
            )
        model, step = max(found, key=lambda pair: pair[1].score)
        taken.append(step)
    return model, taken


def _proposal(
    model: Model, pruner: Pruner, cost: Cost, name: str, target: float
) -> tuple[Model, float] | None:
    try:
        ratio = reach(lambda ratio: cost(pruner(model, {name: ratio})), target)
    except UsageError:
        return None
    return pruner(model, {name: ratio}), ratio
