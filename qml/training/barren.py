"""Barren plateaus: gradients that vanish exponentially with the number of qubits."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from qsim import Circuit, PauliString, PauliSum, expval
from qsim.errors import UsageError
from qsim.parameters import whole


def gradient_variance(
    circuit: Circuit,
    observable: PauliString | PauliSum,
    samples: int = 200,
    *,
    inputs: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Variance of every derivative of an expectation value where weights are drawn at random.

    McClean et al., arXiv:1803.11173: where it falls exponentially with the number of qubits,
    training from random weights needs exponentially many shots. `qml.plots.plot_gradient_variance`
    shows it.

    Args:
        circuit: the circuit.
        observable: whose expectation value is differentiated.
        samples: how many times all weights are drawn, uniformly from 0 to 2 pi, 2 or more.
        inputs: one sample [num_inputs], if the circuit has inputs.
        generator: what the weights are drawn with.

    Returns:
        float32 [num_weights].

    Raises:
        UsageError: for a circuit without weights, or fewer than two samples.
    """
    count = whole(samples)
    if not circuit.num_weights or count is None or count < 2:
        raise UsageError(
            "the variance of the gradient takes a circuit with weights and 2 samples or more, "
            f"not {circuit.num_weights} weights and {samples!r} samples"
        )
    weights = 2 * pi * torch.rand(count, circuit.num_weights, generator=generator)
    weights.requires_grad_()
    values = expval(circuit, [observable], weights, inputs)
    (gradients,) = torch.autograd.grad(values.sum(), weights)
    return gradients.var(0)
