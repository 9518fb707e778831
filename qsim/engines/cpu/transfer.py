"""Runs of exact noise on the CPU, in the Pauli basis."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from qsim.engines.tensors import call_row, gradients_of, kernels_for, laid_out
from qsim.memory import check_bytes
from qsim.noise import transfer
from qsim.noise.transfer import Program


class TransferRun:
    """Components of the final density matrices, real [batch, components]; an `AdjointRun`."""

    def __init__(
        self, program: Program, components: Sequence[int], batch: int, tensors: list[Tensor]
    ) -> None:
        self.program, self.components, self.batch = program, components, batch
        self.tensors = laid_out(tensors)
        real, size = tensors[0], 4**program.circuit.num_qubits
        self.what = f"exact noise on {program.circuit.num_qubits} qubits, {batch} samples,"
        check_bytes(real.itemsize * min(batch, 64 // real.itemsize) * size, self.what)
        self.native = kernels_for(real).TransferRun(program.native, call_row(self.tensors, batch))

    def forward(self, keep: bool) -> Tensor:
        needed = self.native.forward_bytes()
        if keep:
            needed = self.native.backward_bytes(*[t.requires_grad for t in self.tensors[:2]])
        check_bytes(needed, self.what + (" with their gradients," if keep else ""))
        values = self.tensors[0].new_empty(self.batch, len(self.components))
        self.native.forward(self.components, values.data_ptr())
        return values

    def backward(self, cotangent: Tensor, wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
        (given,) = laid_out([cotangent])
        gradients, addresses = gradients_of(self.tensors, wanted)
        self.native.backward(self.components, given.data_ptr(), *(*addresses, 0)[:3])
        return gradients

    def reference(self, *tensors: Tensor) -> Tensor:
        return transfer.rerun(self.program, self.components, self.batch, *tensors)
