"""Files from the network, checked against their checksums and kept in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.request import urlopen

from classical.cache import cache_folder
from classical.errors import UsageError
from classical.files import replacing

_TIMEOUT = 30  # seconds without an answer
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Download:
    """A file that is the same for ever.

    Attributes:
        url: where it is; its last part is the name in the cache.
        sha256: of its content, in hexadecimal.
        size: bytes.
    """

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """Of the file."""
        return self.url.rpartition("/")[2]

    def fetch(self, folder: str | Path | None = None) -> Path:
        """The file in the folder, from the network if it is not there yet.

        Args:
            folder: where it is kept, also by hand; by default "downloads" in the package's cache.

        Raises:
            UsageError: without a network, if what arrives or lies there is another file, or if the
                folder cannot be written. A file in part is never kept.
        """
        path = Path(folder or cache_folder() / "downloads") / self.name
        if path.is_file():
            with path.open("rb") as kept:
                if self._sha256(_chunks(kept)) != self.sha256:
                    raise UsageError(
                        f"{path} is damaged, its SHA-256 is not {self.sha256}: remove it and "
                        f"load the data again, or bring {self.url} there"
                    )
            return path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with urlopen(self.url, timeout=_TIMEOUT) as answer, replacing(path) as file:
                self._copy(answer, file, path)
        except (OSError, HTTPException) as error:
            raise UsageError(
                f"{self.url} ({self.size / 1e6:.0f} MB) cannot be fetched to {path} "
                f"({getattr(error, 'reason', None) or error}): try again with a network, or bring "
                f"the file there by hand; its SHA-256 is {self.sha256}"
            ) from None
        return path

    def _copy(self, answer: BinaryIO, file: BinaryIO, path: Path) -> None:
        """Copy what arrives. Raises UsageError if it is not the file."""
        received = self._sha256(_written(_chunks(answer), file))
        if received != self.sha256:
            raise UsageError(
                f"what {self.url} gave is not the file of {self.size:,} bytes but "
                f"{file.tell():,} bytes with the SHA-256 {received}: try again, or bring the file "
                f"with {self.sha256} to {path} by hand"
            )

    @staticmethod
    def _sha256(chunks: Iterator[bytes]) -> str:
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
        return digest.hexdigest()


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _written(chunks: Iterator[bytes], file: BinaryIO) -> Iterator[bytes]:
    for chunk in chunks:
        file.write(chunk)
        yield chunk
