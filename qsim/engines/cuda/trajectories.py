"""Trajectories on a GPU: which kernels are launched, with what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

import qsim._native as _native
from qsim.engines.cuda.launching import DeviceRun, Launch, Launcher, TrajectoryArguments
from qsim.engines.cuda.tapes import DeviceTape, tape_of
from qsim.engines.tensors import laid_out
from qsim.memory import check_bytes
from qsim.noise import blocks
from qsim.noise.trajectories import Rows
from qsim.strings import Strings

_KEPT = 2**30  # bytes that trajectories which run together take


class TrajectoryRun:
    """<psi|P|psi> of each trajectory, real [rows, strings]; an `AdjointRun`.

    As many trajectories run together as fit into _KEPT bytes.
    """

    def __init__(self, launcher: Launcher, rows: Rows, strings: Strings) -> None:
        self.launcher, self.rows, self.strings = launcher, rows, strings
        self.tensors = laid_out([rows.weights, rows.inputs])
        self.what = f"{rows.count} trajectories of {rows.circuit.num_qubits} qubits"
        self.seeds = rows.seeds.to(self.tensors[0].device).contiguous()

    def forward(self, keep: bool) -> Tensor:
        self.parts = list(self._divided(keep))
        found = [part.forward(keep) for part in self.parts]
        if not keep:
            self.parts.clear()
        return torch.cat(found)

    def backward(self, cotangent: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        (given,) = laid_out([cotangent])
        rows = given.split([part.batch for part in self.parts])
        found = [part.backward(row, wanted) for part, row in zip(self.parts, rows, strict=True)]
        return tuple(
            _joined([gradient for gradient in gradients if gradient is not None], tensor)
            for gradients, tensor in zip(zip(*found, strict=True), self.tensors, strict=True)
        )

    def samples(self) -> Tensor:
        """A basis state of each trajectory instead, int64 [rows]."""
        return torch.cat([part.samples() for part in self._divided(keep=False, states=1)])

    def reference(self, *tensors: Tensor) -> Tensor:
        return blocks.rerun(self.rows, self.strings, *tensors)

    def _divided(self, keep: bool, states: int = 0) -> Iterator[_Part]:
        like, program = self.tensors[0], blocks.program_of(self.rows.circuit)
        amplitude = 2 * like.itemsize
        check_bytes(amplitude << self.rows.circuit.num_qubits, self.what, like.device)
        tape = tape_of(program, like.device, like.dtype, keep)
        if not tape.whole:
            states = len(tape.stages) + 2 if keep else 2
        states += tape.most_records if keep else 0
        each = (amplitude * states << tape.bits) + 64 * (tape.num_acts + len(self.strings) + 1)
        check_bytes(each, self.what + (" with their gradients" if keep else ""), like.device)
        size = min(self.rows.count, max(1, _KEPT // each))
        for first in range(0, self.rows.count, size):
            yield _Part(self, tape, first, min(size, self.rows.count - first))


class _Part(DeviceRun):
    """Trajectories that run together: so many, from number `first` on."""

    unit, arguments = "trajectories", TrajectoryArguments

    def __init__(self, whole: TrajectoryRun, tape: DeviceTape, first: int, count: int) -> None:
        rows = whole.rows
        mine = slice(first, first + count)
        tensors = [t[mine] if t.dim() == 2 else t for t in whole.tensors]
        super().__init__(whole.launcher, count, tensors)
        self.tape, self.first, self.seeds = tape, first, whole.seeds
        self.trajectories, self.num_strings = rows.trajectories, len(whole.strings)
        self.paulis = tape.paulis(blocks.program_of(rows.circuit), whole.strings)
        self.parts = self._parts(2 ** (tape.bits - tape.tile_bits))
        self.begin: Tensor | None = None
        if rows.initial is not None:
            sample = torch.arange(first, first + count, device=self.like.device)
            samples = sample // rows.trajectories % len(rows.initial)
            self.begin = rows.initial.index_select(0, samples).resolve_conj()
        self.decisions = self.like.new_empty(count, len(tape.choices), 2, dtype=torch.float64)

    # --- There ------------------------------------------------------------------------------------

    def forward(self, keep: bool) -> Tensor:
        values = self._real(self.batch, self.num_strings)
        if self.tape.whole:
            self._stage("follow", 0, values=values)
            return values
        psi = self._followed(keep)
        if keep:
            self.psi = psi
        parts = self.like.new_empty(self.batch, self.parts, self.num_strings, dtype=torch.float64)
        self._spread("expval", psi=psi, sums=parts)
        return parts.sum(1).to(values.dtype)

    def _followed(self, keep: bool) -> Tensor:
        """Final psi of a state with stages; with `keep`, what each stage is given stays."""
        given = self._start()
        self.starts: list[Tensor | None] = []
        for number, stage in enumerate(self.tape.stages):
            if keep:
                self.starts.append(given)
            if stage.choice >= 0:
                self._decide(number, given)
            made = self._state()
            if stage.matrix >= 0:
                self._operate(number, given, made, undone=False)
            else:
                self._stage("follow", number, from_=given, psi=made)
            given = made
        assert given is not None
        return given

    def _start(self) -> Tensor | None:
        """What a run begins with, where its first stage is a matrix."""
        if self.tape.stages[0].matrix < 0:
            return None
        psi = self._state()
        if self.begin is not None:
            return psi.copy_(self.begin)
        psi.zero_()[:, 0] = 1
        return psi

    def _decide(self, number: int, given: Tensor | None) -> None:
        stage = self.tape.stages[number]
        shape = (self.batch, self.parts, 1 + self.tape.choices[stage.choice])
        squares = self.like.new_empty(shape, dtype=torch.float64)
        if stage.matrix >= 0:
            launch = self._shared_out()
            launch = launch._replace(shared=8 * self._warps(launch.threads))
            self._launch("weigh_wide", launch, stage=number, from_=given, squares=squares)
        else:
            self._stage("weigh", number, from_=given, squares=squares)
        launch = Launch(self.batch, 1, self.launcher.warp, 0)
        self._launch("decide_from", launch, stage=stage.choice, squares=squares)

    def samples(self) -> Tensor:
        if self.tape.whole:
            psi = self._state()
            self._stage("follow", 0, psi=psi)
        else:
            psi = self._followed(keep=False)
        drawn = torch.empty(self.batch, dtype=torch.int64, device=self.like.device)
        threads = self._threads(2**self.tape.bits)
        launch = Launch(self.batch, 1, threads, 8 * threads)
        self._launch("sample", launch, psi=psi, drawn=drawn)
        return drawn

    # --- And back ---------------------------------------------------------------------------------

    def backward(self, cotangent: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        sources = wanted[0] + 2 * wanted[1]
        sums = self._real(self.batch, self.parts, self.tape.num_acts, 8)
        lambda_ = None
        if not self.tape.whole:
            lambda_ = self._state()
            self._spread("seed", psi=self.psi, cotangent=cotangent, lambda_=lambda_)
        records = self.like.new_empty(self.tape.most_records, self.batch, 2**self.tape.bits, 2)
        fields = {"cotangent": cotangent, "records": records, "sums": sums, "wanted": sources}
        for number, stage in reversed(list(enumerate(self.tape.stages))):
            if stage.matrix >= 0:
                assert lambda_ is not None
                made = torch.empty_like(lambda_)
                self._operate(number, lambda_, made, undone=True)
                lambda_ = made
                continue
            given = None if self.tape.whole else self.starts[number]
            self._stage("retrace", number, from_=given, lambda_=lambda_, **fields)
        return tuple(
            self._gradient(source, self.parts, sums=sums) if want else None
            for source, want in enumerate(wanted)
        )

    # --- Launches ---------------------------------------------------------------------------------

    def _common(self) -> dict[str, Any]:
        return {
            **super()._common(),
            "tape": self.tape.content,
            "begin": self.begin,
            "paulis": self.paulis,
            "num_paulis": self.num_strings,
            "parts": self.parts,
            "seeds": self.seeds,
            "num_seeds": len(self.seeds),
            "decisions": self.decisions,
            "trajectories": self.trajectories,
            "first": self.first,
        }

    def _stage(self, kernel: str, number: int, **fields: Any) -> None:
        bits, real = self.tape.stages[number].bits, self.like.itemsize
        threads = self._threads(2 ** (bits - self.tape.group_bits))
        back = kernel == "retrace"
        sums = 8 * self._warps(threads) if back else 0
        shared = _native.cuda.stage_bytes(bits, real, 2 if back else 1, sums)
        launch = Launch(self.batch, self.parts, threads, shared)
        self._launch(kernel, launch, stage=number, **fields)

    def _operate(self, number: int, given: Tensor | None, made: Tensor, undone: bool) -> None:
        launch, wanted = self._shared_out(), int(undone)
        self._launch("operate", launch, stage=number, from_=given, psi=made, wanted=wanted)

    def _spread(self, kernel: str, **fields: Any) -> None:
        """A kernel of pure states, whose threads share out the amplitudes."""
        self._launch(kernel, self._shared_out(), unit="kernels", **fields)

    def _shared_out(self) -> Launch:
        return Launch(self.batch, self.parts, self._threads(2**self.tape.bits), 0)

    def _state(self) -> Tensor:
        return self._complex(self.batch, 2**self.tape.bits)


def _joined(gradients: list[Tensor], tensor: Tensor) -> Tensor | None:
    """The gradient of all trajectories, from those of parts, in their order."""
    if not gradients:
        return None
    if tensor.dim() == 2:
        return torch.cat(gradients)
    return torch.stack(gradients).sum(0)
