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
        content: its bytes on the device.
        stages: their bits, matrices and groups, as in StageShape.
        bits: of an address.
        tile_bits: of the stages' tiles; those of a matrix have none.
        group_bits: of what a thread holds in registers.
        num_acts: fused matrices.
        first_groups: the first group that reads any of the wanted sources, by their bits.
        whole: whether a state is one tile from beginning to end.
    """

    def __init__(
        self, program: Program, device: torch.device, real: torch.dtype, back: bool
    ) -> None:
        plan = _native.cuda.Tape(program.native, real == torch.float32, back)
        self.content = _upload(plan.bytes, device)
        self.stages: list[Any] = plan.stages
        self.bits: int = plan.bits
        self.group_bits: int = plan.group_bits
        self.num_acts: int = plan.num_acts
        self.first_groups: list[int] = plan.first_groups
        tiles = [stage.bits for stage in self.stages if stage.matrix < 0]
        self.tile_bits: int = min(tiles, default=self.bits)
        self.whole = tiles == [self.bits] and len(self.stages) == 1
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
