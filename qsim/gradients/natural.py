"""Natural gradients (Stokes et al., arXiv:1909.02108): steps measured by how far states move."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from qsim.circuit import Circuit
from qsim.errors import UsageError
from qsim.gradients.metric import metric_tensor


class QuantumNaturalGradient(Optimizer):
    """w -= lr * (G + damping * I)^-1 grad, with the Fubini-Study metric G of the weights.

    A parameter group has one tensor, the weights of one circuit, and its own metric; groups are
    independent of one another.

    Args:
        params: the weights, or parameter groups such as {"params": [w], "metric": circuit}.
        metric: what gives G: a circuit without inputs whose weights they are; or a function
            without arguments that returns G at the weights of the moment, real [P, P] or
            [batch, P, P], of which the mean is taken:
            lambda: qsim.metric_tensor(circuit, weights, inputs).
        lr: learning rate.
        damping: added to the diagonal of G, which is singular where angles are redundant.
        mode: for a circuit, the metric's "full", "block-diagonal" or "diagonal".

    Raises:
        UsageError: for a group of several tensors or without a metric, and numbers out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        metric: Circuit | Callable[[], Tensor] | None = None,
        lr: float = 0.05,
        damping: float = 1e-3,
        mode: str = "full",
    ) -> None:
        if not lr > 0 or not damping >= 0:
            raise UsageError(f"lr is positive and damping 0 or more, not {lr} and {damping}")
        super().__init__(params, {"metric": metric, "lr": lr, "damping": damping, "mode": mode})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add weights with their metric."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        problem = ""
        if len(group["params"]) != 1:
            problem = f"{len(group['params'])} tensors"
        elif not isinstance(group["metric"], Circuit) and not callable(group["metric"]):
            problem = f"the metric {group['metric']!r}"
        if problem:
            self.param_groups.pop()
            raise UsageError(
                "a parameter group of QuantumNaturalGradient is one tensor, with a circuit or a "
                f"function as its metric, not {problem}: give each tensor a group of its own"
            )

    def state_dict(self) -> dict[str, Any]:
        """As of every optimizer, but without the metrics, which are code: fit to be saved."""
        state = super().state_dict()
        for group in state["param_groups"]:
            del group["metric"]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the numbers of another one's state; the metrics stay what they are."""
        metrics = [group["metric"] for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, metric in zip(self.param_groups, metrics, strict=True):
            group["metric"] = metric

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; with a closure, it computes the loss and its gradient first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            (weights,) = group["params"]
            if weights.grad is not None:
                weights -= group["lr"] * self._direction(weights, group)
        return loss

    def _direction(self, weights: Tensor, group: dict[str, Any]) -> Tensor:
        source = group["metric"]
        if isinstance(source, Circuit):
            metric = metric_tensor(source, weights.flatten(), mode=group["mode"])
        else:
            metric = source()
        metric = metric.detach().to(weights)
        metric = metric.mean(0) if metric.dim() == 3 else metric
        count = weights.numel()
        if metric.shape != (count, count):
            raise UsageError(
                f"a metric of shape {list(metric.shape)} does not fit {count} weights: "
                f"it is [{count}, {count}] or [batch, {count}, {count}]"
            )
        damped = metric + group["damping"] * torch.eye(count, dtype=metric.dtype).to(metric.device)
        solved, failed = torch.linalg.solve_ex(damped, weights.grad.flatten())  # type: ignore[union-attr]
        if int(failed):
            raise UsageError("the metric is singular at these weights: take a larger damping")
        return solved.view_as(weights)
