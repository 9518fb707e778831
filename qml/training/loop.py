"""One training loop: for hybrid models, and for circuits, SuperCircuits and pruned circuits.

All randomness of an epoch comes from a generator derived from (seed, stage, epoch), and everything
else that an epoch depends on is in `TrainState`: training that is resumed from any finished epoch
repeats the unbroken run bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, inf, isfinite, pi
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.parametrize import is_parametrized

from qml.data.tasks import Split
from qml.nn.model import QuantumLayer
from qml.training.checkpoints import Checkpoint, Choices, EpochRecord, TrainState
from qml.training.threads import threads_for
from qsim import Circuit
from qsim.errors import UsageError

CircuitSampler: TypeAlias = Callable[[np.random.Generator, Choices | None], tuple[Circuit, Choices]]
"""Draws the circuit of one step. It gets the epoch's generator and the choices that it returned for
the step before (None at first), and returns a circuit over the model's weights, and its choices."""

Pruner: TypeAlias = Callable[[int, Tensor, Tensor], Tensor]
"""Called before every epoch with (epoch, weights [W], frozen bool [W]). It may change the weights
in place, and returns the mask of those that stay as they are during the epoch."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training stage.

    Attributes:
        epochs: passes over the training samples.
        lr: peak learning rate of Adam.
        batch_size: samples a step; the last batch of an epoch may be smaller.
        weight_decay: L2 penalty of Adam.
        warmup: fraction of the steps in which the rate rises linearly; then it falls as a cosine to
            zero.
        patience: epochs without a smaller validation loss after which training stops, and the model
            is that of its best epoch; by default it never stops early.
    """

    epochs: int = 40
    lr: float = 0.1
    batch_size: int = 32
    weight_decay: float = 1e-4
    warmup: float = 0.1
    patience: int | None = None

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1 or not self.lr > 0 or not 0 <= self.warmup < 1:
            raise UsageError(
                "training takes at least one epoch and one sample a step, a positive learning rate "
                f"and a warm-up from 0 to below 1, not {self}"
            )
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"the patience of training is 1 epoch or more, not {self.patience}")


class Evaluation(NamedTuple):
    """Mean loss, and the fraction of right answers where targets are classes, otherwise None."""

    loss: float
    accuracy: float | None


Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Outputs [batch, ...] and targets [batch, ...] -> their mean loss, a scalar to minimize: any of
`torch.nn.functional` that fits them, or one's own."""

Callback: TypeAlias = Callable[[TrainState], None]
"""Gets the state after every epoch."""


def fit(
    model: nn.Module,
    train: Split,
    valid: Split,
    config: TrainConfig,
    *,
    seed: int,
    stage: str = "training",
    state: TrainState | None = None,
    callbacks: Sequence[Callback] = (),
    sampler: CircuitSampler | None = None,
    pruner: Pruner | None = None,
    loss: Loss = cross_entropy,
) -> TrainState:
    """Minimize the loss of `model` in place.

    Args:
        model: samples [batch, ...] -> logits [batch, classes], or whatever else the loss takes; a
            QuantumLayer if there is a sampler or a pruner, otherwise any module.
        train, valid: samples to train on, and those that tell how well it goes.
        config: settings.
        seed, stage: with the number of the epoch they determine every random draw.
        state: where to go on from; all else must be the same as when it was made.
        callbacks: get the state after every epoch, for checkpoints and progress: `Checkpoint`,
            `progress_bar`, `TensorBoard`.
        sampler: draws the circuit of every step; without it, every step trains the model's own.
        pruner: chooses weights that are held fixed, before every epoch.
        loss: what is minimized; for regression `torch.nn.functional.mse_loss`, say.

    Returns:
        The state after the last epoch. The model is that of the last epoch, with patience that of
        the best one.

    Raises:
        UsageError: if the loss does not fit the targets or is not a scalar, or if it is no longer a
            finite number. The model is then that of the last good state, which is the last one
            that the callbacks got.
    """
    loop = _Loop(model, train, valid, config, seed, stage, sampler, pruner, loss)
    state = state or TrainState(_snapshot(model))
    loop.resume(state)
    with threads_for(config.batch_size * _numbers_in(model)):
        while state.epoch < config.epochs and not _out_of_patience(state, config):
            try:
                state = loop.epoch(state)
            except _Diverged as diverged:
                load_model(model, state.part("model"))
                raise _stopped(diverged, state.epoch, stage, callbacks) from None
            for callback in callbacks:
                callback(state)
    if config.patience is not None and state.epoch:
        load_model(model, state.part("best"))
    return state


@torch.no_grad()
def predict(model: nn.Module, x: Tensor) -> Tensor:
    """What the model gives for all samples, in one batch, without dropout and the like."""
    training = model.training
    model.eval()
    try:
        outputs: Tensor = model(x)
    finally:
        model.train(training)
    return outputs


def evaluate(model: nn.Module, split: Split, loss: Loss = cross_entropy) -> Evaluation:
    """Loss and accuracy of the model, of a circuit its own, all samples in one batch.

    Raises:
        UsageError: if the loss does not fit the targets, or is not a scalar.
    """
    outputs = predict(model, split.x)
    return Evaluation(_mean(loss, outputs, split.y).item(), _accuracy(outputs, split.y))


def _accuracy(outputs: Tensor, targets: Tensor) -> float | None:
    """The fraction of right answers, if outputs are logits and targets are classes."""
    if targets.is_floating_point() or targets.ndim != 1 or outputs.shape[1:].numel() < 2:
        return None
    return (outputs.argmax(1) == targets).float().mean().item()


def _mean(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean loss of a batch, a scalar."""
    if loss is cross_entropy and targets.is_floating_point() and targets.ndim < 2:
        raise UsageError(
            f"cross-entropy takes classes (int64) as targets, not {targets.dtype} of the shape "
            f"{list(targets.shape)}: for regression give loss=torch.nn.functional.mse_loss, say"
        )
    value = loss(outputs, targets)
    if value.ndim:
        raise UsageError(
            f"the loss of a batch is one number, not a tensor of the shape {list(value.shape)}: "
            "take its mean"
        )
    return value


def _numbers_in(model: nn.Module) -> int:
    """Amplitudes and parameters for each sample."""
    layers = [module for module in model.modules() if isinstance(module, QuantumLayer)]
    size = sum(1 << layer.circuit.num_qubits for layer in layers)
    return size + sum(parameter.numel() for parameter in model.parameters())


def epoch_generator(seed: int, stage: str, epoch: int) -> np.random.Generator:
    """The generator of one epoch: independent streams for different seeds, stages and epochs."""
    name = int.from_bytes(hashlib.sha256(stage.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, name, epoch])


def _learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then a cosine to zero (Loshchilov and Hutter, arXiv:1608.03983)."""
    total = config.epochs * steps_per_epoch
    warmup = config.warmup * total
    if step < warmup:
        return config.lr * (step + 1) / (warmup + 1)
    return config.lr * (1 + cos(pi * (step - warmup) / (total - warmup))) / 2


class _Diverged(Exception):
    """A loss that is not a finite number, and where in the epoch."""


@dataclass
class _Loop:
    """What stays the same from epoch to epoch."""

    model: nn.Module
    train: Split
    valid: Split
    config: TrainConfig
    seed: int
    stage: str
    sampler: CircuitSampler | None
    pruner: Pruner | None
    loss: Loss

    def __post_init__(self) -> None:
        if self.sampler is None and self.pruner is None:
            self.weights = None
        elif isinstance(self.model, QuantumLayer):
            if self.pruner is not None and is_parametrized(self.model, "weights"):
                raise UsageError(
                    "a pruner holds weights themselves, but here they are computed, as by "
                    "straight_through: prune first, then quantize the circuit that is left"
                )
            self.weights = self.model.weights
        else:
            raise UsageError(
                "a sampler or a pruner works on the weights of a QuantumLayer or Classifier, "
                f"not of {type(self.model).__name__}"
            )

    def resume(self, state: TrainState) -> None:
        """Put a state into the model and a new optimizer."""
        load_model(self.model, state.part("model"))
        # The fused kernel takes one call a step; a step on so few weights is all overhead.
        self.optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=self.config.lr,
            weight_decay=self.config.weight_decay,
            fused=True,
        )
        parameters = dict(self.model.named_parameters())
        for key, moment in state.part("adam").items():
            name, _, kind = key.rpartition("/")
            self.optimizer.state[parameters[name]][kind] = moment.clone()

    def epoch(self, state: TrainState) -> TrainState:
        """The state one epoch later. Raises _Diverged."""
        rng = epoch_generator(self.seed, self.stage, state.epoch)
        frozen = self._frozen(state)
        self.model.train()
        with _torch_seed(
            self.model, epoch_generator(self.seed, f"{self.stage}/torch", state.epoch)
        ):
            loss, choices = self._steps(state, rng, frozen)
            found = evaluate(self.model, self.valid, self.loss)
        record = EpochRecord(loss, _finite(found.loss, "in validation"), found.accuracy)
        tensors = _snapshot(self.model, self.optimizer) | self._best(state, record)
        if frozen is not None:
            tensors["frozen"] = frozen.clone()
        return TrainState(tensors, state.epoch + 1, choices, [*state.history, record])

    def _steps(
        self, state: TrainState, rng: np.random.Generator, frozen: Tensor | None
    ) -> tuple[float, Choices | None]:
        """Go through the samples -> mean loss, and the choices of the last sub-circuit."""
        train, size, choices = self.train, self.config.batch_size, state.choices
        steps, total = -(-len(train) // size), 0.0
        order = torch.from_numpy(rng.permutation(len(train)))
        for step, index in enumerate(order.split(size)):
            arguments: list[Any] = [train.x[index]]
            if self.sampler is not None:
                circuit, choices = self.sampler(rng, choices)
                arguments.append(circuit)
            rate = _learning_rate(self.config, state.epoch * steps + step, steps)
            self.optimizer.param_groups[0]["lr"] = rate
            self.optimizer.zero_grad()
            loss = _mean(self.loss, self.model(*arguments), train.y[index])
            loss.backward()
            self._update(frozen)
            total += len(index) * _finite(loss.item(), f"at step {step + 1}")
        return total / len(train), choices

    def _update(self, frozen: Tensor | None) -> None:
        """One step of Adam, which frozen weights do not follow."""
        if self.weights is None or frozen is None or not frozen.any():
            self.optimizer.step()
            return
        # Momentum and weight decay move weights without a gradient too, so held ones are put back.
        before = self.weights.detach().clone()
        self.optimizer.step()
        with torch.no_grad():
            self.weights.copy_(torch.where(frozen, before, self.weights))

    def _frozen(self, state: TrainState) -> Tensor | None:
        if self.pruner is None or self.weights is None:
            return None
        weights = self.weights.detach()
        before = state.tensors.get("frozen", torch.zeros_like(weights, dtype=torch.bool))
        return self.pruner(state.epoch, weights, before.clone())

    def _best(self, state: TrainState, record: EpochRecord) -> dict[str, Tensor]:
        """The model of the best epoch so far, if that is wanted."""
        if self.config.patience is None:
            return {}
        earlier = [old.valid_loss for old in state.history]
        if record.valid_loss < min(earlier, default=inf):
            return _prefixed("best", self.model.state_dict())
        return _prefixed("best", state.part("best"))


def _out_of_patience(state: TrainState, config: TrainConfig) -> bool:
    return config.patience is not None and state.epoch - state.best_epoch >= config.patience > 0


@contextmanager
def _torch_seed(model: nn.Module, rng: np.random.Generator) -> Iterator[None]:
    """What PyTorch itself draws, for dropout or shots, comes from the epoch's seed in here."""
    devices = {p.device.index for p in model.parameters() if p.is_cuda}
    seed = int(rng.integers(2**62))
    with torch.random.fork_rng(sorted(devices)):
        # torch.manual_seed takes a hundred times as long: it asks for every kind of device.
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
        yield


def _finite(loss: float, where: str) -> float:
    if not isfinite(loss):
        raise _Diverged(loss, where)
    return loss


def _stopped(
    diverged: _Diverged, epoch: int, stage: str, callbacks: Sequence[Callback]
) -> UsageError:
    """The sentence for training that has diverged after so many good epochs."""
    loss, where = diverged.args
    files = [str(keep.path) for keep in callbacks if isinstance(keep, Checkpoint)]
    kept = f", which {files[0]!r} holds" if files else ""
    remedy = f"go on from the state of epoch {epoch}{kept}" if epoch else "start again"
    return UsageError(
        f"in epoch {epoch + 1} of {stage} the loss became {loss} {where}: "
        f"lower the learning rate and {remedy}"
    )


def _snapshot(model: nn.Module, optimizer: torch.optim.Adam | None = None) -> dict[str, Tensor]:
    """Copies of all that is in the model and its optimizer, by the names of `TrainState`."""
    tensors = _prefixed("model", model.state_dict())
    if optimizer is not None:
        for name, parameter in model.named_parameters():
            tensors |= _prefixed(f"adam/{name}", optimizer.state[parameter])
    return tensors


def _prefixed(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}/{key}": tensor.detach().clone() for key, tensor in tensors.items()}


def load_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put saved tensors into the model. Raises UsageError if they are those of another one."""
    sizes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    for name, tensor in model.state_dict().items():
        if sizes.pop(name, None) != list(tensor.shape):
            saved = list(tensors[name].shape) if name in tensors else "nothing of that name"
            raise UsageError(
                f"the model has {name} {list(tensor.shape)}, the saved state {saved}: "
                "go on with the model that the state was saved with"
            )
    if sizes:
        raise UsageError(
            f"the saved state has {', '.join(sizes)}, which the model lacks: "
            "go on with the model that the state was saved with"
        )
    model.load_state_dict(tensors)
