"""The console that commands print on."""

from __future__ import annotations

from rich.console import Console

_WIDE = 200  # columns for output that is no terminal: nothing is cut off


def console() -> Console:
    """As wide as the terminal, and wide where there is none."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDE)
