"""What a program takes of a device, and whether the device has it."""

from __future__ import annotations

from dataclasses import dataclass

from classical.errors import UsageError
from classical.tiny.targets import Target


@dataclass(frozen=True)
class Footprint:
    """Bytes of a program.

    Attributes:
        flash_bytes: of what does not change.
        sram_bytes: of what does.
        heaviest_layer: the one with most weights.
        peak_layer: the one at which most of the arena is in use.
    """

    flash_bytes: int
    sram_bytes: int
    heaviest_layer: str
    peak_layer: str

    def check_fits(self, target: Target) -> None:
        """Raise UsageError if this is more than a device has: how many bytes, and where."""
        for memory, needed, given, layer, advice in (
            ("flash", self.flash_bytes, target.flash_bytes, self.heaviest_layer, "prune it"),
            (
                "SRAM",
                self.sram_bytes,
                target.sram_bytes,
                self.peak_layer,
                "lower the resolution or run the first layers by patches",
            ),
        ):
            if needed > given:
                raise UsageError(
                    f"the program takes {needed:,} bytes of {memory}, {needed - given:,} more than "
                    f"{target.name} has, most of them in layer {layer!r}: {advice}"
                )
