"""Amplitude encoding by gates: rotations whose angles are computed from the sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qsim import Circuit, Input
from qsim.errors import UsageError
from qsim.families import gray_rotations
from qsim.parameters import FUNCTIONS, derived
from qsim.walsh import walsh_hadamard


def amplitude_encoder(circuit: Circuit, features: Sequence[int] | None = None) -> Circuit:
    """Gates that turn |0...0> into a sample, divided by its norm, as amplitudes.

    `qml.nn.encoders.amplitudes` gives the same state without gates; these are for circuits that
    upload in the middle, and for devices, which take a bound sample (`circuit.bind(inputs=x)`).

    A multiplexed RY for each qubit (Mottonen et al.,
    arXiv:quant-ph/0407010), 2**n - 1 RY and about as many CX on n qubits, whose angles are computed
    from every sample of the batch. The last one takes care of signs. Gradients are exact wherever
    they are defined: not where both amplitudes that a rotation divides are zero.

    Args:
        circuit: where to append; returned.
        features: columns of the inputs, real numbers; the k-th is the amplitude of basis state k,
            and amplitudes that are left are zero. By default there are 2**n.

    Raises:
        UsageError: for more features than amplitudes; and at a run for a sample that is zero or not
            finite.
    """
    size = 2**circuit.num_qubits
    columns = range(size) if features is None else features
    if not 0 < len(columns) <= size:
        raise UsageError(
            f"{circuit.num_qubits} qubits have {size} amplitudes for features, not {len(columns)}: "
            "take another number of qubits, or pool the features"
        )
    sample: list[Any] = [*map(Input, columns), *[0.0] * (size - len(columns))]
    for target in reversed(range(circuit.num_qubits)):
        masks = range(size >> target + 1)
        angles = [derived(_amplitude_angle, float(target), float(mask), *sample) for mask in masks]
        gray_rotations(circuit, "ry", angles, target + 1, target)
    return circuit


def _amplitude_angle(target: Tensor, mask: Tensor, *sample: Tensor) -> Tensor:
    """The angle of one RY of the multiplexed rotation of a qubit: see `gray_rotations`.

    Target and mask are the same for all samples.
    """
    qubit, place = (int(number.reshape(-1)[0]) for number in (target, mask))
    x = torch.stack(sample, -1)
    halves = x.unflatten(-1, (-1, 2, 1 << qubit))
    if halves.shape[-3] == 1:
        _check(x)
    if qubit:
        tiny = torch.finfo(x.dtype).tiny  # keeps the slope of a norm at zero finite
        zero, one = (halves.square().sum(-1) + tiny).sqrt().unbind(-1)
    else:
        zero, one = halves[..., 0].unbind(-1)
        zero = torch.where((zero == 0) & (one == 0), 1.0, zero)  # any angle does, 0 has a slope
    turns = walsh_hadamard(2 * torch.atan2(one, zero))
    return turns[..., place] / turns.shape[-1]


def _check(x: Tensor) -> None:
    if not (x.isfinite().all() and x.any(-1).all()):
        raise UsageError(
            "amplitudes are a sample divided by its norm, but a sample is zero or not finite: "
            "leave it out or add a constant feature"
        )


FUNCTIONS[_amplitude_angle.__name__] = _amplitude_angle
