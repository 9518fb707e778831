"""The error for what a caller can put right, and the way to ask for an optional package.

The package stands alone, so it has its own; the sentences follow the same rule everywhere: what was
given, what fits, how to get there.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


class UsageError(ValueError):
    """A mistake in what was asked for: one sentence on what was given, what fits, what to do."""


def need(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional package. Raises UsageError with the extra that brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise UsageError(
            f"{purpose} needs {package}, which is not installed: "
            f"pip install 'efficient-qml[{extra}]'"
        ) from None
