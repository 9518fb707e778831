"""Angles to and from Qiskit's parameters.

Weights and inputs are elements of the parameter vectors "w" and "x"; other parameters have names.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch

from qsim.circuit import Circuit
from qsim.errors import UsageError, need
from qsim.parameters import (
    FUNCTIONS,
    Angle,
    Atom,
    Constant,
    Function,
    Input,
    Named,
    Parameter,
    Symbol,
    Weight,
    derived,
    evaluate,
)

PURPOSE = "converting to Qiskit"
MOST_BITS = 16  # that a condition may read: it is written out as a table
_VECTORS = {"w": Weight, "x": Input}
_METHODS = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "pow": "__pow__"}
_SYMPY = {**FUNCTIONS, "Abs": torch.abs}


def parameters_of(circuit: Circuit) -> dict[str, Any]:
    """What stands for its weights, its inputs and its named parameters in Qiskit."""
    parts = need("qiskit.circuit", extra="ibm", purpose=PURPOSE)
    return {
        "weight": parts.ParameterVector("w", circuit.num_weights),
        "input": parts.ParameterVector("x", circuit.num_inputs),
        **{f"named {name}": parts.Parameter(name) for name in circuit.parameters},
    }


def write_angle(param: Angle, symbols: dict[str, Any]) -> Any:
    """A number or a ParameterExpression.

    Raises:
        UsageError: for a tensor with a batch, or a function that Qiskit lacks.
    """
    if type(param) is float:
        return param

    def value_of(atom: Atom) -> Any:
        if isinstance(atom, Symbol):
            return symbols[atom.source][atom.index]
        if isinstance(atom, Named):
            return symbols[f"named {atom.name}"]
        if isinstance(atom, Constant) and not atom.tensor.dim():
            return atom.tensor.item()
        if isinstance(atom, Function):
            arguments = [write_angle(a, symbols) for a in atom.arguments]
            if all(isinstance(a, float) for a in arguments):
                return derived(atom.function, *arguments)
            name = atom.function.__name__
            method = getattr(arguments[0], _METHODS.get(name, name), None)
            if method is not None and not isinstance(arguments[0], float):
                return method(*arguments[1:])
        raise UsageError(
            f"Qiskit has no angle like {atom}: bind weights, inputs and parameters to numbers first"
        )

    if isinstance(param, Symbol) and (param.scale, param.offset) == (1, 0):
        return value_of(param)
    return evaluate(param, value_of)


def read_angle(value: Any) -> Angle:
    """The angle that a number, Parameter or ParameterExpression stands for.

    Raises:
        UsageError: for a function that is not among ours, and complex numbers.
    """
    return value if type(value) is float else _read(value)


@lru_cache(maxsize=65536)
def _read(value: Any) -> Angle:
    symbols = getattr(value, "parameters", ())
    if not symbols:
        return _real(value)
    if len(symbols) == 1:
        (symbol,) = symbols
        if value == symbol:
            return _symbol(symbol)
        slope = value.gradient(symbol)
        if isinstance(slope, (int, float)):
            return slope * _symbol(symbol) + _real(value.bind({symbol: 0}))
    named = {symbol.name: symbol for symbol in symbols}
    return _from_sympy(value.sympify(), named)


def _real(value: Any) -> float:
    number = complex(value)
    if abs(number.imag) > 1e-12 * max(1.0, abs(number.real)):
        raise UsageError(f"an angle is real, not {number}")
    return number.real


def _symbol(parameter: Any) -> Angle:
    vector = getattr(parameter, "vector", None)
    if vector is not None and vector.name in _VECTORS:
        return _VECTORS[vector.name](parameter.index)
    return Parameter(parameter.name)


def _from_sympy(node: Any, named: dict[str, Any]) -> Angle:
    if node.is_Symbol:
        return _symbol(named[node.name])
    if node.is_number:
        return _real(node)
    arguments = [_from_sympy(argument, named) for argument in node.args]
    kind = type(node).__name__
    if kind == "Add":
        return sum(arguments[1:], start=arguments[0])
    if kind == "Mul":
        return math.prod(arguments[1:], start=arguments[0])
    if kind == "Pow":
        base, exponent = arguments
        if isinstance(exponent, float) and exponent.is_integer() and exponent > 0:
            return base ** int(exponent)
        return derived(torch.pow, base, exponent)
    if kind == "conjugate":
        return arguments[0]
    if kind in _SYMPY:
        return derived(_SYMPY[kind], *arguments)
    raise UsageError(f"an angle with Qiskit's {kind} has no counterpart: bind its parameters first")
