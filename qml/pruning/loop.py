"""Pruning while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor
from torch.nn.functional import cross_entropy

from qml.data.tasks import Split
from qml.nn.model import QuantumLayer
from qml.pruning.angles import zeros
from qml.pruning.criteria import Criterion, magnitude
from qml.pruning.rounding import GradualRounding
from qml.pruning.schedule import PruneConfig
from qml.pruning.simplification import absorb, simplify
from qml.training.checkpoints import TrainState
from qml.training.loop import Callback, Loss, TrainConfig, fit
from qsim import Circuit

Model = TypeVar("Model", bound=QuantumLayer)


class GatePruner:
    """Chooses the weights that `fit` holds at zero, as its `pruner`; then `simplify`.

    It serves any other loop of training as well, and any loss: called before every epoch, it says
    which weights to leave as they are.

    Args:
        circuit: every weight the angle of one gate.
        config: how many of which units, and when.
        epochs: of the training.
        criterion: says which units go first; by default those of the smallest angles.
    """

    def __init__(
        self,
        circuit: Circuit,
        config: PruneConfig,
        epochs: int,
        criterion: Criterion = magnitude,
    ) -> None:
        """Raises UsageError for a circuit in which weights are more than the angle of one gate."""
        self.circuit = circuit
        self._rounding = GradualRounding(circuit, zeros(circuit), config, epochs, criterion)

    def __call__(self, epoch: int, weights: Tensor, frozen: Tensor) -> Tensor:
        """Set further weights [W] to zero in place -> mask of all that are held there, bool [W].

        Raises:
            UsageError: for weights or costs that are no numbers.
        """
        frozen = self._rounding(epoch, weights, frozen)
        absorb(self.circuit, weights, frozen)
        return frozen


def prune(
    model: Model,
    train: Split,
    valid: Split,
    config: TrainConfig,
    prune_config: PruneConfig,
    *,
    seed: int,
    criterion: Criterion = magnitude,
    stage: str = "prune",
    state: TrainState | None = None,
    callbacks: Sequence[Callback] = (),
    loss: Loss = cross_entropy,
) -> tuple[Model, TrainState]:
    """Prune and fine-tune a trained model, which is changed in place; other arguments as for `fit`.

    Example:
        criterion = SuccessGain(Objective(model, task.valid), device)
        pruned, _ = prune(model, task.train, task.valid, TrainConfig(40, lr=0.02),
                          PruneConfig(0.5, unit="gate"), seed=0, criterion=criterion)

    Returns:
        (pruned, state): a model of the simplified circuit, which the simulator runs, and the state
        of the fine-tuning.

    Raises:
        UsageError: for a circuit in which weights are more than the angle of one gate.
    """
    pruner = GatePruner(model.circuit, prune_config, config.epochs, criterion)
    state = fit(
        model, train, valid, config,
        seed=seed, stage=stage, state=state, callbacks=callbacks, pruner=pruner, loss=loss,
    )  # fmt: skip
    circuit, weights = simplify(model.circuit, model.weights, state.tensors["frozen"])
    return model.replaced(circuit, weights), state
