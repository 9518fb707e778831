"""Multiply-accumulate operations, attention included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from classical.metrics.running import evaluating

_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def _cpu_attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Operations of attention on the CPU, which PyTorch's counter leaves out."""
    return int(sdpa_flop_count(query, key, value))


def count_macs(model: nn.Module, *inputs: Tensor) -> int:
    """Multiply-accumulate operations of one forward pass.

    Convolutions, linear layers, matrix products and attention count; what is done to single
    elements (activations, normalization, pooling) does not, as usual.

    Args:
        model: any module; it is run once without gradients, in evaluation mode, and left as it was.
        inputs: what it takes, batch included; the operations of the whole batch are counted.
    """
    return sum(macs_by_module(model, *inputs).values())


def macs_by_module(model: nn.Module, *inputs: Tensor) -> dict[str, int]:
    """The same by the name of the innermost module at work, "" for the model itself."""
    counter = FlopCounterMode(display=False, custom_mapping={_ATTENTION: _cpu_attention})
    with evaluating(model, *inputs), _without_fast_paths(), counter:
        model(*inputs)
    root = type(model).__name__
    totals = {
        name: sum(ops.values()) // 2
        for name, ops in counter.get_flop_counts().items()
        if name != "Global"
    }
    found = {}
    for name, total in totals.items():
        inner = sum(count for other, count in totals.items() if _parent(other) == name)
        if total > inner:
            found[name.removeprefix(root).removeprefix(".")] = total - inner
    # Operations outside every module, which a bare function has.
    outside = sum(counter.get_flop_counts().get("Global", {}).values()) // 2 - totals.get(root, 0)
    return found | ({"": found.get("", 0) + outside} if outside else {})


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


@contextmanager
def _without_fast_paths() -> Iterator[None]:
    """Transformer layers by their single operations: a fused one would count as none."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
