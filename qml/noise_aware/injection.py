"""Noise injection of QuantumNAT (Wang et al., arXiv:2110.11331): sampled Pauli errors.

After every gate of the compiled circuit come Pauli errors, drawn anew in each step and for each
sample, with the probabilities of the device's own noise times a factor; readings are mixed by its
readout errors. Every draw is a trajectory of one circuit with Pauli channels, so that nothing is
planned again from step to step.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from torch import Tensor, nn

from compile import NoisyCircuit
from qsim import NoiseModel
from qsim.errors import UsageError
from qsim.noise.channels import Channel, pauli_channel
from qsim.observables import Observables


class NoiseInjection(nn.Module):
    """Runs a compiled circuit with sampled Pauli errors: a runner for `QuantumLayer.on`.

    In evaluation it gives the exact noise of the device, neither twirled nor scaled.

    Args:
        noisy: the compiled circuit and its device's noise, with open weights.
        factor: what the probabilities of gate errors are multiplied by, T in the paper: smaller
            ones disturb training less. 0 injects readout errors alone.
        readout: whether readout errors are injected.
        trajectories: draws for each sample, of which the mean is taken.
    """

    def __init__(
        self,
        noisy: NoisyCircuit,
        factor: float = 0.1,
        *,
        readout: bool = True,
        trajectories: int = 1,
    ) -> None:
        """Raises UsageError for a factor that is negative or makes an error more than certain."""
        super().__init__()
        self.noisy = noisy
        self.injected = replace(noisy, noise=pauli_noise(noisy.noise, factor, readout=readout))
        self.trajectories = trajectories

    def expval(
        self,
        observables: Observables = None,
        weights: Tensor | None = None,
        inputs: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """Expectation values of the logical qubits, real [batch, observables]; differentiable."""
        if not self.training:
            return self.noisy.expval(observables, weights, inputs, **options)
        how = {"method": "trajectories", "trajectories": self.trajectories}
        return self.injected.expval(observables, weights, inputs, **(options | how))


def pauli_noise(noise: NoiseModel, factor: float = 1.0, *, readout: bool = True) -> NoiseModel:
    """A noise model whose channels are twirled to Pauli errors, their probabilities scaled.

    Twirling keeps the diagonal of the Pauli transfer matrix (Wallman and Emerson,
    arXiv:1512.01098), and with it the average fidelity.

    Args:
        noise: channels of gates and readout errors.
        factor: of every error's probability.
        readout: whether readout errors stay, as they are.

    Raises:
        UsageError: for relaxation of waiting qubits, which belongs to no gate; for a factor that is
            negative or makes an error more than certain.
    """
    if noise.relaxation:
        raise UsageError(
            "errors are injected after gates, but qubits of this model relax while they wait: "
            "make it by device.noise_model(idle=False)"
        )
    gates = tuple([replace(g, channel=_twirled(g.channel, factor)) for g in noise.gates])
    return replace(noise, gates=gates, readout=noise.readout if readout else ())


@lru_cache(maxsize=4096)
def _twirled(channel: Channel, factor: float) -> Channel:
    probabilities = pauli_probabilities(channel)
    errors = {label: p for label, p in probabilities.items() if set(label) != {"I"}}
    most = 1 / max(sum(errors.values()), 1e-12)
    if not 0 <= factor <= most:
        raise UsageError(
            f"the factor of injected noise is from 0 to {most:.3g} for {channel}, not {factor!r}"
        )
    return pauli_channel({label: factor * p for label, p in errors.items()})


def pauli_probabilities(channel: Channel) -> dict[str, float]:
    """Probability of each Pauli string in the twirl of a channel, the first qubit rightmost.

    The diagonal of the transfer matrix has lambda_i = sum_j (-1)**<i, j> p_j, where <i, j> tells
    whether strings anticommute; the same sum divided by 4**k takes it back.
    """
    k = channel.num_qubits
    signs = np.ones((1, 1))
    for _ in range(k):
        signs = np.kron(signs, _SIGNS)
    found = signs @ np.diag(channel.ptm()) / 4**k
    labels = ["".join(letters) for letters in product("IXYZ", repeat=k)]
    return dict(zip(labels, found.clip(min=0).tolist(), strict=True))


_SIGNS = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
"""-1 where two of I, X, Y, Z anticommute."""
