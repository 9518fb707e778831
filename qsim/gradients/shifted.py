"""Circuits as functions of many rows of angles, which one batch evaluates at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from qsim.circuit import Circuit, Symbol
from qsim.errors import UsageError
from qsim.gates import Gate
from qsim.gradients import transforms
from qsim.gradients.rules import Function, Rule
from qsim.prepare import Call
from qsim.sampling import Generator, check_generator, check_shots
from qsim.strings import Strings

_AT_A_TIME = 2**24  # amplitudes, or numbers drawn for shots


@dataclass(frozen=True)
class Unrolled:
    """A call where every angle that depends on anything reads an input column of its own.

    Attributes:
        call: that call, which runs any number of rows.
        angles: the values of those angles, real [batch, angles]; part of the graph of the weights
            and inputs.
        symbols: what each angle was.
        gates: (position of the operation, position of the parameter) of each angle.
    """

    call: Call
    angles: Tensor
    symbols: list[Symbol]
    gates: list[tuple[int, int]]

    @classmethod
    def of(cls, call: Call) -> Unrolled:
        """Unroll a call's circuit."""
        circuit = Circuit(call.circuit.num_qubits)
        symbols: list[Symbol] = []
        gates: list[tuple[int, int]] = []
        for k, (gate, qubits, params) in enumerate(call.circuit.operations):
            columns: list[Any] = []
            for j, param in enumerate(params):
                if isinstance(param, Symbol):
                    columns.append(Symbol("input", len(symbols)))
                    symbols.append(param)
                    gates.append((k, j))
                else:
                    columns.append(param)
            circuit.append(gate, qubits, columns)
        start = {"weight": 0, "input": call.weights.shape[-1]}
        places = [start[s.source] + s.index for s in symbols]
        both = columns_of(call)
        angles = both[:, places] * both.new_tensor([s.scale for s in symbols])
        angles = angles + both.new_tensor([s.offset for s in symbols])
        plain = replace(call, circuit=circuit, weights=both.new_zeros(0))
        return cls(plain, angles, symbols, gates)

    @property
    def frequencies(self) -> list[tuple[float, ...]]:
        """Frequencies of expectation values in each angle."""
        gates = [self.call.circuit.operations[k].gate for k, _ in self.gates]
        return [
            gate.unitary.shift_frequencies(j)
            for gate, (_, j) in zip(gates, self.gates, strict=True)
            if isinstance(gate, Gate)  # all are: nothing else has angles
        ]

    def rows(self, angles: Tensor) -> Call:
        """The call for rows of angles, [rows, angles]; row k is of sample k % batch."""
        return _with_rows(self.call, self.call.weights, angles)


def columns_of(call: Call) -> Tensor:
    """Weights and inputs side by side: [batch, num_weights + num_inputs]."""
    return torch.cat([call.weights.expand(call.batch, -1), call.inputs.expand(call.batch, -1)], 1)


def _columns_moved(call: Call, columns: Tensor) -> Call:
    """The call for rows of weights and inputs side by side; row k is of sample k % batch."""
    size = call.weights.shape[-1]
    return _with_rows(call, columns[:, :size], columns[:, size:])


def _with_rows(call: Call, weights: Tensor, inputs: Tensor) -> Call:
    rows, initial = len(inputs), call.initial
    if initial is not None:
        initial = initial.detach()
        initial = initial.repeat(rows // len(initial), 1) if initial.dim() == 2 else initial
    return replace(call, weights=weights, inputs=inputs, initial=initial, batch=rows, batched=True)


def values_of(
    call: Call, strings: Strings, by_gate: bool, shots: int | None, generator: Generator
) -> Function:
    """The call's expectation values, exact or from shots, as a function of its coordinates.

    Raises:
        UsageError: if the initial state wants a gradient.
    """
    if call.initial is not None and call.initial.requires_grad:
        raise UsageError(
            "initial_state wants a gradient, which only gradient='adjoint' has: detach it"
        )
    wants = {"weight": call.weights.requires_grad, "input": call.inputs.requires_grad}
    if by_gate:
        unrolled = Unrolled.of(call)
        point, moved, frequencies = unrolled.angles, unrolled.rows, unrolled.frequencies
        wanted = [j for j, s in enumerate(unrolled.symbols) if wants[s.source]]
    else:
        size = call.weights.shape[-1]
        point, moved, frequencies = columns_of(call), partial(_columns_moved, call), []
        wanted = [j for j in range(point.shape[1]) if wants["weight" if j < size else "input"]]

    def values(rows: Tensor) -> Tensor:
        if shots is None:
            return moved(rows).expval(strings)
        return moved(rows).estimate(strings, shots, generator)

    drawn = 0 if shots is None else shots * len(strings.settings)
    most = _AT_A_TIME // max(2**call.circuit.num_qubits, drawn)
    return Function(values, point, wanted, len(strings), frequencies, shots is not None, most)


def check_estimate(
    call: Call, strings: Strings, rule: Rule | None, shots: Any, generator: Generator
) -> int | None:
    """The number of shots, None for exact values.

    Raises:
        UsageError: for wrong shots or generators, or if a gradient is wanted that shots lack.
    """
    check_generator(generator, call.batch)
    if shots is None:
        return None
    if rule is None and call.wants_gradient:
        raise UsageError(
            "shots have no adjoint gradient: use gradient='shift', 'finite-difference' or "
            "'spsa', or torch.no_grad()"
        )
    return check_shots(shots, call.batch * max(1, len(strings.settings)))


def evaluated(
    call: Call, strings: Strings, rule: Rule | None, shots: int | None, generator: Generator
) -> Tensor:
    """Expectation values [batch, strings], exact or from shots, whose gradient the rule gives.

    Raises:
        UsageError: as `check_estimate`, inside torch.func, or if the initial state wants a
            gradient.
    """
    number = check_estimate(call, strings, rule, shots, generator)
    transforms.refuse("what shots or a rule estimates")
    if rule is None or not call.wants_gradient:
        with torch.no_grad():
            if number is None:
                return call.expval(strings)
            return call.estimate(strings, number, generator)
    function = values_of(call, strings, rule.by_gate, number, generator)
    result: Tensor = _Ruled.apply(function, rule, generator, function.point)
    return result


class _Ruled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, function: Function, rule: Rule, generator: Generator, point: Tensor
    ) -> Tensor:
        ctx.function, ctx.rule, ctx.generator = (
            replace(function, point=point.detach()),
            rule,
            generator,
        )
        return function(point)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        function = ctx.function.contracted(cotangent)
        return None, None, None, ctx.rule.jacobian(function, ctx.generator)[:, 0]
