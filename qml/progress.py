"""Progress of a run on the terminal: bars for a person, plain lines for a log."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Reporter(Protocol):
    """What the main job tells about itself."""

    def start(self, title: str, total: int, done: int, unit: str) -> None:
        """A stage begins, or goes on after ``done`` of ``total`` units."""

    def update(self, done: int, note: str = "") -> None:
        """The stage has come to ``done`` units."""

    def finish(self) -> None:
        """The stage has ended."""


class ConsoleReporter:
    """Bars where the console is a terminal, otherwise one line at the end of every stage."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> ConsoleReporter:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def start(self, title: str, total: int, done: int, unit: str) -> None:
        """A stage begins, or goes on after ``done`` of ``total`` units."""
        self._task = self._bars.add_task(title, total=total, completed=done, unit=unit, note="")

    def update(self, done: int, note: str = "") -> None:
        """The stage has come to ``done`` units."""
        self._bars.update(self._task, completed=done, note=note)

    def finish(self) -> None:
        """The stage has ended."""
        if not self.console.is_terminal:
            task = self._bars.tasks[-1]
            line = f"{task.description}: {task.completed:.0f} {task.fields['unit']}"
            note = task.fields["note"]
            text = f"{line}, {note}" if note else line
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)
