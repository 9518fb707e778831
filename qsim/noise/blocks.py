"""Runs of trajectories by the C++ engine, in blocks of lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qsim import _native
from qsim.circuit import Circuit
from qsim.engines.tensors import call_row, gradients_of, laid_out
from qsim.gradients import adjoint
from qsim.memory import check_bytes
from qsim.noise.unravelling import row_of
from qsim.observables import PauliString
from qsim.paulis import expectations
from qsim.plan.program import Program
from qsim.strings import Strings

if TYPE_CHECKING:
    from qsim.noise.trajectories import Rows


def expval(rows: Rows, strings: Strings) -> Tensor:
    """<psi|P|psi> / <psi|psi> of each trajectory, real [rows, strings]; differentiable."""
    identity = PauliString("I" * rows.circuit.num_qubits)
    found = adjoint.run(_Run(rows, Strings((*strings, identity))), rows.weights, rows.inputs)
    return found[:, :-1] / found[:, -1:].detach()


def samples(rows: Rows) -> Tensor:
    """A basis state of each trajectory, int64 [rows]."""
    run = _Run(rows, Strings())
    found = torch.empty(rows.count, dtype=torch.int64)
    check_bytes(run.native.forward_bytes(), run.what)
    run.native.samples(found.data_ptr())
    return found


def program_of(circuit: Circuit) -> Program:
    """The plan of a circuit with channels."""
    return circuit.kept(
        "trajectories", lambda: Program(circuit.num_qubits, circuit.operations, row_of)
    )


class _Run:
    def __init__(self, rows: Rows, strings: Strings) -> None:
        self.rows, self.strings = rows, strings
        n = rows.circuit.num_qubits
        self.what = f"{rows.count} trajectories of {n} qubits"
        check_bytes(128 << n, self.what)  # one block
        self.tensors = laid_out(self._given())
        self.seeds = rows.seeds.contiguous()
        program = program_of(rows.circuit)
        kernels = _native.float64 if rows.weights.dtype == torch.float64 else _native.float32
        batched = rows.initial is not None and len(rows.initial) > 1
        self.native = kernels.TrajectoryRun(
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
        weights, inputs = tensors
        return expectations(self.strings, self.rows.final_states(weights, inputs))

    def _given(self) -> list[Tensor]:
        given = [self.rows.weights, self.rows.inputs]
        return given if self.rows.initial is None else [*given, self.rows.initial]
