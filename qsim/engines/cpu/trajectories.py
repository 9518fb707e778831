"""Runs of trajectories on the CPU, in blocks of lanes."""

from __future__ import annotations

import torch
from torch import Tensor

from qsim.engines.tensors import call_row, gradients_of, kernels_for, laid_out
from qsim.memory import check_bytes
from qsim.noise import blocks
from qsim.noise.trajectories import Rows
from qsim.strings import Strings


class TrajectoryRun:
    """<psi|P|psi> of each trajectory, real [rows, strings]; an `AdjointRun`."""

    def __init__(self, rows: Rows, strings: Strings) -> None:
        self.rows, self.strings = rows, strings
        n = rows.circuit.num_qubits
        self.what = f"{rows.count} trajectories of {n} qubits"
        check_bytes(128 << n, self.what)  # one block
        self.tensors = laid_out(self._given())
        self.seeds = rows.seeds.contiguous()
        program = blocks.program_of(rows.circuit)
        batched = rows.initial is not None and len(rows.initial) > 1
        self.native = kernels_for(rows.weights).TrajectoryRun(
            program.native,
            program.measurement(strings),
            call_row(self.tensors, rows.count),
            (self.seeds.data_ptr(), len(self.seeds), rows.trajectories, batched),
        )

    def forward(self, keep: bool) -> Tensor:
        needed = self.native.forward_bytes()
        if keep:
            needed = self.native.backward_bytes(*[t.requires_grad for t in self.tensors[:2]])
        values = self.tensors[0].new_empty(0)
        needed += values.itemsize * self.rows.count * len(self.strings)
        check_bytes(needed, self.what + (" with their gradients" if keep else ""))
        values = values.new_empty(self.rows.count, len(self.strings))
        self.native.forward(values.data_ptr())
        return values

    def backward(self, cotangent: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        (given,) = laid_out([cotangent])
        gradients, addresses = gradients_of(self.tensors[:2], wanted)
        self.native.backward(given.data_ptr(), *addresses)
        return gradients

    def reference(self, *tensors: Tensor) -> Tensor:
        return blocks.rerun(self.rows, self.strings, *tensors)

    def samples(self) -> Tensor:
        """A basis state of each trajectory, int64 [rows]."""
        found = torch.empty(self.rows.count, dtype=torch.int64)
        check_bytes(self.native.forward_bytes(), self.what)
        self.native.samples(found.data_ptr())
        return found

    def _given(self) -> list[Tensor]:
        given = [self.rows.weights, self.rows.inputs]
        return given if self.rows.initial is None else [*given, self.rows.initial]
