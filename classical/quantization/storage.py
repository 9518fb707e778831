"""Networks of integers in files.

The header has the records of `integer.py`, each with its kind; in the place of an array are its
dtype, its shape and where its bytes begin in the data.
"""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from classical.quantization.container import Container
from classical.quantization.integer import IntegerModel, Layer, Rescale, Value

_FILE = Container(b"EQIN", 1, "network of integers")
_RECORDS: dict[str, type] = {
    kind.__name__: kind for kind in (IntegerModel, Rescale, Value, *Layer.__subclasses__())
}
_DTYPES = ("int8", "int32")


def save_integer(network: IntegerModel, path: str | Path) -> int:
    """Write a network of integers to one file, in one step; its bytes.

    Raises:
        UsageError: if the file cannot be written.
    """
    data = bytearray()
    header = _plain(network, data)
    return _FILE.write(path, header, bytes(data))


def load_integer(path: str | Path) -> IntegerModel:
    """The network in a file that `save_integer` wrote.

    Raises:
        UsageError: if there is no such file, or it is damaged, or from another version.
    """
    return _FILE.read(path, _network)


def _network(header: Any, data: bytes) -> IntegerModel:
    found = _restored(header, data)
    if not isinstance(found, IntegerModel):
        raise ValueError(f"it holds {type(found).__name__}")
    return found


def _plain(value: Any, data: bytearray) -> Any:
    """What JSON can hold; the bytes of arrays go to the end of data."""
    if isinstance(value, np.ndarray):
        start = len(data)
        data += value.astype(value.dtype.newbyteorder("<")).tobytes()
        return {"array": value.dtype.name, "shape": value.shape, "start": start}
    if isinstance(value, tuple):
        return [_plain(item, data) for item in value]
    if type(value).__name__ in _RECORDS:
        parts = {field.name: _plain(getattr(value, field.name), data) for field in fields(value)}
        return {"kind": type(value).__name__, **parts}
    return value


def _restored(value: Any, data: bytes) -> Any:
    if isinstance(value, list):
        return tuple(_restored(item, data) for item in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return _array(data, value["array"], value["shape"], value["start"])
    parts = {name: _restored(part, data) for name, part in value.items() if name != "kind"}
    return _RECORDS[value["kind"]](**parts)


def _array(data: bytes, dtype: str, shape: list[int], start: int) -> np.ndarray:
    if dtype not in _DTYPES:
        raise ValueError(f"an array of {dtype}")
    stored = np.frombuffer(data, np.dtype(dtype).newbyteorder("<"), math.prod(shape), start)
    return stored.reshape(shape).astype(dtype)
