"""Search by gradients: layers that choose among candidates while they are trained."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, softmax

from classical.data.images import Split
from classical.errors import UsageError
from classical.nas.mobilenet import MobileNet, inverted_residual
from classical.nas.plan import BlockPlan, Plan


class Choice(nn.Module):
    """One of several candidates, by the probabilities softmax(alpha).

    alpha is learned by `ArchitectureStep` alone: it takes no gradient from `train`.
    """

    costs: Tensor

    def __init__(self, candidates: Iterable[nn.Module], costs: Sequence[float] = ()) -> None:
        """Take the candidates, which have the same shapes.

        Args:
            candidates: two or more layers.
            costs: of each, such as seconds of a `LatencyTable`; none by default.

        Raises:
            UsageError: for fewer candidates, or another number of costs.
        """
        super().__init__()
        self.candidates = nn.ModuleList(candidates)
        number = len(self.candidates)
        if number < 2 or len(costs) not in (0, number):
            raise UsageError(
                "a choice takes two candidates or more and a cost for each or for none, "
                f"not {number} candidates and {len(costs)} costs"
            )
        self.alpha = nn.Parameter(torch.zeros(number), requires_grad=False)
        self.register_buffer("costs", torch.tensor(costs or [0.0] * number))

    @property
    def probabilities(self) -> Tensor:
        """Of the candidates [N]."""
        return softmax(self.alpha, 0)

    @property
    def expected_cost(self) -> Tensor:
        """Mean cost under the probabilities, differentiable in alpha."""
        return self.probabilities @ self.costs

    @property
    def best(self) -> nn.Module:
        """The most probable candidate."""
        return self.candidates[int(self.alpha.argmax())]


class SoftChoice(Choice):
    """All candidates, weighted by their probabilities (DARTS, Liu et al., arXiv:1806.09055)."""

    def forward(self, x: Tensor) -> Tensor:
        """Features -> the weighted sum of all candidates' features."""
        outputs = [candidate(x) for candidate in self.candidates]
        terms = [p * y for p, y in zip(self.probabilities, outputs, strict=True)]
        return torch.stack(terms).sum(0)


class PathGates(Choice):
    """One candidate at a time, drawn by its probability (ProxylessNAS, arXiv:1812.00332).

    In a step of alpha two are drawn, and the gate between them, 0 or 1, hands its gradient on to
    their probabilities (section 3.2 and its two-path trick); memory does not grow with the number
    of candidates. In evaluation the most probable one is taken.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Features -> those of one candidate."""
        if not self.training:
            y: Tensor = self.best(x)
            return y
        drawn = self.probabilities.detach().multinomial(2 if self.alpha.requires_grad else 1)
        if len(drawn) == 1:
            y = self.candidates[int(drawn)](x)
            return y
        between = softmax(self.alpha[drawn], 0)
        open_ = one_hot(between.detach().multinomial(1), 2)[0]
        gates = open_ + between - between.detach()
        first, second = (
            gate * self.candidates[int(k)](x) for gate, k in zip(gates, drawn, strict=True)
        )
        return first + second


def choices(model: nn.Module) -> list[Choice]:
    """The choices of a model that are still open.

    Raises:
        UsageError: if there are none.
    """
    found = [module for module in model.modules() if isinstance(module, Choice)]
    if not found:
        raise UsageError(
            f"{type(model).__name__} has nothing to choose: put SoftChoice or PathGates into it"
        )
    return found


class ArchitectureStep:
    """A step of alpha on validation images after each of the weights: a hook for `train`.

    First order, as in the fast variants of both papers, DARTS (arXiv:1806.09055) and ProxylessNAS
    (arXiv:1812.00332). The loss is the cross-entropy plus
    `cost_weight` times the expected cost of all choices over that with equal probabilities.

    Example:
        train(model, data, after_step=[ArchitectureStep(model, data.valid, cost_weight=0.1)])
        net = chosen(model)
    """

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        lr: float = 0.02,
        cost_weight: float = 0.0,
        warm_up: int = 0,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        """Take the choices of a model and the images that decide.

        Args:
            model: it has the choices.
            split: images that the weights do not learn from.
            lr: of Adam.
            cost_weight: of the expected cost beside the cross-entropy.
            warm_up: steps of the weights before the first of alpha. Without them a candidate that
                learns slowly loses against one that has nothing to learn.
            batch_size: images a step.
            seed: of their order.

        Raises:
            UsageError: for a model without choices.
        """
        self.choices = choices(model)
        self.alphas = [choice.alpha for choice in self.choices]
        self.optimizer = torch.optim.Adam(self.alphas, lr, betas=(0.5, 0.999))
        self.split = split
        self.cost_weight = cost_weight
        self.warm_up = warm_up
        self.reference = max(float(self._cost().detach()), 1e-12)
        self._batches = self._drawn(batch_size, seed)

    def __call__(self, model: nn.Module) -> None:
        """One step of alpha; weights stay."""
        if self.warm_up > 0:
            self.warm_up -= 1
            return
        x, y = next(self._batches)
        for alpha in self.alphas:
            alpha.requires_grad_(True)
        loss = cross_entropy(model(x), y) + self.cost_weight * self._cost() / self.reference
        gradients = torch.autograd.grad(loss, self.alphas)
        for alpha, gradient in zip(self.alphas, gradients, strict=True):
            alpha.requires_grad_(False)
            alpha.grad = gradient
        self.optimizer.step()

    def _cost(self) -> Tensor:
        return torch.stack([choice.expected_cost for choice in self.choices]).sum()

    def _drawn(self, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        while True:
            for index in torch.randperm(len(self.split), generator=generator).split(batch_size):
                yield self.split.x[index], self.split.y[index]


def chosen(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode with the most probable candidate in place of every choice.

    Raises:
        UsageError: for a model without choices.
    """
    choices(model)
    return _without_choices(copy.deepcopy(model)).eval()


def _without_choices(module: nn.Module) -> nn.Module:
    if isinstance(module, Choice):
        return _without_choices(module.best)
    for name, child in module.named_children():
        setattr(module, name, _without_choices(child))
    return module


def with_choices(
    plan: Plan,
    kernels: Sequence[int] = (3, 5, 7),
    expansions: Sequence[int] = (3, 6),
    choice: type[Choice] = PathGates,
) -> MobileNet:
    """A network whose blocks choose their kernel and expansion, or to be left out where they can.

    The search space of ProxylessNAS (arXiv:1812.00332); costs are MACs.

    Args:
        plan: everything else; its kernels and expansions do not matter.
        kernels, expansions: of the candidates.
        choice: `PathGates` or `SoftChoice`.
    """
    model = MobileNet(plan)
    side = -(-plan.resolution // plan.stem_stride)
    for stage, blocks in zip(model.stages, plan.stages, strict=True):
        for number, block in enumerate(blocks):
            options = [
                BlockPlan(block.inputs, block.outputs, kernel, block.stride, expansion)
                for kernel in kernels
                for expansion in expansions
            ]
            costs = [float(sum(layer.macs for layer in o.layers(side))) for o in options]
            layers: list[nn.Module] = [inverted_residual(option) for option in options]
            if block.residual:
                layers.append(nn.Identity())
                costs.append(0.0)
            stage.register_module(str(number), choice(layers, costs))
            side = options[0].layers(side)[-1].side_out
    return model
