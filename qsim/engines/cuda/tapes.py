"""Programs and observables on a device, copied once and kept as long as the program."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

import qsim._native as _native
from qsim.observables import PauliString
from qsim.plan.program import Program

_NO_STRING = bytes(32)  # an address for observables that are none


class DeviceTape:
    """A program on a device, for one precision: see tape.cuh.

    Attributes:
        plan: what launching needs to know of it.
        content: its bytes on the device.
    """

    def __init__(self, program: Program, device: torch.device, real: torch.dtype) -> None:
        self.plan: Any = _native.cuda.Tape(program.native, real == torch.float32)
        self.content = _upload(self.plan.bytes, device)
        self._paulis: dict[tuple[PauliString, ...], Tensor] = {}

    def paulis(self, program: Program, observables: tuple[PauliString, ...]) -> Tensor:
        """The strings at the addresses of the program's final state."""
        if observables not in self._paulis:
            content = _native.cuda.paulis(program.measurement(observables))
            self._paulis[observables] = _upload(content or _NO_STRING, self.content.device)
        return self._paulis[observables]


_tapes: WeakKeyDictionary[Program, dict[tuple[torch.device, torch.dtype], DeviceTape]] = (
    WeakKeyDictionary()
)


def tape_of(program: Program, device: torch.device, real: torch.dtype) -> DeviceTape:
    """The program's tape on the device, for reals of that dtype."""
    kept = _tapes.setdefault(program, {})
    if (device, real) not in kept:
        kept[device, real] = DeviceTape(program, device, real)
    return kept[device, real]


def _upload(content: bytes, device: torch.device) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).to(device)
