"""Co-search of a network and its accelerator: a toy whose genes hold both.

In the manner of Lin et al., "NAAS" (arXiv:2105.13258), with an accelerator of few parameters and
costs by arithmetic. It shows which way a choice pulls; it is no model of a real chip.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from classical.errors import UsageError
from classical.metrics.energy import SRAM_PICOJOULES, energy
from classical.nas.plan import Layer, Plan
from classical.nas.space import Gene, Space

ACCELERATORS = Space(
    {"rows": (4, 8, 16, 32), "columns": (4, 8, 16, 32), "buffer_bytes": (4096, 16384, 65536)}
)
"""Genes of `Accelerator`: `mobile.space | ACCELERATORS` is the space of both."""

_CLOCK = 100e6  # Hz, of a microcontroller-class chip
_DRAM_BYTES_PER_CYCLE = 4
_BYTES_PER_PE = 64  # of buffer that take the area of a processing element: an assumption


@dataclass(frozen=True)
class HardwareCosts:
    """An inference of one image in int8.

    Attributes:
        seconds: at 100 MHz.
        joules: by the table of `classical.metrics.energy`.
        area: in processing elements, with 64 bytes of buffer counted as one.
        utilization: MACs over what the array could do in that time.
    """

    seconds: float
    joules: float
    area: float
    utilization: float


@dataclass(frozen=True)
class Accelerator:
    """An array of multipliers that keeps weights in place, with a buffer in front of DRAM.

    Attributes:
        rows: input channels at a time.
        columns: output channels at a time.
        buffer_bytes: for activations and weights.
    """

    rows: int = 8
    columns: int = 8
    buffer_bytes: int = 16384

    def __post_init__(self) -> None:
        if min(self.rows, self.columns, self.buffer_bytes) < 1:
            raise UsageError(f"an accelerator has at least one of everything, unlike {self}")

    @classmethod
    def from_gene(cls, gene: Gene) -> Accelerator:
        """The accelerator of a gene, which may have choices of other spaces besides."""
        return cls(**ACCELERATORS.part(gene))

    @property
    def area(self) -> float:
        """In processing elements."""
        return self.rows * self.columns + self.buffer_bytes / _BYTES_PER_PE

    def cycles(self, layer: Layer) -> int:
        """Of arithmetic: channels that do not fill the array leave a part of it idle.

        A depthwise convolution has one input channel for each output and uses a single row.
        """
        rows = ceil(layer.inputs // layer.groups / self.rows)
        return layer.side_out**2 * layer.kernel**2 * rows * ceil(layer.outputs / self.columns)

    def traffic(self, layer: Layer) -> int:
        """Bytes from and to DRAM: if the weights exceed the buffer, inputs come once for each part.

        A half of the buffer holds weights.
        """
        parts = max(1, ceil(2 * layer.weights / self.buffer_bytes))
        return (
            layer.weights + parts * layer.inputs * layer.side**2 + layer.outputs * layer.side_out**2
        )

    def run(self, plan: Plan) -> HardwareCosts:
        """What a network costs here; DRAM and arithmetic overlap within a layer."""
        layers = list(plan.layers())
        busy = [self.cycles(layer) for layer in layers]
        moved = [self.traffic(layer) for layer in layers]
        cycles = sum(
            max(b, ceil(m / _DRAM_BYTES_PER_CYCLE)) for b, m in zip(busy, moved, strict=True)
        )
        macs = sum(layer.macs for layer in layers)
        # Each cycle the buffer gives a byte to every row and takes four from every column.
        words = sum(busy) * (self.rows + 4 * self.columns) / 4
        joules = energy(macs, 0, sum(moved), "int8") + 1e-12 * SRAM_PICOJOULES * words
        utilization = macs / (cycles * self.rows * self.columns)
        return HardwareCosts(cycles / _CLOCK, joules, self.area, utilization)
