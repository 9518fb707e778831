"""The error for what a caller can put right, and the way to ask for an optional package."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


class UsageError(ValueError):
    """A mistake in what was asked for: one sentence on what was given, what fits, what to do."""


def need(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional package, or say which extra brings it.

    Args:
        module: dotted name to import, such as ``"matplotlib.figure"``.
        extra: name of the extra in ``pip install 'efficient-qml[extra]'``.
        purpose: what the caller wanted to do, as in "drawing circuits".

    Raises:
        UsageError: if the package is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        package = module.partition(".")[0]
        raise UsageError(
            f"{purpose} needs {package}, which is not installed: "
            f"pip install 'efficient-qml[{extra}]'"
        ) from None
