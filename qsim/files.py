"""Files written in one step, and sentences for those that cannot be written or read."""

from __future__ import annotations

import os
import tempfile
from errno import EISDIR
from pathlib import Path

from qsim.errors import UsageError


def write_atomically(path: Path, content: bytes) -> Path:
    """Replace a file's content in one step; missing folders are made.

    The content goes to a temporary neighbour, is flushed to the disk and renamed: a reader, or the
    owner after a kill, finds the old content or the new one.

    Raises:
        UsageError: the place cannot be written (permission, full disk ...); an earlier file stays.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Temporary files are private; a result is to be as readable as the user's other files.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def check_writable(path: Path) -> None:
    """Before long work: whether `write_atomically` will have a place; nothing is left there.

    Raises:
        UsageError: it will not.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        nearest = next(folder for folder in path.parents if folder.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> UsageError:
    """The sentence for a place that cannot be written."""
    return UsageError(
        f"cannot write {str(path)!r} ({reason(error)}): "
        "choose a place where you may write and space is left"
    )


def damaged(path: Path, why: str, remedy: str = "write it anew") -> UsageError:
    """The sentence for a file whose content is not what was once written there."""
    return UsageError(f"{str(path)!r} is damaged ({why}): restore it from a copy, or {remedy}")


def read_bytes(path: Path, max_bytes: int | None = None) -> bytes:
    """The content of a file.

    Raises:
        UsageError: it is not there, cannot be read, or is larger than `max_bytes`.
    """
    try:
        size = path.stat().st_size
        if max_bytes is not None and size > max_bytes:
            raise UsageError(
                f"{str(path)!r} has {size:,} bytes, more than the {max_bytes:,} that are read: "
                "pass max_bytes=... if you trust it"
            )
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r} ({reason(error)})") from error


def read_text(path: Path, max_bytes: int | None = None) -> str:
    """The content of a file as text; errors as for `read_bytes`, and for what is no UTF-8."""
    try:
        return read_bytes(path, max_bytes).decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{str(path)!r} is no text, which is expected in UTF-8") from None


def reason(error: Exception) -> str:
    """A few words on what went wrong, without a path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "its content cannot be read"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
