"""Bits of each layer, found by an agent that plays episodes (HAQ)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.quantization.layers import weighted_layers
from classical.quantization.sensitivity import Evaluate, weight_counts, with_bits

_HIDDEN = 64
_BATCH = 64
_NOISE, _DECAY = 0.5, 0.96
_UPDATES = 20


@dataclass(frozen=True)
class HAQ:
    """Hardware-aware automated quantization (Wang et al., arXiv:1811.08886), of weights.

    In an episode an actor goes through the layers and gives each its bits; if that is more than the
    budget, layers lose bits in turn. What the quantized model is worth is the reward. The reward
    comes once for an episode, so a critic learns it directly for every step, where DDPG would take
    its own guess for the next step; the actor follows the critic's gradient.

    Learning has not been shown to help here: on toy problems of 6 and 10 layers, 16 seeds each, the
    same exploration with learning switched off found no worse bits. `allocate_bits` goes by
    sensitivity instead.

    Attributes:
        mean_bits: of a weight, at most.
        least, most: bits of a layer.
        episodes: to play.
        warm_up: episodes with random actions, before anything is learned.
        seed: of the agent.

    Raises:
        UsageError: for a budget that is not between the least and most bits, or no episode.

    Example:
        found = HAQ(mean_bits=4).search(model, lambda m: accuracy(m, data.valid))
        small = with_bits(model, found.bits)
    """

    mean_bits: float
    least: int = 2
    most: int = 8
    episodes: int = 100
    warm_up: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.least <= self.mean_bits <= self.most:
            raise UsageError(
                f"a budget of {self.mean_bits} bits a weight does not lie within the {self.least} "
                f"to {self.most} bits of layers"
            )
        if self.episodes < 1:
            raise UsageError(f"a search takes one episode or more, not {self.episodes}")

    def search(self, model: nn.Module, evaluate: Evaluate) -> Found:
        """Play the episodes; the model stays as it is.

        Args:
            model: any.
            evaluate: what a model is worth, the more, the better; called once an episode.
        """
        states, sizes = _states(model), weight_counts(model)
        agent = _Agent(states.shape[1] + 1, self.seed)
        played: list[Found] = []
        for episode in range(self.episodes):
            learning = episode >= self.warm_up
            noise = _NOISE * _DECAY ** (episode - self.warm_up) if learning else None
            actions = agent.play(states, noise)
            bits = self._within_budget([self._bits(action) for action in actions], sizes)
            played.append(Found(bits, evaluate(with_bits(model, bits))))
            # What counts for the critic are the bits that are left after the budget.
            kept = [(n - self.least + 0.5) / (self.most - self.least + 1) for n in bits.values()]
            agent.remember(states, kept, played[-1].worth)
            if learning:
                agent.learn()
        return max(played, key=lambda found: found.worth)

    def _bits(self, action: float) -> int:
        return min(self.most, self.least + int(action * (self.most - self.least + 1)))

    def _within_budget(self, wished: Sequence[int], sizes: Mapping[str, int]) -> dict[str, int]:
        bits = dict(zip(sizes, wished, strict=True))
        budget = self.mean_bits * sum(sizes.values())
        for name in cycle(bits):
            if sum(n * sizes[layer] for layer, n in bits.items()) <= budget:
                break
            bits[name] = max(self.least, bits[name] - 1)
        return bits


@dataclass(frozen=True)
class Found:
    """Bits by layer, and what the model is worth with them."""

    bits: dict[str, int]
    worth: float


def _states(model: nn.Module) -> Tensor:
    """[layers, features]: place, channels, size of kernel, weights, and whether it is depthwise."""
    rows = []
    for place, layer in enumerate(weighted_layers(model).values()):
        weight = layer.weight
        assert isinstance(weight, Tensor)
        depthwise = getattr(layer, "groups", 1) > 1
        kernel = weight[0, 0].numel()
        rows.append([place, len(weight), weight.shape[1], kernel, weight.numel(), depthwise])
    states = torch.tensor(rows, dtype=torch.float32)
    return states / states.amax(0).clamp(min=1)


class _Agent:
    """Actor and critic, and all that they have seen."""

    def __init__(self, features: int, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.actor = nn.Sequential(_network(features), nn.Sigmoid())
            self.critic = _network(features + 1)
        self.optimizers = [
            torch.optim.Adam(self.actor.parameters(), 1e-3),
            torch.optim.Adam(self.critic.parameters(), 3e-3),
        ]
        self.seen: list[Tensor] = []

    def play(self, states: Tensor, noise: float | None) -> list[float]:
        """An action for each of the states [layers, features], from 0 to 1; None is at random."""
        actions: list[float] = []
        for state in states:
            draw = float(torch.randn((), generator=self.generator))
            chance = float(torch.rand((), generator=self.generator))
            with torch.no_grad():
                wish = float(self.actor(torch.cat([state, torch.tensor([1.0, *actions][-1:])])))
            actions.append(chance if noise is None else min(1.0, max(0.0, wish + noise * draw)))
        return actions

    def remember(self, states: Tensor, actions: list[float], reward: float) -> None:
        """Keep an episode."""
        done = torch.tensor(actions)[:, None]
        previous = torch.cat([torch.ones(1, 1), done[:-1]])
        rewards = torch.full_like(done, reward)
        self.seen.append(torch.cat([states, previous, done, rewards], 1))

    def learn(self) -> None:
        """A few steps of both on what was seen; rewards count by rank, from -1 to 1."""
        seen = torch.cat(self.seen)
        ranks = seen[:, -1].unique(return_inverse=True)[1]
        rewards = 2 * ranks / ranks.max().clamp(min=1) - 1
        for _ in range(_UPDATES):
            index = torch.randint(len(seen), (_BATCH,), generator=self.generator)
            states, both = seen[index, :-2], seen[index, :-1]
            miss = (self.critic(both)[:, 0] - rewards[index]).square().mean()
            self._step(self.optimizers[1], miss)
            guess = self.critic(torch.cat([states, self.actor(states)], 1))
            self._step(self.optimizers[0], -guess.mean())

    def _step(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _network(features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1))
