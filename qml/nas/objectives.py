"""What a searched circuit is for: which expectation values it gives, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor
from torch.nn.functional import cross_entropy

from qml.data.tasks import Split
from qml.nas.digests import digest
from qml.nn.model import Classifier
from qsim import PauliSum
from qsim.observables import Observables


class Objective(Protocol):
    """A loss on expectation values.

    Its `repr` says what it is, the same in every process: evaluations that are kept are told apart
    by it.

    Attributes:
        observables: what is measured, Z on every qubit if None.
        inputs: float [samples, num_inputs] in radians, None for a circuit without inputs.
    """

    @property
    def observables(self) -> Observables: ...

    @property
    def inputs(self) -> Tensor | None: ...

    def loss(self, expvals: Tensor) -> float:
        """Mean loss, lower is better, of expvals [..., samples, observables]."""
        ...

    def accuracy(self, expvals: Tensor) -> float | None:
        """Fraction of right answers, None where there are no answers."""
        ...


@dataclass(frozen=True, eq=False)
class Classification:
    """Mean cross-entropy (nats) of a classifier's votes on some samples.

    Attributes:
        model: gives logits for <Z> of every qubit; its circuit and weights do not matter.
        split: samples and labels, in QuantumNAS 500 of the validation samples.
    """

    model: Classifier
    split: Split
    observables: None = field(default=None, init=False)

    @property
    def inputs(self) -> Tensor:
        return self.split.x

    def loss(self, expvals: Tensor) -> float:
        logits = self.model.logits(expvals)
        labels = self.split.y.expand(logits.shape[:-1])
        return cross_entropy(logits.flatten(0, -2), labels.flatten()).item()

    def accuracy(self, expvals: Tensor) -> float:
        return (self.model.logits(expvals).argmax(-1) == self.split.y).float().mean().item()

    def __repr__(self) -> str:
        readout = self.model.readout
        data = digest(*readout.parameters(), *readout.buffers(), self.split.x, self.split.y)
        return f"Classification({len(self.split)} samples, {readout}, {data})"


@dataclass(frozen=True, eq=False)
class Energy:
    """Expectation value of a Hamiltonian, in its units: what VQE minimizes.

    Attributes:
        hamiltonian: with real coefficients.
    """

    hamiltonian: PauliSum
    inputs: None = field(default=None, init=False)

    @property
    def observables(self) -> list[PauliSum]:
        return [self.hamiltonian]

    def loss(self, expvals: Tensor) -> float:
        return expvals.mean().item()

    def accuracy(self, expvals: Tensor) -> None:
        return None

    def __repr__(self) -> str:
        labels = [string.label for string in self.hamiltonian.strings]
        data = digest(*labels, self.hamiltonian.coefficients)
        return f"Energy({len(labels)} terms, {data})"
