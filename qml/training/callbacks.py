"""Callbacks of `fit` that show how far it has come; `Checkpoint` keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from qml.progress import ConsoleReporter
from qml.training.checkpoints import TrainState
from qsim.errors import need


@contextmanager
def progress_bar(title: str, epochs: int) -> Iterator[Callable[[TrainState], None]]:
    """A bar on the terminal, or in a log one line at the end.

    Example:
        with progress_bar("Training", config.epochs) as bar:
            fit(model, train, valid, config, seed=0, callbacks=[bar])
    """
    with ConsoleReporter(Console()) as reporter:
        reporter.start(title, epochs, 0, "epochs")
        yield lambda state: reporter.update(state.epoch, state.note)
        reporter.finish()


class TensorBoard:
    """Writes "loss/train", "loss/validation" and "accuracy/validation", if any, for TensorBoard.

    Args:
        folder: of the event files; `tensorboard --logdir` shows them.

    Raises:
        UsageError: if the extra `tensorboard` is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        need("tensorboard", extra="tensorboard", purpose="writing for TensorBoard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def __call__(self, state: TrainState) -> None:
        """Write what the last epoch came to, and flush it."""
        record = state.history[-1]
        scalars = {
            "loss/train": record.train_loss,
            "loss/validation": record.valid_loss,
            "accuracy/validation": record.valid_accuracy,
        }
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(name, value, state.epoch)
        self._writer.flush()
