"""One file for a model whose weights share values: Huffman codes, and back bit for bit.

The header lists, for each entry of the state dict, its name, shape, dtype, number of values (0 for
a tensor that is stored as it is) and bytes. A tensor of shared values is its values, one byte of
form, and Huffman codes: form 0 of the labels of all weights; form 1 of the labels of those without
the first value, and of the gaps before them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from classical.errors import UsageError
from classical.quantization.container import Container
from classical.quantization.huffman import decode, encode
from classical.quantization.kmeans import KMeans
from classical.quantization.qat import freeze

_FILE = Container(b"EQPK", 1, "packed model")
_LONGEST_GAP = 63
"""A gap of this number says: so many zeros, and no weight yet (section 2 of Deep Compression)."""
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64, torch.float32, torch.float16, torch.bfloat16,
        torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
    )
}  # fmt: skip


def pack(model: nn.Module, path: str | Path) -> int:
    """Write a model to one file; a kill while it is written leaves the old file.

    The last stage of Deep Compression (Han et al., arXiv:1510.00149): values once, Huffman codes.

    Args:
        model: with `KMeans` weights, which take the bits of their Huffman codes; all else is
            stored as it is, without quantizers of activations.
        path: of the file.

    Returns:
        bytes of the file.

    Raises:
        UsageError: for a dtype that the format lacks, or a folder that cannot be written.
    """
    shared = _shared_weights(model)
    entries, bodies = [], []
    for name, tensor in freeze(model).state_dict().items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        if dtype not in _DTYPES:
            known = ", ".join(_DTYPES)
            raise UsageError(f"{name!r} has the dtype {dtype}: packed files hold {known}")
        body, values = _raw(tensor), 0
        if name in shared:
            labels, centers = shared[name]
            body, values = _encoded(labels, centers), len(centers)
        entries.append([name, list(tensor.shape), dtype, values, len(body)])
        bodies.append(body)
    return _FILE.write(path, entries, b"".join(bodies))


def unpack(path: str | Path) -> dict[str, Tensor]:
    """The state dict of a packed model, with the names and values of the plain one.

    Args:
        path: of a file that `pack` wrote.

    Raises:
        UsageError: if there is no such file, or it is damaged, or from another version.

    Example:
        model.load_state_dict(unpack("model.qpk"))
    """
    return _FILE.read(path, _restore)


def _shared_weights(model: nn.Module) -> dict[str, tuple[np.ndarray, Tensor]]:
    """Labels uint8 [weights] and values of the weights that share them."""
    found = {}
    for name, module in model.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            computed = module.parametrizations["weight"]
            if isinstance(computed[0], KMeans):
                labels = computed[0].labels.flatten().cpu().numpy()
                found[f"{name}.weight".lstrip(".")] = (labels, computed.original)
    return found


def _raw(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def _encoded(labels: np.ndarray, centers: Tensor) -> bytes:
    """Values, form and codes, in the form that takes fewer bytes."""
    places = np.flatnonzero(labels)
    gaps = np.diff(places, prepend=-1) - 1
    jumps = gaps // _LONGEST_GAP
    text = np.full(int(jumps.sum()) + len(gaps), _LONGEST_GAP)
    text[np.cumsum(jumps + 1) - 1] = gaps % _LONGEST_GAP
    dense, sparse = encode(labels), encode(labels[places] - 1) + encode(text)
    codes = b"\0" + dense if len(dense) <= len(sparse) else b"\1" + sparse
    return _raw(centers) + codes


def _restore(entries: list[Any], data: bytes) -> dict[str, Tensor]:
    found, start = {}, 0
    for name, shape, dtype, values, size in entries:
        body = data[start : start + size]
        start += size
        kind = _DTYPES[dtype]
        if values:
            split = values * kind.itemsize
            labels = _labels(body[split:], math.prod(shape))
            found[name] = _tensor(body[:split], kind)[torch.from_numpy(labels)].reshape(shape)
        else:
            found[name] = _tensor(body, kind).reshape(shape)
    if start != len(data):
        raise ValueError(f"{len(data)} bytes of tensors, where the header has {start}")
    return found


def _tensor(data: bytes, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.frombuffer(data, np.uint8).copy()).view(dtype)


def _labels(codes: bytes, count: int) -> np.ndarray:
    labels, rest = decode(codes[1:])
    if codes[0]:
        text, rest = decode(rest)
        ends = np.cumsum(np.where(text == _LONGEST_GAP, _LONGEST_GAP, text + 1))
        full = np.zeros(count, np.int64)
        full[ends[text < _LONGEST_GAP] - 1] = labels + 1
        labels = full
    if rest or len(labels) != count:
        raise ValueError(f"{len(labels)} labels for {count} weights")
    return labels
