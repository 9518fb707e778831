"""Where commands print and write."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

_WIDE = 200  # columns for output that is no terminal: nothing is cut off


def console() -> Console:
    """As wide as the terminal, and wide where there is none."""
    found = Console()
    return found if found.is_terminal else Console(width=_WIDE)


def check_file(option: str, path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Refuse now what could not be written in the end.

    Raises:
        UsageError: another kind of file, or a place that cannot be written.
    """
    from qsim.errors import UsageError
    from qsim.files import check_writable

    if path is None:
        return
    if path.suffix not in suffixes:
        given = path.suffix or "nothing"
        raise UsageError(f"{option} writes {' or '.join(suffixes)}, not {given!r}")
    check_writable(path)
