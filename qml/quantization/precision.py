"""Mixed precision: bits where the loss is sensitive."""

from __future__ import annotations

from heapq import heapify, heapreplace
from typing import NamedTuple

import torch
from torch import Tensor

from qml.pruning.angles import Grid, check_finite, period
from qml.pruning.objective import Objective
from qsim.errors import UsageError


class _Offer(NamedTuple):
    """What one more bit of a weight would save; the best offer is the smallest one."""

    saved: float  # negative
    bits: int
    weight: int


def allocate_bits(objective: Objective, mean_bits: float, most: int = 8) -> Tensor:
    """Bits for every weight of the objective's model, for `uniform_grid`.

    Rounding angle i to b bits of its period p changes the loss by about H_ii p^2 / (24 4^b), with
    the Hessian H (HAWQ-V2, Dong et al., arXiv:1911.03852). Bits go one by one to where each saves
    most, which minimizes the sum. An angle of 0 bits is 0: its gate may leave the circuit.

    Args:
        objective: the loss, at the weights of its model.
        mean_bits: bits a weight on average, from 0 to `most`.
        most: bits that a weight has at most.

    Returns:
        int64 [W].

    Raises:
        UsageError: for another mean, or a circuit in which weights are more than the angle of one
            gate.
    """
    if not 0 <= mean_bits <= most:
        raise UsageError(f"the mean of the bits is from 0 to {most}, not {mean_bits!r}")
    weights = objective.model.weights.detach()
    periods = Grid.of(objective.model.circuit, period, "quantization").periods
    curvature = objective.curvature(weights)
    check_finite(curvature, "mixed precision")
    errors = curvature.double().clamp_min(0) * periods**2 / 24
    bits = torch.zeros(len(weights), dtype=torch.int64)
    offers = [_Offer(-0.75 * error, 0, weight) for weight, error in enumerate(errors.tolist())]
    heapify(offers)
    for _ in range(int(mean_bits * len(weights))):
        saved, given, weight = offers[0]
        bits[weight] = given + 1
        # A weight with all its bits offers nothing more.
        following = saved / 4 if given + 1 < most else torch.inf
        heapreplace(offers, _Offer(following, given + 1, weight))
    return bits
