"""Circuits with values for all their angles, for libraries that have no symbols."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.columns import Values, resolve
from qsim.errors import UsageError
from qsim.parameters import Angle, Symbol

Bound: TypeAlias = "float | Tensor"


def bound(
    circuit: Circuit, weights: Tensor | None, inputs: Tensor | None, values: Values | None
) -> tuple[Circuit, Callable[[Angle], Bound]]:
    """A circuit without expressions, and what gives the values of its angles.

    Values are numbers, or tensors ([] or [batch]) where there is a gradient or a batch.

    Raises:
        UsageError: for tensors of another size than the circuit's, or values that are missing.
    """
    tensors = {"weights": weights, "inputs": inputs}
    sizes = {"weights": circuit.num_weights, "inputs": circuit.num_inputs}
    for name, size in sizes.items():
        given = tensors[name]
        if (0 if given is None else given.shape[-1]) != size:
            shown = "none were given" if given is None else f"not {list(given.shape)}"
            raise UsageError(
                f"the circuit takes {name} of shape [{size}] or [batch, {size}]: {shown}"
            )
    found = [torch.zeros(0) if tensor is None else tensor for tensor in tensors.values()]
    dtype = torch.promote_types(found[0].dtype, found[1].dtype)
    plain, own, data = resolve(circuit, found[0].to(dtype), found[1].to(dtype), values)

    def value_of(angle: Angle) -> Bound:
        if not isinstance(angle, Symbol):
            assert isinstance(angle, float)
            return angle
        source = own if angle.source == "weight" else data
        value = angle.scale * source[..., angle.index] + angle.offset
        return value if value.dim() or value.requires_grad else float(value)

    return plain, value_of
