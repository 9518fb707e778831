"""What training keeps: its state after an epoch, and files of tensors that a kill never damages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from qsim.files import damaged, reason, write_atomically

Choices: TypeAlias = tuple[int, ...]

_STATE_KEY = "state"


class EpochRecord(NamedTuple):
    """What an epoch came to: mean loss in training and validation, and accuracy.

    The accuracy is None where targets are no classes; the loss is in nats unless `fit` got another.
    """

    train_loss: float
    valid_loss: float
    valid_accuracy: float | None


@dataclass
class TrainState:
    """All that the rest of a training run depends on, after `epoch` finished epochs.

    Attributes:
        tensors: "model/<name>" for every entry of the model's state_dict, "best/<name>" the same of
            the best epoch if training stops early, "adam/<name>/<moment>" for every parameter, and
            "frozen", the mask of weights that are held, if there is a pruner.
        epoch: number of finished epochs.
        choices: choices of the last sampled sub-circuit, if circuits are sampled.
        history: one record an epoch.
    """

    tensors: dict[str, Tensor]
    epoch: int = 0
    choices: Choices | None = None
    history: list[EpochRecord] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, with the smallest validation loss so far; 0 before any."""
        losses = [record.valid_loss for record in self.history]
        return 1 + losses.index(min(losses)) if losses else 0

    @property
    def note(self) -> str:
        """Loss and accuracy of the last epoch in a few words."""
        _, loss, accuracy = self.history[-1]
        return f"loss {loss:.3f}" + ("" if accuracy is None else f", accuracy {accuracy:.3f}")

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors under "<name>/", without that."""
        start = f"{name}/"
        return {
            key.removeprefix(start): tensor
            for key, tensor in self.tensors.items()
            if key.startswith(start)
        }

    def to_json(self) -> dict[str, Any]:
        """Everything but the tensors, ready for JSON."""
        return {
            "epoch": self.epoch,
            "choices": self.choices,
            "history": [list(record) for record in self.history],
        }

    @classmethod
    def from_parts(cls, tensors: dict[str, Tensor], data: dict[str, Any]) -> TrainState:
        """Rebuild a state from its tensors and the value of `to_json`."""
        choices = data["choices"]
        return cls(
            dict(tensors),
            data["epoch"],
            None if choices is None else tuple(choices),
            [EpochRecord(*record) for record in data["history"]],
        )


class Checkpoint:
    """A file that holds the state after the last epoch: a callback of `fit`.

    Every epoch replaces it in one step. It is a safetensors file with the rest as JSON in its
    header, so reading it runs no code.

    Example:
        keep = Checkpoint("digits.safetensors")
        fit(model, train, valid, config, seed=0, state=keep.load(), callbacks=[keep])
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __call__(self, state: TrainState) -> None:
        """Write the state. Raises UsageError if the place cannot be written."""
        write_tensors(self.path, state.tensors, state.to_json())

    def load(self) -> TrainState | None:
        """The state in the file, None if there is no file. Raises UsageError if it is damaged."""
        if not self.path.exists():
            return None
        remedy = "delete it to start anew"
        tensors, data = read_tensors(self.path, remedy)
        try:
            return TrainState.from_parts(tensors, data)
        except (KeyError, TypeError) as error:
            raise damaged(self.path, "it holds no state of training", remedy) from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor], state: Any = None) -> Path:
    """Write tensors and a JSON-able state as one safetensors file, in one step; returns its path.

    Raises:
        UsageError: the place cannot be written.
    """
    plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    header = {_STATE_KEY: json.dumps(state, allow_nan=False)}
    return write_atomically(path, save(plain, metadata=header))


def read_tensors(path: Path, remedy: str) -> tuple[dict[str, Tensor], Any]:
    """Tensors and state of `write_tensors`.

    Raises:
        UsageError: the file is missing or damaged; the sentence ends in the remedy.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})[_STATE_KEY])
            return {key: file.get_tensor(key) for key in file.keys()}, state  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise damaged(path, reason(error), remedy) from error
