"""The CPU engine: C++ kernels over batches of states, adjoint gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from qsim import _native
from qsim.circuit import Circuit
from qsim.engines.reference import ReferenceEngine
from qsim.gradients import adjoint
from qsim.observables import PauliString
from qsim.plan.program import program_of


class CpuEngine:
    """Runs the circuit's program on blocks of up to 16 samples; kernels.hpp has the layout."""

    def expval(
        self,
        circuit: Circuit,
        observables: tuple[PauliString, ...],
        weights: Tensor,
        inputs: Tensor,
        batch: int,
    ) -> Tensor:
        return adjoint.run(_Run(circuit, observables, weights, inputs, batch), weights, inputs)

    def state(self, circuit: Circuit, weights: Tensor, inputs: Tensor, batch: int) -> Tensor:
        return adjoint.run(_Run(circuit, None, weights, inputs, batch), weights, inputs)


class _Run:
    """One run: expectation values of the observables, or without any, the final states."""

    def __init__(
        self,
        circuit: Circuit,
        observables: tuple[PauliString, ...] | None,
        weights: Tensor,
        inputs: Tensor,
        batch: int,
    ) -> None:
        self.num_qubits, self.observables, self.batch = circuit.num_qubits, observables, batch
        self.operations = circuit.operations  # the circuit may grow before backward
        self.weights = weights.resolve_neg().contiguous()
        self.inputs = inputs.resolve_neg().contiguous()
        self.kernels = _native.float64 if weights.dtype == torch.float64 else _native.float32
        program = program_of(circuit)
        self.program, self.measurement = program.native, program.measurement(observables or ())

    def forward(self, keep: bool) -> Tensor:
        size = self.kernels.state_size(self.program, self.batch) if keep else 0
        self.psi = self.weights.new_empty(size)
        if self.observables is None:
            result = self.weights.new_empty(self.batch, 2**self.num_qubits, 2)
            targets = (0, result.data_ptr())
        else:
            result = self.weights.new_empty(self.batch, len(self.observables))
            targets = (result.data_ptr(), 0)
        self.run = self.kernels.Run(self.program, self.measurement, self._call())
        self.run.forward(*targets, self.psi.data_ptr())
        return torch.view_as_complex(result) if self.observables is None else result

    def backward(
        self, cotangent: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        given = cotangent.resolve_conj().resolve_neg().contiguous()
        address = given.data_ptr()
        weights, inputs = (
            torch.empty_like(tensor) if want else None
            for tensor, want in zip((self.weights, self.inputs), wanted, strict=True)
        )
        self.run.backward(
            self.psi.data_ptr(),
            *((0, address) if self.observables is None else (address, 0)),
            0 if weights is None else weights.data_ptr(),
            0 if inputs is None else inputs.data_ptr(),
            0,
        )
        return weights, inputs

    def reference(self, weights: Tensor, inputs: Tensor) -> Tensor:
        engine, circuit = ReferenceEngine(), Circuit(self.num_qubits)
        for operation in self.operations:
            circuit.append(*operation)
        if self.observables is None:
            return engine.state(circuit, weights, inputs, self.batch)
        return engine.expval(circuit, self.observables, weights, inputs, self.batch)

    def _call(self) -> tuple[int | bool, ...]:
        """Where the tensors lie and how long they are; see CallRow in module.cpp."""
        weights, inputs = self.weights, self.inputs
        return (
            weights.data_ptr(),
            inputs.data_ptr(),
            weights.shape[-1],
            inputs.shape[-1],
            weights.dim() == 2,
            inputs.dim() == 2,
            self.batch,
            torch.get_num_threads(),
            0,
        )
