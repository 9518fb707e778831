"""What fails on the way to IBM Quantum: which errors pass, and requests tried again until then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from time import sleep
from typing import Any, TypeVar

T = TypeVar("T")
PAUSES: tuple[float, ...] = (1, 2, 4, 8, 16, 32)  # seconds between tries
_TOO_MANY, _SERVER = 429, range(500, 600)
_log = logging.getLogger(__name__)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from: the client hides what went wrong behind its own errors."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def unreachable(error: BaseException) -> bool:
    """Whether a connection failed, was dropped or took too long."""
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import Timeout

    kinds = (NoConnection, Timeout, ConnectionError, TimeoutError)
    return any(isinstance(cause, kinds) for cause in causes(error))


def passing(error: BaseException) -> bool:
    """Whether the same request may succeed later: dropped connections, 429 and 5xx."""
    codes = [_status(cause) for cause in causes(error)]
    return unreachable(error) or any(code == _TOO_MANY or code in _SERVER for code in codes)


def _status(error: BaseException) -> Any:
    code = getattr(error, "status_code", None)
    return getattr(getattr(error, "response", None), "status_code", code)


def patiently(request: Callable[[], T]) -> T:
    """What the request returns, tried again with growing pauses while it fails for a while.

    Only for requests that may be repeated. The last error is raised as it is.
    """
    for pause in PAUSES:
        try:
            return request()
        except Exception as error:
            if not passing(error):
                raise
            # Its kind alone: the text of an error may quote the request and the token in it.
            _log.info("IBM Quantum: %s, trying again in %g s", type(error).__name__, pause)
        sleep(pause)
    return request()
