"""On-chip training QOC (Wang et al., arXiv:2202.13239): steps whose gradients a device measures.

Every step is kept as soon as it is done, since each costs device time. All randomness of a step
comes from (seed, step): training that goes on from a checkpoint repeats the unbroken run bit for
bit, as far as the device does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from math import cos, pi
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from qml.data.tasks import Split
from qml.nn.model import QuantumLayer
from qml.onchip.chip import OnChip
from qml.onchip.pruning import GradientPruning
from qml.training.checkpoints import read_tensors, write_tensors
from qml.training.loop import Loss, epoch_generator, load_model
from qsim.errors import UsageError
from qsim.files import damaged

_REMEDY = "delete it to start anew"


@dataclass(frozen=True)
class OnChipConfig:
    """Settings of on-chip training.

    Attributes:
        steps: of the optimizer.
        batch_size: samples of each step.
        lr: first learning rate of Adam; it falls as a cosine to zero.
        pruning: which gradients are measured; None for all in every step.
    """

    steps: int = 50
    batch_size: int = 8
    lr: float = 0.1
    pruning: GradientPruning | None = None

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size) < 1 or not self.lr > 0:
            raise UsageError(
                "on-chip training takes at least one step and one sample a step, and a positive "
                f"learning rate, not {self}"
            )

    def wanted(
        self, layer: QuantumLayer, sizes: Tensor, step: int, rng: np.random.Generator
    ) -> Tensor | None:
        """Weights whose gradient a step measures, bool [num_weights]; None for all."""
        if self.pruning is None:
            return None
        return self.pruning.wanted(layer.circuit, layer.weights.detach(), sizes, step, rng)


class StepRecord(NamedTuple):
    """Mean loss of a step's samples, the gradients that it measured, and the circuits it ran."""

    loss: float
    gradients: int
    circuits: int


@dataclass
class OnChipState:
    """All that the rest of on-chip training depends on.

    Attributes:
        tensors: "model/<name>", "adam/<name>/<moment>", and "sizes", accumulated |gradient|.
        history: one record for each finished step.
    """

    tensors: dict[str, Tensor]
    history: list[StepRecord] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Number of finished steps."""
        return len(self.history)


StepCallback: TypeAlias = Callable[[OnChipState], object]


def train_on_chip(
    model: QuantumLayer,
    chip: OnChip,
    train: Split,
    config: OnChipConfig,
    *,
    seed: int,
    checkpoint: str | Path | None = None,
    callbacks: Sequence[StepCallback] = (),
    loss: Loss = cross_entropy,
) -> OnChipState:
    """Train a model in place by gradients that a device measures.

    Args:
        model: a Classifier or QuantumLayer, of the chip's circuit.
        chip: what measures. `estimate_cost` says beforehand what that costs.
        train: samples.
        config: settings.
        seed: of samples, pruning and simulations.
        checkpoint: file of the state, replaced after every step; if it is there, training goes on
            from it.
        callbacks: get the state after every step.
        loss: what is minimized.

    Raises:
        UsageError: for a model of another circuit, more samples a step than there are, a checkpoint
            that is damaged or of other settings, or a loss that is no longer a finite number; the
            checkpoint is then that of the last good step.
    """
    if model.circuit is not chip.circuit:
        raise UsageError("the chip runs another circuit: make it by OnChip(model.circuit, device)")
    if config.batch_size > len(train):
        raise UsageError(
            f"a step takes {config.batch_size} samples, but there are {len(train)}: lower the "
            "batch size"
        )
    keep = None if checkpoint is None else _Keeper(Path(checkpoint), config, chip, seed)
    state = (keep and keep.load()) or OnChipState({})
    trainer = _Trainer(model, chip, train, config, seed, loss)
    trainer.resume(state)
    while state.step < config.steps:
        state = trainer.step(state)
        for callback in (*([keep.save] if keep else []), *callbacks):
            callback(state)
    return state


@dataclass
class _Trainer:
    """What stays the same from step to step."""

    model: QuantumLayer
    chip: OnChip
    train: Split
    config: OnChipConfig
    seed: int
    loss: Loss

    def resume(self, state: OnChipState) -> None:
        """Put a state into the model and a new optimizer."""
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.config.lr)
        self.sizes = state.tensors.get("sizes", torch.zeros_like(self.model.weights)).clone()
        if state.step:
            load_model(self.model, _part(state.tensors, "model"))
        parameters = dict(self.model.named_parameters())
        for key, moment in _part(state.tensors, "adam").items():
            name, _, kind = key.rpartition("/")
            self.optimizer.state[parameters[name]][kind] = moment.clone()

    def step(self, state: OnChipState) -> OnChipState:
        """The state one step later."""
        rng = epoch_generator(self.seed, "on-chip", state.step)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        index = torch.from_numpy(rng.permutation(len(self.train))[: self.config.batch_size])
        if self.config.pruning is not None and self.config.pruning.begins(state.step):
            self.sizes.zero_()
        wanted = self.config.wanted(self.model, self.sizes, state.step, rng)
        before = self.chip.circuits
        loss = self._gradient(index, wanted, generator, state.step)
        if self.config.pruning is not None and self.config.pruning.accumulates(state.step):
            assert self.model.weights.grad is not None
            self.sizes += self.model.weights.grad.abs()
        self._update(wanted, state.step)
        measured = self.model.circuit.num_weights if wanted is None else int(wanted.sum())
        record = StepRecord(loss, measured, self.chip.circuits - before)
        return OnChipState(self._snapshot(), [*state.history, record])

    def _gradient(
        self, index: Tensor, wanted: Tensor | None, generator: torch.Generator, step: int
    ) -> float:
        self.optimizer.zero_grad()
        on_chip = self.model.on(self.chip, wanted=wanted, generator=generator).train()
        loss = self.loss(on_chip(self.train.x[index]), self.train.y[index])
        loss.backward()
        value = loss.item()
        if not np.isfinite(value):
            raise UsageError(
                f"in step {step + 1} of on-chip training the loss became {value}: lower the "
                f"learning rate and go on from step {step}"
            )
        return value

    def _update(self, wanted: Tensor | None, step: int) -> None:
        """One step of Adam, in which weights without a gradient, and their moments, stay."""
        rate = self.config.lr * (1 + cos(pi * step / self.config.steps)) / 2
        self.optimizer.param_groups[0]["lr"] = rate
        weights = self.model.weights
        before = {k: t.clone() for k, t in self._moving(weights).items()}
        self.optimizer.step()
        if wanted is None:
            return
        with torch.no_grad():
            for kind, tensor in self._moving(weights).items():
                tensor.copy_(
                    torch.where(wanted, tensor, before.get(kind, torch.zeros_like(tensor)))
                )

    def _moving(self, weights: torch.nn.Parameter) -> dict[str, Tensor]:
        """The weights and their moments in Adam."""
        moments = {k: t for k, t in self.optimizer.state[weights].items() if k != "step"}
        return {"weights": weights.detach(), **moments}

    def _snapshot(self) -> dict[str, Tensor]:
        tensors = {f"model/{name}": t for name, t in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            moments = self.optimizer.state[parameter]
            tensors |= {f"adam/{name}/{kind}": t for kind, t in moments.items()}
        tensors["sizes"] = self.sizes
        return {name: t.detach().clone() for name, t in tensors.items()}


@dataclass(frozen=True)
class _Keeper:
    """The checkpoint, which belongs to one training."""

    path: Path
    config: OnChipConfig
    chip: OnChip
    seed: int

    @property
    def settings(self) -> dict[str, Any]:
        """What must be the same to go on."""
        chip = self.chip
        return {
            **asdict(self.config),
            "seed": self.seed,
            "device": chip.device.name,
            "layout": list(chip.compiled.initial_layout),
            "shots": chip.shots,
            "gradient": str(chip.rule),
        }

    def save(self, state: OnChipState) -> None:
        """Replace the file in one step."""
        header = {"settings": self.settings, "history": [list(record) for record in state.history]}
        write_tensors(self.path, state.tensors, header)

    def load(self) -> OnChipState | None:
        """The state in the file; None if there is no file."""
        if not self.path.exists():
            return None
        tensors, header = read_tensors(self.path, _REMEDY)
        try:
            settings, history = header["settings"], header["history"]
            state = OnChipState(tensors, [StepRecord(*record) for record in history])
        except (KeyError, TypeError) as error:
            raise damaged(self.path, "it holds no state of on-chip training", _REMEDY) from error
        for name, value in self.settings.items():
            if settings.get(name) != value:
                raise UsageError(
                    f"{str(self.path)!r} is of training with {name} {settings.get(name)!r}, not "
                    f"{value!r}: go on with that, or {_REMEDY}"
                )
        return state


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"{name}/"
    return {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}
