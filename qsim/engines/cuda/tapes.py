"""Programs and observables on a device, copied once and kept as long as the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

import qsim._native as _native
from qsim.observables import PauliString
from qsim.plan.program import Program

if TYPE_CHECKING:
    from qsim.noise import transfer

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
        choices: how many operators each choice of trajectories has.
        most_records: acts with an angle in a stage, at most.
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
        self.choices: list[int] = plan.choices
        self.most_records: int = max(stage.records for stage in self.stages)
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


class TransferTape:
    """A program of exact noise on a device, for one precision: see transfer_tape.cuh.

    Attributes:
        content: its bytes on the device.
        stages: as in TransferShape.
        digits: of a component's number.
        tile_digits: of the stages' tiles.
        num_maps: maps on one qubit.
        most_records: maps with an angle in a stage, at most.
        whole: whether a density matrix is one tile.
    """

    def __init__(
        self, program: transfer.Program, device: torch.device, real: torch.dtype, records: int
    ) -> None:
        plan = _native.cuda.TransferTape(program.native, real == torch.float32, records)
        self.content = _upload(plan.bytes, device)
        self.stages: list[Any] = plan.stages
        self.digits: int = plan.digits
        self.tile_digits: int = self.stages[0].digits
        self.num_maps: int = plan.num_maps
        self.most_records = max(stage.records for stage in self.stages)
        self.whole = all(s.matrix < 0 and s.digits == self.digits for s in self.stages)


_Kept: TypeAlias = dict[Any, Any]
_transfers: WeakKeyDictionary[transfer.Program, _Kept] = WeakKeyDictionary()


def transfer_tape_of(
    program: transfer.Program, device: torch.device, real: torch.dtype, records: int
) -> TransferTape:
    """The program's tape on the device; at most so many maps with an angle in a stage."""
    kept, kind = _transfers.setdefault(program, {}), (device, real, records)
    if kind not in kept:
        kept[kind] = TransferTape(program, *kind)
    tape: TransferTape = kept[kind]
    return tape


def readings_of(
    program: transfer.Program, components: tuple[int, ...], device: torch.device
) -> Tensor:
    """Components on the device, in the order in which kernels read them."""
    kept, key = _transfers.setdefault(program, {}), (device, components)
    if key not in kept:
        kept[key] = _upload(_native.cuda.readings(components), device)
    readings: Tensor = kept[key]
    return readings


def _upload(content: bytes, device: torch.device) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).to(device)
