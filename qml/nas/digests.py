"""Short digests of data, by which kept results tell what they were made with."""

from __future__ import annotations

import hashlib

from torch import Tensor


def digest(*parts: Tensor | str) -> str:
    """16 hexadecimal digits that depend on texts, and on shapes, types and values of tensors."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            found.update(f"{part!r}".encode())
            continue
        plain = part.detach().cpu().contiguous()
        found.update(f"{plain.dtype} {list(plain.shape)}".encode())
        found.update(plain.numpy().tobytes())
    return found.hexdigest()[:16]
