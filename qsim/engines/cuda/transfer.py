"""One run of exact noise on a GPU, in the Pauli basis: which kernels are launched, with what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

import qsim._native as _native
from qsim.engines.cuda.launching import DeviceRun, Launch, Launcher, TransferArguments
from qsim.engines.cuda.tapes import TransferTape, readings_of, transfer_tape_of
from qsim.engines.tensors import laid_out
from qsim.memory import check_bytes
from qsim.noise import transfer
from qsim.noise.transfer import Program

_KEPT = 2**30  # bytes of what maps are given; where it does not suffice, in shorter stages


class TransferRun(DeviceRun):
    """Components of the final density matrices, real [batch, components]; an `AdjointRun`.

    Channels cannot be undone: a way back begins each stage again from what it was given, and keeps
    what its maps with an angle are given.
    """

    unit, arguments = "transfer", TransferArguments

    def __init__(
        self,
        launcher: Launcher,
        program: Program,
        components: Sequence[int],
        batch: int,
        tensors: list[Tensor],
    ) -> None:
        super().__init__(launcher, batch, tensors)
        self.program, self.components = program, tuple(components)
        self.what = f"exact noise on {program.circuit.num_qubits} qubits, {batch} samples,"
        self.begin = self.tensors[2] if len(self.tensors) > 2 else None

    # --- There ------------------------------------------------------------------------------------

    def forward(self, keep: bool) -> Tensor:
        size = self.like.itemsize * self.batch * 4 ** max(2, self.program.circuit.num_qubits)
        check_bytes(size, self.what, self.like.device)
        self.tape = self._chosen_tape(size, keep)
        self.parts = self._parts(4 ** (self.tape.digits - self.tape.tile_digits))
        self._check_memory(size, keep)
        self.readings = readings_of(self.program, self.components, self.like.device)
        values = self._real(self.batch, len(self.components))
        self.starts: list[Tensor | None] = []  # what each stage is given, if it is wanted again
        given = None
        for number in range(len(self.tape.stages)):
            ends = number + 1 == len(self.tape.stages)
            made = None if ends and self.tape.whole else self._state()
            self._go(number, given, made, values)
            if keep:
                self.starts.append(given)
            given = made
        if not self.tape.whole:
            self._spread("values", len(self.components), from_=given, values=values)
        return values

    def _chosen_tape(self, size: int, keep: bool) -> TransferTape:
        angles = self.program.native.num_angles
        records = angles if angles * size <= _KEPT else max(_KEPT // size, math.isqrt(angles), 1)
        return transfer_tape_of(
            self.program, self.like.device, self.like.dtype, records if keep else angles
        )

    def _check_memory(self, size: int, keep: bool) -> None:
        """States of all samples that are held at a time: those stages are given, and on the way
        back lambda, what a matrix makes of it, and records."""
        stages = len(self.tape.stages)
        held = min(2, stages) if not keep else stages + 2 + self.tape.most_records
        check_bytes(
            held * size, self.what + (" with their gradients," if keep else ""), self.like.device
        )

    def _go(self, number: int, given: Tensor | None, made: Tensor | None, values: Tensor) -> None:
        fields: dict[str, Any] = {"stage": number, "from_": given, "to": made}
        if self.tape.stages[number].matrix >= 0:
            self._spread("matrix", 4**self.tape.digits, wanted=0, **fields)
        else:
            self._stage("forward", begin=self.begin, values=values, **fields)

    # --- And back ---------------------------------------------------------------------------------

    def backward(self, cotangent: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        (given,) = laid_out([cotangent])
        to_start, sources = any(wanted[2:]), wanted[0] + 2 * wanted[1]
        sums = self._real(self.batch, self.parts, self.tape.num_maps, 12)
        lambda_ = self._undo(self._seeded(given), given, sums, sources, to_start)
        at_start = lambda_[:, : 4**self.program.circuit.num_qubits] if to_start else None
        gradients = [
            self._gradient(source, self.parts, sums=sums) if want else None
            for source, want in enumerate(wanted[:2])
        ]
        return (*gradients, *[at_start for _ in wanted[2:]])

    def _seeded(self, cotangent: Tensor) -> Tensor:
        lambda_ = self._state()
        if not self.tape.whole:
            lambda_.zero_()
            self._spread("seed", len(self.components), cotangent=cotangent, lambda_=lambda_)
        return lambda_

    def _undo(
        self, lambda_: Tensor, cotangent: Tensor, sums: Tensor, sources: int, to_start: bool
    ) -> Tensor:
        """Lambda before the first stage that matters; leaves the sums of the maps."""
        records = self._real(self.tape.most_records, self.batch, 4**self.tape.digits)
        for number, stage in reversed(list(enumerate(self.tape.stages))):
            if not to_start and not stage.depends & sources:
                break
            if stage.matrix >= 0:
                made = torch.empty_like(lambda_)
                size = 4**self.tape.digits
                self._spread("matrix", size, stage=number, from_=lambda_, to=made, wanted=1)
                lambda_ = made
                continue
            self._stage(
                "backward",
                stage=number,
                begin=self.begin,
                from_=self.starts[number],
                lambda_=lambda_,
                cotangent=cotangent,
                records=records if stage.records else None,
                sums=sums,
                wanted=sources,
            )
        return lambda_

    def reference(self, *tensors: Tensor) -> Tensor:
        return transfer.rerun(self.program, self.components, self.batch, *tensors)

    # --- Launches ---------------------------------------------------------------------------------

    def _common(self) -> dict[str, Any]:
        return {
            **super()._common(),
            "tape": self.tape.content,
            "readings": self.readings,
            "num_readings": len(self.components),
            "parts": self.parts,
        }

    def _stage(self, kernel: str, stage: int, **fields: Any) -> None:
        digits = self.tape.stages[stage].digits
        threads = self._threads(4 ** (digits - 2))
        warps = self._warps(threads) if kernel == "backward" else 0
        shared = _native.cuda.transfer_bytes(digits, self.like.itemsize, warps)
        launch = Launch(self.batch, self.parts, threads, shared)
        self._launch(kernel, launch, stage=stage, **fields)

    def _spread(self, kernel: str, most: int, **fields: Any) -> None:
        """A kernel whose threads share out `most` numbers of a sample."""
        launch = Launch(self.batch, self.parts, self._threads(most), 0)
        self._launch(kernel, launch, **fields)

    def _state(self) -> Tensor:
        return self._real(self.batch, 4**self.tape.digits)
