"""Checks of arguments that several functions take."""

from __future__ import annotations

from numbers import Integral

from qsim.errors import UsageError


def check_whole(name: str, value: object, least: int) -> None:
    """Raise UsageError unless the value is a whole number, `least` or more."""
    if not isinstance(value, Integral) or int(value) < least:
        raise UsageError(f"{name} is a whole number from {least} on, not {value!r}")
