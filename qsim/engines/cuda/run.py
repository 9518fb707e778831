"""One run of a circuit on a GPU: which kernels are launched, with what."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import qsim._native as _native
from qsim.circuit import Circuit
from qsim.engines.cuda.launching import Arguments, DeviceRun, Launch, Launcher
from qsim.engines.cuda.tapes import tape_of
from qsim.engines.reference import rerun
from qsim.engines.tensors import laid_out
from qsim.observables import PauliString
from qsim.plan.program import program_of


class Run(DeviceRun):
    """Expectation values of the observables, or without any, the final states; an `AdjointRun`.

    A state that is one tile is `whole`: a launch takes it there, another one back. Others take a
    launch for each stage of the tape.
    """

    unit, arguments = "kernels", Arguments

    def __init__(
        self,
        launcher: Launcher,
        circuit: Circuit,
        observables: tuple[PauliString, ...] | None,
        batch: int,
        tensors: list[Tensor],
    ) -> None:
        super().__init__(launcher, batch, tensors)
        self.num_qubits, self.observables = circuit.num_qubits, observables
        self.operations = circuit.gates  # the circuit may grow before backward
        self.program = program_of(circuit)

    def _choose_tape(self, back: bool) -> None:
        self.tape = tape_of(self.program, self.like.device, self.like.dtype, back)
        self.paulis = (
            None if self.observables is None else self.tape.paulis(self.program, self.observables)
        )
        self.parts = self._parts(2 ** (self.tape.bits - self.tape.tile_bits))

    # --- There ------------------------------------------------------------------------------------

    def forward(self, keep: bool) -> Tensor:
        self._choose_tape(back=keep)
        if self.observables is None:
            result = self._complex(self.batch, 2**self.num_qubits)
            target = {"states": result}
        else:
            result = self._real(self.batch, len(self.observables))
            target = {"values": result}
        begin = self.tensors[2] if len(self.tensors) > 2 else None
        if self.tape.whole:
            self.psi = self._complex(self.batch, 2**self.tape.bits) if keep else None
            self._stage("forward", 0, begin=begin, psi=self.psi, **target)
            return result
        psi = self._start(begin)
        for number, stage in enumerate(self.tape.stages):
            if stage.matrix < 0:
                self._stage("forward", number, begin=begin, psi=psi)
            else:
                psi = self._matrix(number, psi, undone=False)
        self.psi = psi if keep else None
        return self._measured(psi, result)

    def _start(self, begin: Tensor | None) -> Tensor:
        """Room for the states; with what a run begins with, where the first stage is a matrix."""
        psi = self._complex(self.batch, 2**self.tape.bits)
        if self.tape.stages[0].matrix >= 0:
            if begin is not None:
                return psi.copy_(begin)
            psi.zero_()[:, 0] = 1
        return psi

    def _measured(self, psi: Tensor, result: Tensor) -> Tensor:
        if self.observables is None:
            self._spread("states", psi=psi, states=result)
            return result
        shape = (self.batch, self.parts, len(self.observables))
        parts = self.like.new_empty(shape, dtype=torch.float64)
        self._spread("expval", psi=psi, sums=parts)
        return parts.sum(1).to(result.dtype)

    # --- And back ---------------------------------------------------------------------------------

    def backward(self, cotangent: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        (given,) = laid_out([cotangent])
        to_start, sources = any(wanted[2:]), wanted[0] + 2 * wanted[1]
        first = 0 if to_start else self.tape.first_groups[sources]
        sums = self._real(self.batch, self.parts, self.tape.num_acts, 4)
        fields = {"sums": sums, "wanted": sources, "first_group": first}
        if self.tape.whole:
            lambda_ = self._complex(self.batch, 2**self.tape.bits) if to_start else None
            self._stage("backward", 0, psi=self.psi, lambda_=lambda_, cotangent=given, **fields)
        else:
            lambda_ = self._undo(self._seeded(given), -1 if to_start else first, fields)
        at_start = [] if lambda_ is None else [2 * lambda_[:, : 2**self.num_qubits]]
        gradients = [
            self._gradient(source, self.parts, sums=sums) if want else None
            for source, want in enumerate(wanted[:2])
        ]
        return (*gradients, *(at_start if to_start else [None] * len(wanted[2:])))

    def _seeded(self, cotangent: Tensor) -> Tensor:
        lambda_ = self._complex(self.batch, 2**self.tape.bits)
        if self.observables is None:
            if self.tape.bits > self.num_qubits:
                lambda_.zero_()
            self._spread("states", cotangent=cotangent, lambda_=lambda_)
        else:
            self._spread("seed", psi=self.psi, cotangent=cotangent, lambda_=lambda_)
        return lambda_

    def _undo(self, lambda_: Tensor, first: int, fields: dict[str, Any]) -> Tensor:
        """Lambda before all stages with groups from `first` on; the sums are left in the fields."""
        assert self.psi is not None
        psi = self.psi.clone()  # which a second pass will want
        for number, stage in reversed(list(enumerate(self.tape.stages))):
            if stage.groups <= first:
                break
            if stage.matrix < 0:
                self._stage("backward", number, psi=psi, lambda_=lambda_, **fields)
            else:
                psi, lambda_ = (self._matrix(number, s, undone=True) for s in (psi, lambda_))
        return lambda_

    def reference(self, *tensors: Tensor) -> Tensor:
        return rerun(self.num_qubits, self.operations, self.observables, self.batch, *tensors)

    # --- Launches ---------------------------------------------------------------------------------

    def _stage(self, kernel: str, number: int, **fields: Any) -> None:
        bits, real = self.tape.stages[number].bits, self.like.itemsize
        threads = self._threads(2 ** (bits - self.tape.group_bits))
        back = kernel == "backward"
        sums = 4 * self._warps(threads) if back else 0
        shared = _native.cuda.stage_bytes(bits, real, 2 if back else 1, sums)
        self._launch(
            kernel, Launch(self.batch, self.parts, threads, shared), stage=number, **fields
        )

    def _matrix(self, number: int, psi: Tensor, undone: bool) -> Tensor:
        made = torch.empty_like(psi)
        self._spread("matrix", stage=number, begin=psi, psi=made, wanted=int(undone))
        return made

    def _spread(self, kernel: str, **fields: Any) -> None:
        """A kernel whose threads share out the amplitudes."""
        threads = self._threads(2**self.tape.bits)
        self._launch(kernel, Launch(self.batch, self.parts, threads, 0), **fields)

    def _common(self) -> dict[str, Any]:
        return {
            **super()._common(),
            "tape": self.tape.content,
            "paulis": self.paulis,
            "num_paulis": len(self.observables or ()),
            "parts": self.parts,
        }
