"""Energy by counting operations and memory accesses."""

from __future__ import annotations

from classical.errors import UsageError

PICOJOULES = {
    "int8": (0.03, 0.2),
    "int32": (0.1, 3.1),
    "fp16": (0.4, 1.1),
    "fp32": (0.9, 3.7),
}
"""Energy of (an addition, a multiplication) in a 45 nm process at 0.9 V.

M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014.
"""

SRAM_PICOJOULES = 5.0
"""Of 32 bits from an 8 KB SRAM; from DRAM it takes `DRAM_PICOJOULES`. Horowitz, as above."""
DRAM_PICOJOULES = 640.0


def energy(macs: int, weight_bytes: int, activation_bytes: int = 0, dtype: str = "fp32") -> float:
    """Joules of an inference, if weights and activations come from DRAM once.

    Args:
        macs: multiply-accumulate operations.
        weight_bytes: read once.
        activation_bytes: read and written, in sum.
        dtype: of the arithmetic: "int8", "int32", "fp16" or "fp32". int8 products are added up in
            int32.

    Raises:
        UsageError: for another dtype.
    """
    if dtype not in PICOJOULES:
        raise UsageError(f"there is no energy for {dtype!r}: choose one of {', '.join(PICOJOULES)}")
    add = PICOJOULES["int32" if dtype == "int8" else dtype][0]
    multiply = PICOJOULES[dtype][1]
    words = (weight_bytes + activation_bytes) / 4
    return 1e-12 * (macs * (add + multiply) + words * DRAM_PICOJOULES)
