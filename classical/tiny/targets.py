"""Microcontrollers as data: what a network may take there."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A device that a network is to run on.

    Attributes:
        name: of the chip.
        core: its processor.
        clock_hz: the most it runs at; None if that differs.
        flash_bytes: for the program and its constants.
        sram_bytes: for what is static: the arena of activations and all else that is written.
        source: where the figures come from.
    """

    name: str
    core: str
    clock_hz: int | None
    flash_bytes: int
    sram_bytes: int
    source: str


_KIB = 1024

TARGETS = {
    target.name: target
    for target in (
        Target(
            "STM32F746",
            "Arm Cortex-M7",
            216_000_000,
            flash_bytes=1024 * _KIB,
            sram_bytes=320 * _KIB,
            source="https://www.st.com/resource/en/datasheet/stm32f746zg.pdf",
        ),
        # 320 KiB of its 520 are for data, and a linker places no more than 160 of these; flash is
        # that of the module ESP32-WROOM-32.
        Target(
            "ESP32",
            "Xtensa LX6",
            240_000_000,
            flash_bytes=4096 * _KIB,
            sram_bytes=160 * _KIB,
            source="https://docs.espressif.com/projects/esp-idf/en/stable/esp32/api-reference/"
            "system/mem_alloc.html",
        ),
        Target(
            "host",
            "the processor at work",
            None,
            flash_bytes=sys.maxsize,
            sram_bytes=sys.maxsize,
            source="no limits, to try what is too large for a chip",
        ),
    )
}
"""Those that are known, by name; any other is one `Target`."""
