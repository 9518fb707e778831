"""A quantum classifier: expectation values of Pauli Z as logits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from qsim import Circuit, expval
from qsim.errors import UsageError

LOGIT_SCALE = 5.0
"""Larger scales fit a little better without noise, but by smaller differences between the qubits,
which noise then shrinks below the error of finitely many shots."""

INITIAL_ANGLE = 0.5
"""Small angles keep every block near the identity: in a SuperCircuit, blocks that a sub-circuit
does not use then hardly change what the others have to learn."""


class Classifier(nn.Module):
    """A circuit whose qubits vote for classes.

    The n qubits are parted in order into as many neighbouring groups as there are classes, the
    first groups one larger where n is no multiple: with four qubits, four classes get one qubit
    each and two classes the pairs (0, 1) and (2, 3), as in QuantumNAS (arXiv:2107.10845). A logit
    is the mean <Z> of the group times `logit_scale`: <Z> lies in [-1, 1], where softmax can be sure
    of nothing, so training needs a scale. The most likely class does not depend on it.

    Attributes:
        circuit: the circuit, with weights and inputs as symbols.
        weights: float32 [num_weights] in radians; unless given, drawn uniformly between plus and
            minus `INITIAL_ANGLE`.
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
        super().__init__()
        if weights is None:
            uniform = torch.rand(circuit.num_weights, generator=generator)
            weights = (2 * uniform - 1) * INITIAL_ANGLE
        if weights.shape != (circuit.num_weights,):
            raise UsageError(
                f"the circuit has {circuit.num_weights} weights, "
                f"but the tensor given has the shape {list(weights.shape)}"
            )
        self.circuit = circuit
        self.num_classes = num_classes
        self.logit_scale = logit_scale
        self.weights = nn.Parameter(weights.detach().clone())
        votes = _votes(circuit.num_qubits, num_classes) * logit_scale
        self.register_buffer("votes", votes, persistent=False)

    def forward(self, x: Tensor, circuit: Circuit | None = None) -> Tensor:
        """x [batch, num_inputs] in radians -> logits [batch, num_classes].

        `circuit` stands in for the model's own: a sub-circuit over the same weights.
        """
        return self.logits(expval(circuit or self.circuit, weights=self.weights, inputs=x))

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
