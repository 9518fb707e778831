"""How many threads a step of training is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Numbers in a step below which it is over before a second thread wakes up; on a busy machine
# PyTorch's threads would wait for each other far longer than they work.
_SMALL_STEP = 2**16


@contextmanager
def threads_for(size: int) -> Iterator[None]:
    """One thread for steps over few amplitudes and parameters, the caller's number for others."""
    before = torch.get_num_threads()
    if size < _SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
