"""Training of the predictor, from circuits to a figure, in a folder where it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from qml.data.tasks import Split
from qml.plots import plot_predictions
from qml.predictor.circuits import DEVICES, UNSEEN_DEVICES, algorithm_circuits
from qml.predictor.data import random_circuits, simulated
from qml.predictor.model import GraphTransformer
from qml.progress import Reporter
from qml.training.checkpoints import Checkpoint, write_tensors
from qml.training.loop import TrainConfig, fit, predict
from qsim.errors import UsageError
from qsim.files import damaged, read_text, write_atomically

BATCH_SIZE, LEARNING_RATE = 32, 3e-3


class Quality(NamedTuple):
    """How well predictions fit: part of the variance explained (R2), root mean square error."""

    r2: float
    rmse: float

    @classmethod
    def of(cls, predicted: Tensor, simulated: Tensor) -> Quality:
        """Of two tensors of the same shape."""
        error = mse_loss(predicted, simulated)
        return cls((1 - error / simulated.var(correction=0)).item(), error.sqrt().item())


def train(
    folder: Path, reporter: Reporter, *, circuits: int = 4000, epochs: int = 40, seed: int = 0
) -> dict[str, Quality]:
    """Make circuits, simulate them, train a predictor and test it; goes on where it was stopped.

    Args:
        folder: gets the circuits, a checkpoint after every epoch, "predictor.safetensors" (see
            `load_predictor`) and "predictions.svg".
        reporter: is told how far it has come.
        circuits: how many; of ten parts, eight train, one validates and one tests.
        epochs: of training.
        seed: of circuits and training.

    Returns:
        The quality on held-out random circuits, on those of devices that training does not see, and
        on known algorithms of 3 to 5 qubits.

    Raises:
        UsageError: for too few circuits, or a folder of other settings or that cannot be written.
    """
    settings = {"circuits": circuits, "epochs": epochs, "seed": seed}
    _begin(folder, settings)
    parts = _circuits(folder, reporter, circuits, seed)
    torch.manual_seed(seed)
    model, keep = GraphTransformer(), Checkpoint(folder / "training.safetensors")
    config = TrainConfig(epochs, LEARNING_RATE, BATCH_SIZE, weight_decay=0.0)
    with _stage(reporter, "Training", epochs, "epochs") as told:
        fit(
            model, parts["training"], parts["validation"], config,
            seed=seed, state=keep.load(), loss=mse_loss,
            callbacks=[keep, lambda state: told(state.epoch)],
        )  # fmt: skip
    tests = {name: parts[name] for name in ("held-out", "other devices", "algorithms")}
    found = {name: (predict(model, split.x), split.y) for name, split in tests.items()}
    quality = {name: Quality.of(*pair) for name, pair in found.items()}
    facts = settings | {name: value._asdict() for name, value in quality.items()}
    write_tensors(folder / "predictor.safetensors", model.state_dict(), facts)
    _draw(folder / "predictions.svg", found)
    return quality


def _begin(folder: Path, settings: dict[str, Any]) -> None:
    """Note the settings in a new folder; raises UsageError for others than an old one has."""
    path = folder / "settings.json"
    if settings["circuits"] < 20 or settings["epochs"] < 1:
        raise UsageError(
            f"training takes 20 circuits, two of which test, and 1 epoch or more, not {settings}"
        )
    if not path.exists():
        write_atomically(path, json.dumps(settings).encode())
    elif (known := _settings(path)) != settings:
        raise UsageError(
            f"{str(folder)!r} holds training with {known}, which does not go on with {settings}: "
            "take the same, or another folder"
        )


def _settings(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise damaged(path, "it is no JSON", "take another folder") from error


def _circuits(folder: Path, reporter: Reporter, count: int, seed: int) -> dict[str, Split]:
    """All samples, by what they are for."""
    others = count // 10
    with _stage(reporter, "Simulating", count, "circuits") as told:
        every = random_circuits(folder, "random", count, DEVICES, seed, told)
    with _stage(reporter, "Simulating other devices", others, "circuits") as told:
        unseen = random_circuits(folder, "unseen", others, UNSEEN_DEVICES, seed, told)
    cuts = (count - 2 * others, count - others)
    x, y = every.x.tensor_split(cuts), every.y.tensor_split(cuts)
    names = ("training", "validation", "held-out")
    known = simulated((compiled, device) for _, compiled, device in algorithm_circuits())
    parts = {name: Split(*pair) for name, *pair in zip(names, x, y, strict=True)}
    return parts | {"other devices": unseen, "algorithms": known}


def _draw(path: Path, found: dict[str, tuple[Tensor, Tensor]]) -> None:
    pairs = {name: (predicted.tolist(), true.tolist()) for name, (predicted, true) in found.items()}
    file = BytesIO()
    plot_predictions(pairs, "Probability of successful trials").savefig(file, format="svg")
    write_atomically(path, file.getvalue())


@contextmanager
def _stage(
    reporter: Reporter, title: str, total: int, unit: str
) -> Iterator[Callable[[int], None]]:
    reporter.start(title, total, 0, unit)
    yield reporter.update
    reporter.finish()
