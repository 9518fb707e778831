"""Quantum generative adversarial networks: a circuit learns the distribution of data."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from qml.algorithms.minimize import Optimizer
from qml.nn.layers import times
from qml.nn.model import QuantumLayer
from qml.training.threads import threads_for
from qsim import Circuit, probabilities, samples
from qsim.errors import UsageError


class BornMachine(nn.Module):
    """A circuit as a distribution over basis states, by Born's rule.

    Args:
        circuit: without inputs.
        weights: float [num_weights]; unless given, drawn as those of a QuantumLayer.
        options: how the circuit is run, such as noise: those of `qsim.probabilities`.
    """

    def __init__(self, circuit: Circuit, weights: Tensor | None = None, **options: Any) -> None:
        """Raises UsageError for a circuit with inputs, or weights of another shape."""
        super().__init__()
        if circuit.num_inputs:
            raise UsageError(
                f"a Born machine has no inputs, but the circuit has {circuit.num_inputs}: bind them"
            )
        self.circuit, self.options = circuit, options
        self.weights = QuantumLayer(circuit, weights=weights).weights

    def forward(self) -> Tensor:
        """Probabilities, real [2**n]; exact and differentiable."""
        return probabilities(self.circuit, self.weights, **self.options)

    def sample(self, shots: int, generator: torch.Generator | None = None) -> Tensor:
        """Basis states, int64 [shots]."""
        return samples(self.circuit, shots, self.weights, generator=generator, **self.options)


def histogram(states: Tensor, num_qubits: int) -> Tensor:
    """How often each basis state occurs, as fractions: float32 [2**n]."""
    return torch.bincount(states, minlength=2**num_qubits) / len(states)


def relative_entropy(target: Tensor, found: Tensor) -> Tensor:
    """sum p log(p / q) of a target p and what was found, q, in nats: a scalar."""
    return (torch.xlogy(target, target) - torch.xlogy(target, found.clamp(min=1e-12))).sum()


class QGAN(nn.Module):
    """A Born machine against a classical critic (Zoufal, Lucchi and Woerner, arXiv:1904.00043).

    The critic sees bits as -1 and 1 and tells how likely they are data, the generator learns to
    deceive it. Both losses are exact expectation values over all basis states.

    Args:
        generator: the Born machine.
        critic: bits [batch, n] -> logits [batch, 1]; a network with a hidden layer by default.

    Example:
        gan = QGAN(BornMachine(efficient_su2(Circuit(3).h(range(3)))))
        history = gan.train_on(histogram(data, 3), steps=800)
    """

    bits: Tensor

    def __init__(self, generator: BornMachine, critic: nn.Module | None = None) -> None:
        super().__init__()
        n = generator.circuit.num_qubits
        self.generator = generator
        self.critic = critic or nn.Sequential(nn.Linear(n, 32), nn.LeakyReLU(), nn.Linear(32, 1))
        states = torch.arange(2**n)[:, None] >> torch.arange(n) & 1
        self.register_buffer("bits", 1.0 - 2.0 * states, persistent=False)

    def critic_loss(self, data: Tensor) -> Tensor:
        """Cross-entropy of telling data [2**n] from the generator, a scalar in nats."""
        logits = self.critic(self.bits).squeeze(1)
        made = self.generator().detach()
        return -(data * logsigmoid(logits) + made * logsigmoid(-logits)).sum() / 2

    def generator_loss(self) -> Tensor:
        """Cross-entropy of being taken for data, a scalar in nats."""
        return -(self.generator() * logsigmoid(self.critic(self.bits).squeeze(1))).sum()

    def train_on(
        self,
        data: Tensor,
        steps: int = 800,
        *,
        optimizers: tuple[Optimizer, Optimizer] = (
            partial(torch.optim.Adam, lr=0.005, betas=(0.5, 0.99)),
            partial(torch.optim.Adam, lr=0.02, betas=(0.5, 0.99)),
        ),
    ) -> list[float]:
        """Train generator and critic in turn.

        Args:
            data: probabilities of the basis states, such as a `histogram`: real [2**n].
            steps: of each.
            optimizers: of generator and critic, which learns faster so that its advice is sound.

        Returns:
            The relative entropy of the generator to the data before every step, and at the end.

        Raises:
            UsageError: for data of another size, or that do not add up to 1.
        """
        if data.shape != self.bits.shape[:1] or not (data.sum() - 1).abs() < 1e-4:
            raise UsageError(
                f"data are {len(self.bits)} probabilities, not {list(data.shape)} numbers of sum "
                f"{float(data.sum()):.4g}"
            )
        deceive, tell = (
            make(list(part.parameters()))
            for make, part in zip(optimizers, (self.generator, self.critic), strict=True)
        )
        history = []
        with threads_for(len(data) * sum(p.numel() for p in self.parameters())):
            for _ in range(times(steps, "steps")):
                history.append(self._distance(data))
                _step(tell, self.critic_loss(data))
                _step(deceive, self.generator_loss())
        return [*history, self._distance(data)]

    @torch.no_grad()
    def _distance(self, data: Tensor) -> float:
        return relative_entropy(data, self.generator()).item()


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
