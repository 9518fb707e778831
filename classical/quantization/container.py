"""Files of a header and data, with a checksum.

    magic (4 bytes)  version (1 byte)  CRC-32 of the rest  bytes of the header  header  data

All numbers are little-endian; the header is JSON, compressed by zlib.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from classical.errors import UsageError
from classical.files import write_atomically

Content = TypeVar("Content")
_HEAD = struct.Struct("<4sBII")


@dataclass(frozen=True)
class Container:
    """A kind of file.

    Attributes:
        magic: its first four bytes.
        version: of the format.
        what: it holds, for messages.
    """

    magic: bytes
    version: int
    what: str

    def write(self, path: str | Path, header: Any, data: bytes) -> int:
        """Write a file in one step; its bytes. Raises UsageError if it cannot be written."""
        packed = zlib.compress(json.dumps(header, separators=(",", ":")).encode(), 9)
        rest = struct.pack("<I", len(packed)) + packed + data
        content = struct.pack("<4sBI", self.magic, self.version, zlib.crc32(rest)) + rest
        try:
            write_atomically(Path(path), content)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from None
        return len(content)

    def read(self, path: str | Path, restore: Callable[[Any, bytes], Content]) -> Content:
        """What a function makes of a header and data.

        Raises:
            UsageError: if there is no such file, or it is damaged, or from another version.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from None
        if len(data) < _HEAD.size or data[:4] != self.magic:
            raise UsageError(
                f"{path} is no {self.what}: it does not begin with {self.magic.decode()}"
            )
        _, version, checksum, length = _HEAD.unpack_from(data)
        if version != self.version:
            raise UsageError(
                f"{path} has version {version} of the format, and {self.version} is known"
            )
        if zlib.crc32(data[_HEAD.size - 4 :]) != checksum:
            raise UsageError(
                f"{path} is damaged, its checksum is another: copy it, or write it again"
            )
        middle = _HEAD.size + length
        try:
            header = json.loads(zlib.decompress(data[_HEAD.size : middle]))
            return restore(header, data[middle:])
        except (
            ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError, zlib.error,
        ) as error:  # fmt: skip
            raise UsageError(
                f"{path} is no {self.what}, though its checksum fits: {error}"
            ) from error
