"""The CPU engine: C++ kernels over batches of states, adjoint gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from qsim import _native
from qsim.circuit import Circuit
from qsim.engines.reference import ReferenceEngine
from qsim.observables import PauliString
from qsim.plan.program import program_of


class CpuEngine:
    """Runs the circuit's program on blocks of up to 16 samples; see design notes in kernels.hpp."""

    def expval(
        self,
        circuit: Circuit,
        observables: tuple[PauliString, ...],
        weights: Tensor,
        inputs: Tensor,
        batch: int,
    ) -> Tensor:
        result: Tensor = _Expval.apply(circuit, observables, weights, inputs, batch)
        return result

    def state(self, circuit: Circuit, weights: Tensor, inputs: Tensor, batch: int) -> Tensor:
        result: Tensor = _State.apply(circuit, weights, inputs, batch)
        return result


class _Run:
    """One forward pass, kept for its backward pass: program, tensors and final states."""

    def __init__(self, circuit: Circuit, weights: Tensor, inputs: Tensor, batch: int) -> None:
        self.circuit, self.batch = circuit, batch
        self.program = program_of(circuit)
        self.engine = _native.float64 if weights.dtype == torch.float64 else _native.float32
        self.weights, self.inputs = weights.contiguous(), inputs.contiguous()
        size = self.engine.state_size(self.program.native, batch)
        self.psi = torch.empty(size, dtype=weights.dtype)

    def call(self) -> tuple[int | bool, ...]:
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
        )

    def forward(self, observables: tuple[PauliString, ...]) -> Tensor:
        values = torch.empty(self.batch, len(observables), dtype=self.weights.dtype)
        measurement = self.program.measurement(observables)
        self.engine.forward(
            self.program.native, self.call(), measurement, self.psi.data_ptr(), values.data_ptr()
        )
        return values

    def states(self) -> Tensor:
        kind = torch.complex128 if self.weights.dtype == torch.float64 else torch.complex64
        states = torch.empty(self.batch, 2**self.circuit.num_qubits, dtype=kind)
        self.engine.export_states(
            self.program.native, self.call(), self.psi.data_ptr(), states.data_ptr()
        )
        return states

    def backward(
        self,
        observables: tuple[PauliString, ...],
        cotangent: Tensor,
        wanted: tuple[bool, bool],
    ) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of weights and inputs; the cotangent is of values, or if complex, of states."""
        given = cotangent.resolve_conj().contiguous()
        address = given.data_ptr()
        values, states = (0, address) if given.is_complex() else (address, 0)
        gradients = [
            torch.empty_like(tensor) if want else None
            for tensor, want in zip((self.weights, self.inputs), wanted, strict=True)
        ]
        self.engine.backward(
            self.program.native,
            self.call(),
            self.psi.data_ptr(),
            self.program.measurement(observables),
            values,
            states,
            *[0 if gradient is None else gradient.data_ptr() for gradient in gradients],
        )
        return gradients[0], gradients[1]


class _Expval(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        circuit: Circuit,
        observables: tuple[PauliString, ...],
        weights: Tensor,
        inputs: Tensor,
        batch: int,
    ) -> Tensor:
        ctx.run, ctx.observables = _Run(circuit, weights, inputs, batch), observables
        ctx.save_for_backward(weights, inputs)
        result: Tensor = ctx.run.forward(observables)
        return result

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:
        weights, inputs = ctx.saved_tensors
        wanted = (ctx.needs_input_grad[2], ctx.needs_input_grad[3])
        if (
            torch.is_grad_enabled()
        ):  # create_graph=True: the reference engine can be differentiated again
            run = ctx.run
            values = ReferenceEngine().expval(
                run.circuit, ctx.observables, weights, inputs, run.batch
            )
            gradients = _differentiable(values, (weights, inputs), wanted, cotangent)
        else:
            gradients = ctx.run.backward(ctx.observables, cotangent, wanted)
        return None, None, *gradients, None


class _State(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, circuit: Circuit, weights: Tensor, inputs: Tensor, batch: int) -> Tensor:
        ctx.run = _Run(circuit, weights, inputs, batch)
        ctx.save_for_backward(weights, inputs)
        ctx.run.forward(())
        result: Tensor = ctx.run.states()
        return result

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Any, ...]:
        weights, inputs = ctx.saved_tensors
        wanted = (ctx.needs_input_grad[1], ctx.needs_input_grad[2])
        if torch.is_grad_enabled():
            run = ctx.run
            states = ReferenceEngine().state(run.circuit, weights, inputs, run.batch)
            gradients = _differentiable(states, (weights, inputs), wanted, cotangent)
        else:
            gradients = ctx.run.backward((), cotangent, wanted)
        return None, *gradients, None


def _differentiable(
    result: Tensor, tensors: tuple[Tensor, Tensor], wanted: tuple[bool, bool], cotangent: Tensor
) -> list[Tensor | None]:
    """Gradients that can be differentiated once more."""
    chosen = [tensor for tensor, want in zip(tensors, wanted, strict=True) if want]
    found = iter(
        torch.autograd.grad(result, chosen, cotangent, create_graph=True, allow_unused=True)
    )
    return [next(found) if want else None for want in wanted]
