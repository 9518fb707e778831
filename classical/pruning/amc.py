"""AMC: a small actor-critic that learns how much to prune where.

He et al., "AMC: AutoML for model compression" (arXiv:1802.03494). An episode walks through the
layers; for each the agent sees what it is and what was done so far, and says which ratio to prune.
The reward of all decisions is the quality of the pruned model, without fine-tuning. The agent is
DDPG (arXiv:1509.02971) with noise that fades. Ratios are raised where the budget would otherwise be
out of reach for the layers to come.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.pruning.pruner import Cost, Evaluate, Pruner
from classical.pruning.ratios import LIMIT, allowance, reach

_FEATURES = 6


@dataclass(frozen=True)
class AMCConfig:
    """Settings of the search.

    Attributes:
        episodes: models that are evaluated.
        warm_up: the first of them, at random.
        noise: standard deviation of exploration after it, of ratios.
        decay: of the noise, an episode.
        updates: of the networks, an episode.
        limit: the most to prune of each.
    """

    episodes: int = 100
    warm_up: int = 25
    noise: float = 0.4
    decay: float = 0.95
    updates: int = 20
    limit: float = LIMIT

    def __post_init__(self) -> None:
        if not 0 < self.warm_up < self.episodes or not 0 < self.limit < 1:
            raise UsageError(
                "AMC takes one episode of warm-up or more, and more after it, and a limit between "
                f"0 and 1, not {self}"
            )


@dataclass(frozen=True)
class Policy:
    """What was found.

    Attributes:
        ratios: the best.
        score: of the model that they give.
        scores: of all episodes.
    """

    ratios: dict[str, float]
    score: float
    scores: tuple[float, ...]


def amc(
    model: nn.Module,
    pruner: Pruner,
    cost: Cost,
    budget: float,
    evaluate: Evaluate,
    *,
    config: AMCConfig | None = None,
    seed: int = 0,
) -> Policy:
    """Learn ratios under a budget.

        policy = amc(model, pruner, macs, 0.5, lambda model: accuracy(model, data.valid))
        smaller = pruner(model, policy.ratios)

    Args:
        model: trained; it stays as it is.
        pruner: what prunes it.
        cost: what counts.
        budget: fraction of the model's cost that may stay, in (0, 1].
        evaluate: the reward, near 1 at best.
        config: of the search.
        seed: of the agent.

    Raises:
        UsageError: for a budget outside (0, 1], or one that the limit does not reach.
    """
    config = config or AMCConfig()
    walk = _Walk(model, pruner, cost, allowance(model, cost, budget), config.limit)
    scores: list[float] = []
    best: tuple[float, dict[str, float]] = (-float("inf"), {})
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        agent = _Agent(config.limit)
        for episode in range(config.episodes):
            past = max(0, episode - config.warm_up)
            noise = float("inf") if episode < config.warm_up else config.noise
            path, ratios = walk(partial(agent.act, noise=noise * config.decay**past))
            scores.append(evaluate(pruner(model, ratios)))
            best = max(best, (scores[-1], ratios), key=lambda pair: pair[0])
            agent.remember(path, scores[-1])
            if episode >= config.warm_up:
                agent.learn(config.updates)
    return Policy(best[1], best[0], tuple(scores))


class Transition(NamedTuple):
    """A decision: features [F] before it, the ratio, features after it, whether it was the last."""

    state: Tensor
    action: float
    following: Tensor
    last: bool


class _Walk:
    """An episode: through the layers, asking for a ratio in each."""

    def __init__(
        self, model: nn.Module, pruner: Pruner, cost: Cost, allowed: float, limit: float
    ) -> None:
        self.names = pruner.names(model)
        self.limit = limit
        self.allowed = allowed
        self.full = cost(model)
        self._known: dict[tuple[float, ...], float] = {}

        def counted(ratios: dict[str, float]) -> float:
            key = tuple(ratios.get(name, 0.0) for name in self.names)
            if key not in self._known:
                self._known[key] = cost(pruner(model, ratios))
            return self._known[key]

        self.cost = counted
        self.shares = [1 - counted({name: limit}) / self.full for name in self.names]

    def __call__(
        self, choose: Callable[[Tensor], float]
    ) -> tuple[list[Transition], dict[str, float]]:
        ratios: dict[str, float] = {}
        states, actions = [self._state(ratios)], []
        for place, name in enumerate(self.names):
            rest = dict.fromkeys(self.names[place + 1 :], self.limit)
            action = choose(states[-1])
            if self.cost(ratios | {name: action} | rest) > self.allowed:
                # Raised to what the layers to come can make up for.
                action = reach(
                    partial(self._cost_at, ratios | rest, name), self.allowed, self.limit
                )
            ratios[name] = action
            actions.append(action)
            states.append(self._state(ratios))
        steps = zip(states, actions, states[1:], strict=False)
        path = [
            Transition(before, action, after, k == len(actions) - 1)
            for k, (before, action, after) in enumerate(steps)
        ]
        return path, ratios

    def _cost_at(self, others: dict[str, float], name: str, ratio: float) -> float:
        return self.cost(others | {name: ratio})

    def _state(self, ratios: dict[str, float]) -> Tensor:
        """Where it is, what this layer can save, and the others; what is saved, what has to be."""
        place = min(len(ratios), len(self.names) - 1)
        return torch.tensor(
            [
                len(ratios) / len(self.names),
                self.shares[place],
                sum(self.shares[place + 1 :]),
                self.cost(ratios) / self.full,
                self.allowed / self.full,
                list(ratios.values())[-1] if ratios else 0.0,
            ]
        )


def _network(inputs: int, *last: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), *last
    )


@dataclass
class _Agent:
    """Deep deterministic policy gradients with a moving average of rewards as baseline."""

    limit: float
    batch: int = 64
    follow: float = 0.01
    memory: list[tuple[Transition, float]] = field(default_factory=list)
    baseline: float = 0.0

    def __post_init__(self) -> None:
        self.actor = _network(_FEATURES, nn.Sigmoid())
        self.critic = _network(_FEATURES + 1)
        self.slow = copy.deepcopy((self.actor, self.critic))
        self.actor_steps = torch.optim.Adam(self.actor.parameters(), 1e-3)
        self.critic_steps = torch.optim.Adam(self.critic.parameters(), 1e-2)

    @torch.no_grad()
    def act(self, state: Tensor, noise: float) -> float:
        """A ratio, by a normal distribution cut off at 0 and the limit; flat if it is infinite."""
        if noise == float("inf"):
            return self.limit * torch.rand(()).item()
        mean = self.limit * self.actor(state).squeeze()
        return nn.init.trunc_normal_(mean.new_empty(1), mean.item(), noise, 0, self.limit).item()

    def remember(self, path: list[Transition], reward: float) -> None:
        """Every decision of an episode shares its reward."""
        old = self.baseline if self.memory else reward
        self.baseline = 0.95 * old + 0.05 * reward
        self.memory += [(step, reward) for step in path]

    def learn(self, updates: int) -> None:
        """Improve the critic by what is remembered, and the actor by the critic."""
        for _ in range(updates):
            chosen = torch.randint(len(self.memory), (self.batch,)).tolist()
            states, actions, following, last, rewards = self._batch(chosen)
            with torch.no_grad():
                ahead = self.slow[1](
                    torch.cat([following, self._ratio(self.slow[0], following)], 1)
                )
                target = rewards - self.baseline + (1 - last) * ahead
            error = (self.critic(torch.cat([states, actions], 1)) - target).square().mean()
            _step(self.critic_steps, error)
            value = self.critic(torch.cat([states, self._ratio(self.actor, states)], 1))
            _step(self.actor_steps, -value.mean())
            self._follow()

    def _ratio(self, actor: nn.Module, states: Tensor) -> Tensor:
        return self.limit * actor(states)

    def _batch(self, chosen: list[int]) -> tuple[Tensor, ...]:
        steps = [self.memory[k] for k in chosen]
        columns = [[step.action, step.last, reward] for step, reward in steps]
        actions, last, rewards = torch.tensor(columns).float().T[:, :, None]
        states = torch.stack([step.state for step, _ in steps])
        following = torch.stack([step.following for step, _ in steps])
        return states, actions, following, last, rewards

    @torch.no_grad()
    def _follow(self) -> None:
        for slow, fast in zip(self.slow, (self.actor, self.critic), strict=True):
            for old, new in zip(slow.parameters(), fast.parameters(), strict=True):
                old.lerp_(new, self.follow)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
