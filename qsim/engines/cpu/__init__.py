"""The CPU engine: C++ kernels over batches of states, adjoint gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.engines.reference import ReferenceEngine, rerun
from qsim.engines.tensors import call_row, gradients_of, kernels_for, laid_out
from qsim.gradients import adjoint
from qsim.observables import PauliString
from qsim.plan.program import program_of
from qsim.strings import Strings

if TYPE_CHECKING:
    from qsim.gradients.adjoint import AdjointRun
    from qsim.noise.kernels import TrajectoryRun
    from qsim.noise.trajectories import Rows
    from qsim.noise.transfer import Program


class CpuEngine:
    """Runs the circuit's program on blocks of vectors; kernels.hpp has the layout."""

    def reference(self) -> ReferenceEngine:
        return ReferenceEngine()

    def expval(
        self,
        circuit: Circuit,
        observables: tuple[PauliString, ...],
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None = None,
    ) -> Tensor:
        return _result(circuit, observables, weights, inputs, batch, initial)

    def state(
        self,
        circuit: Circuit,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
        initial: Tensor | None = None,
    ) -> Tensor:
        return _result(circuit, None, weights, inputs, batch, initial)

    def transfer(
        self, program: Program, components: Sequence[int], batch: int, tensors: list[Tensor]
    ) -> AdjointRun:
        from qsim.engines.cpu.transfer import TransferRun

        return TransferRun(program, components, batch, tensors)

    def trajectories(self, rows: Rows, strings: Strings) -> TrajectoryRun:
        from qsim.engines.cpu.trajectories import TrajectoryRun

        return TrajectoryRun(rows, strings)

    def states_held(self, circuit: Circuit, gradient: bool) -> int:
        return 3 if gradient else 1  # a gradient: the final state, its adjoint, and one more


def _result(
    circuit: Circuit,
    observables: tuple[PauliString, ...] | None,
    weights: Tensor,
    inputs: Tensor,
    batch: int,
    initial: Tensor | None,
) -> Tensor:
    tensors = [weights, inputs]
    if initial is not None:  # a state for each sample: autograd adds up what they share
        tensors.append(initial.expand(batch, initial.shape[-1]))
    return adjoint.run(_Run(circuit, observables, batch, tensors), *tensors)


class _Run:
    """One run: expectation values of the observables, or without any, the final states."""

    def __init__(
        self,
        circuit: Circuit,
        observables: tuple[PauliString, ...] | None,
        batch: int,
        tensors: list[Tensor],
    ) -> None:
        self.num_qubits, self.observables, self.batch = circuit.num_qubits, observables, batch
        self.operations = circuit.gates  # the circuit may grow before backward
        self.tensors = laid_out(tensors)
        self.kernels = kernels_for(tensors[0])
        program = program_of(circuit)
        self.program, measurement = program.native, program.measurement(observables or ())
        self.native = self.kernels.Run(self.program, measurement, call_row(self.tensors, batch))

    def forward(self, keep: bool) -> Tensor:
        real = self.tensors[0]
        self.psi = real.new_empty(self.kernels.state_size(self.program, self.batch) if keep else 0)
        if self.observables is None:
            result = real.new_empty(self.batch, 2**self.num_qubits, 2)
            targets = (0, result.data_ptr())
        else:
            result = real.new_empty(self.batch, len(self.observables))
            targets = (result.data_ptr(), 0)
        self.native.forward(*targets, self.psi.data_ptr())
        return torch.view_as_complex(result) if self.observables is None else result

    def backward(self, cotangent: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        (given,) = laid_out([cotangent])
        address = given.data_ptr()
        gradients, addresses = gradients_of(self.tensors, wanted)
        self.native.backward(
            self.psi.data_ptr(),
            *((0, address) if self.observables is None else (address, 0)),
            *(*addresses, 0)[:3],
        )
        return gradients

    def reference(self, *tensors: Tensor) -> Tensor:
        return rerun(self.num_qubits, self.operations, self.observables, self.batch, *tensors)
