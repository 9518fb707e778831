"""Files written in one step."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of the old one in one step if nothing is raised.

    Raises:
        OSError: the place cannot be written; an earlier file stays.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content in one step: a reader finds the old content or the new one.

    Raises:
        OSError: the place cannot be written; an earlier file stays.
    """
    with replacing(path) as file:
        file.write(content)
