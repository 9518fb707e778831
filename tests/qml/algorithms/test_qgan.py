"""Generative adversarial networks: losses by formula, and a distribution that is learnt."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from qml.algorithms.qgan import QGAN, BornMachine, histogram, relative_entropy
from qml.nn.ansatz import real_amplitudes
from qsim import Circuit, Input, NoiseModel, Weight, channels, probabilities
from qsim.errors import UsageError

DATA = torch.tensor([0.05, 0.28, 0.23, 0.15, 0.11, 0.08, 0.06, 0.04])


def gan(seed=0):
    torch.manual_seed(seed)
    return QGAN(BornMachine(real_amplitudes(Circuit(3).h(range(3)), reps=2)))


def test_born_machine_samples_what_it_says():
    machine = BornMachine(Circuit(2).ry(Weight(0), 0), weights=torch.tensor([1.0]))
    expected = torch.tensor([math.cos(0.5) ** 2, math.sin(0.5) ** 2, 0, 0])
    torch.testing.assert_close(machine(), expected)
    drawn = machine.sample(20000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(histogram(drawn, 2), expected, atol=0.02, rtol=0)


def test_born_machine_under_noise():
    noise = NoiseModel().add("ry", channels.depolarizing(1.0, 1))
    machine = BornMachine(Circuit(1).ry(Weight(0), 0), torch.zeros(1), noise=noise)
    mixed = machine()
    torch.testing.assert_close(mixed, probabilities(machine.circuit, machine.weights, noise=noise))
    assert mixed[1] > 0.3


def test_relative_entropy():
    target, other = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.5, 0.25])
    assert relative_entropy(target, other).item() == pytest.approx(0.5 * math.log(2))
    assert relative_entropy(target, target).item() == 0


def test_losses_with_an_undecided_critic():
    undecided = QGAN(BornMachine(Circuit(3).ry(Weight(0), 0)), nn.Linear(3, 1))
    nn.init.zeros_(undecided.critic.weight)
    nn.init.zeros_(undecided.critic.bias)
    assert undecided.critic_loss(DATA).item() == pytest.approx(math.log(2))
    assert undecided.generator_loss().item() == pytest.approx(math.log(2))


def test_the_critic_sees_bits():
    assert QGAN(BornMachine(Circuit(2).ry(Weight(0), 0))).bits.tolist() == [
        [1, 1],
        [-1, 1],
        [1, -1],
        [-1, -1],
    ]


def test_it_learns_a_distribution():
    trained = gan()
    history = trained.train_on(DATA, 600)
    assert history[-1] < 0.02 < 0.2 < history[0]
    assert history[-1] == pytest.approx(relative_entropy(DATA, trained.generator()).item())


def test_data_that_are_no_distribution():
    with pytest.raises(UsageError, match=r"8 probabilities, not \[8\] numbers of sum 2"):
        gan().train_on(2 * DATA)


def test_a_generator_with_inputs():
    with pytest.raises(UsageError, match="no inputs"):
        BornMachine(Circuit(1).ry(Input(0), 0))
