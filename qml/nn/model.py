"""Circuits as modules of PyTorch: a layer of expectation values, and a classifier."""

from __future__ import annotations

from copy import copy
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from qml.nn.encoders import amplitudes
from qsim import Circuit, expval
from qsim.errors import UsageError
from qsim.observables import Observables, check_observables

LOGIT_SCALE = 5.0
"""Larger scales fit a little better without noise, but by smaller differences between the qubits,
which noise then shrinks below the error of finitely many shots."""

INITIAL_ANGLE = 0.5
"""Small angles keep every block near the identity: in a SuperCircuit, blocks that a sub-circuit
does not use then hardly change what the others have to learn."""


class QuantumLayer(nn.Module):
    """A circuit with its weights: samples in, expectation values out, between any other modules.

    Args:
        circuit: the circuit, with weights and inputs as symbols.
        observables: what is measured, PauliString or PauliSum; Z on every qubit by default.
        weights: float [num_weights] in radians; unless given, drawn uniformly between plus and
            minus `INITIAL_ANGLE`.
        amplitudes: whether samples are amplitudes of the first state, by
            `qml.nn.encoders.amplitudes`, instead of the circuit's inputs.
        generator: what the weights are drawn with.
        options: how the circuit is run: noise, shots and whatever else `qsim.expval` takes.

    Example:
        circuit = real_amplitudes(rotation_encoder(Circuit(4), gates=("ry",)))
        model = nn.Sequential(nn.Linear(64, 4), QuantumLayer(circuit), nn.Linear(4, 10))

    Attributes:
        circuit: the circuit.
        weights: float [num_weights], the parameter that is trained and saved.
    """

    def __init__(
        self,
        circuit: Circuit,
        observables: Observables = None,
        *,
        weights: Tensor | None = None,
        amplitudes: bool = False,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        """Raises UsageError for weights of another shape, or inputs besides amplitudes."""
        super().__init__()
        check_observables(observables, circuit.num_qubits)
        if amplitudes and circuit.num_inputs:
            raise UsageError(
                f"samples are amplitudes or inputs, but the circuit has {circuit.num_inputs} "
                "inputs: leave out amplitudes=True, or the encoder"
            )
        if weights is None:
            uniform = torch.rand(circuit.num_weights, generator=generator)
            weights = (2 * uniform - 1) * INITIAL_ANGLE
        if weights.shape != (circuit.num_weights,):
            raise UsageError(
                f"the circuit has {circuit.num_weights} weights, "
                f"but the tensor given has the shape {list(weights.shape)}"
            )
        self.circuit = circuit
        self.observables = observables
        self.amplitudes = amplitudes
        self.options = options
        self.weights = nn.Parameter(weights.detach().clone())

    def forward(self, x: Tensor | None = None, circuit: Circuit | None = None) -> Tensor:
        """x [batch, num_inputs] in radians, or amplitudes -> real [batch, observables].

        `circuit` stands in for the layer's own: a sub-circuit over the same weights.
        """
        run = self.circuit if circuit is None else circuit
        data: dict[str, Any] = {"inputs": x}
        if self.amplitudes:
            if x is None:
                raise UsageError("this layer takes samples as amplitudes: call it with them")
            data = {"initial_state": amplitudes(x, run.num_qubits)}
        return expval(run, self.observables, self.weights, **data, **self.options)

    def replaced(self, circuit: Circuit, weights: Tensor) -> Self:
        """This layer with another circuit, and weights [circuit.num_weights] of its own."""
        layer = copy(self)
        layer._parameters = dict(self._parameters)  # a copied module shares them with the original
        layer.circuit, layer.weights = circuit, nn.Parameter(weights.detach().clone())
        return layer

    def extra_repr(self) -> str:
        circuit = self.circuit
        return f"{circuit.num_qubits} qubits, {len(circuit)} gates, {circuit.num_weights} weights"


class Classifier(QuantumLayer):
    """A circuit whose qubits vote for classes.

    The n qubits are parted in order into as many neighbouring groups as there are classes, the
    first groups one larger where n is no multiple: with four qubits, four classes get one qubit
    each and two classes the pairs (0, 1) and (2, 3), as in QuantumNAS (arXiv:2107.10845). A logit
    is the mean <Z> of the group times `logit_scale`: <Z> lies in [-1, 1], where softmax can be sure
    of nothing, so training needs a scale. The most likely class does not depend on it.
    """

    votes: Tensor

    def __init__(
        self,
        circuit: Circuit,
        num_classes: int,
        *,
        weights: Tensor | None = None,
        logit_scale: float = LOGIT_SCALE,
        generator: torch.Generator | None = None,
    ) -> None:
        """Raises UsageError for more classes than qubits, or weights of another shape."""
        super().__init__(circuit, weights=weights, generator=generator)
        self.num_classes = num_classes
        self.logit_scale = logit_scale
        votes = _votes(circuit.num_qubits, num_classes) * logit_scale
        self.register_buffer("votes", votes, persistent=False)

    def forward(self, x: Tensor | None = None, circuit: Circuit | None = None) -> Tensor:
        """x [batch, num_inputs] in radians -> logits [batch, num_classes]."""
        return self.logits(super().forward(x, circuit))

    def logits(self, expvals: Tensor) -> Tensor:
        """<Z> of every qubit [batch, n], simulated or measured -> logits [batch, classes]."""
        return expvals @ self.votes.to(expvals.dtype)


def _votes(num_qubits: int, num_classes: int) -> Tensor:
    """Matrix [n, classes] that takes the mean over each class's group of qubits."""
    if num_classes > num_qubits:
        raise UsageError(
            f"{num_classes} classes need at least {num_classes} qubits, one each; "
            f"the circuit has {num_qubits}"
        )
    votes = torch.zeros(num_qubits, num_classes)
    for label, group in enumerate(np.array_split(np.arange(num_qubits), num_classes)):
        votes[group, label] = 1 / len(group)
    return votes
