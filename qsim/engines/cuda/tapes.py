"""Programs and observables on a device, copied once and kept as long as the program."""

from __future__ import annotations

from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

import qsim._native as _native
from qsim.observables import PauliString
from qsim.plan.program import Program

_NO_STRING = bytes(32)  # an address for observables that are none


class DeviceTape:
    """A program on a device, for one precision, and for gradients or not: see tape.cuh.

    Attributes:
        plan: what launching needs to know of it.
        content: its bytes on the device.
    """

    def __init__(
        self, program: Program, device: torch.device, real: torch.dtype, back: bool
    ) -> None:
        self.plan: Any = _native.cuda.Tape(program.native, real == torch.float32, back)
        self.content = _upload(self.plan.bytes, device)
        self._paulis: dict[tuple[PauliString, ...], Tensor] = {}

    def paulis(self, program: Program, observables: tuple[PauliString, ...]) -> Tensor:
        """The strings at the addresses of the program's final state."""
        if observables not in self._paulis:
            content = _native.cuda.paulis(program.measurement(observables))
            self._paulis[observables] = _upload(content or _NO_STRING, self.content.device)
        return self._paulis[observables]


_Kind: TypeAlias = tuple[torch.device, torch.dtype, bool]
_tapes: WeakKeyDictionary[Program, dict[_Kind, DeviceTape]] = WeakKeyDictionary()


def tape_of(program: Program, device: torch.device, real: torch.dtype, back: bool) -> DeviceTape:
    """The program's tape on the device, for reals of that dtype; `back` if it gives gradients."""
    kept, kind = _tapes.setdefault(program, {}), (device, real, back)
    if kind not in kept:
        kept[kind] = DeviceTape(program, *kind)
    return kept[kind]


def _upload(content: bytes, device: torch.device) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).to(device)
