"""Run circuits: expectation values, states, probabilities."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from qsim.circuit import Circuit
from qsim.columns import Values, resolve, tensors_of
from qsim.engines import Engine, select_engine
from qsim.errors import UsageError
from qsim.observables import PauliString, check_observables

_SURELY_FITS = 2**28  # bytes
_REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}


def expval(
    circuit: Circuit,
    observables: Iterable[PauliString] | None = None,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    values: Values | None = None,
    engine: str = "auto",
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Expectation values of Pauli strings after the circuit, starting from |0...0>.

    Args:
        circuit: the circuit.
        observables: Pauli strings; Z on every qubit by default.
        weights: the circuit's weights in radians, [num_weights] or [batch, num_weights].
        inputs: the circuit's inputs in radians, [batch, num_inputs] or [num_inputs].
        values: named parameters by name: numbers, or tensors that are scalars or [batch].
        engine: "auto", "cpu" or "reference".
        dtype: torch.complex64 or torch.complex128; by default what the weights and inputs have.

    Returns:
        real [batch, observables], or [observables] if nothing has a batch dimension;
        differentiable in weights and inputs.

    Raises:
        UsageError: for tensors of a wrong shape, device or dtype, angles that are not finite,
            states beyond the memory, an unknown engine, or observables of another size.
    """
    measured = check_observables(observables, circuit.num_qubits)
    call = _prepare(circuit, weights, inputs, values, engine, dtype)
    found = call.engine.expval(call.circuit, measured, call.weights, call.inputs, call.batch)
    return found if call.batched else found[0]


def state(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    values: Values | None = None,
    engine: str = "auto",
    dtype: torch.dtype | None = None,
) -> Tensor:
    """The state after the circuit: complex [batch, 2**n], or [2**n] without a batch dimension.

    Arguments and errors as for `expval`; qubit 0 is the least significant bit of the index.
    """
    call = _prepare(circuit, weights, inputs, values, engine, dtype)
    psi = call.engine.state(call.circuit, call.weights, call.inputs, call.batch)
    return psi if call.batched else psi[0]


def probabilities(
    circuit: Circuit,
    weights: Tensor | None = None,
    inputs: Tensor | None = None,
    *,
    values: Values | None = None,
    engine: str = "auto",
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Probabilities of basis states: real [batch, 2**n], or [2**n] without a batch dimension."""
    psi = state(circuit, weights, inputs, values=values, engine=engine, dtype=dtype)
    return psi.real**2 + psi.imag**2


class _Call(NamedTuple):
    circuit: Circuit
    engine: Engine
    weights: Tensor
    inputs: Tensor
    batch: int
    batched: bool


def _prepare(
    circuit: Circuit,
    weights: Tensor | None,
    inputs: Tensor | None,
    values: Values | None,
    engine: str,
    dtype: torch.dtype | None,
) -> _Call:
    """Check shapes, device and dtype, and find the batch."""
    given = {"weights": weights, "inputs": inputs}
    sizes = {"weights": circuit.num_weights, "inputs": circuit.num_inputs}
    tensors = {name: tensor for name, tensor in given.items() if tensor is not None}
    for name, tensor in tensors.items():
        _check_tensor(name, tensor, sizes[name])
    for name, size in sizes.items():
        if name not in tensors and size:
            raise UsageError(f"the circuit has {size} {name}: pass {name}=... of shape [{size}]")
    extra = tensors_of(circuit, values) if circuit.expressions or values else {}
    real, device = _common({**tensors, **extra}, dtype)
    ready = {
        name: tensors[name].to(real)
        if name in tensors
        else torch.zeros(0, dtype=real, device=device)
        for name in sizes
    }
    circuit, *columns = resolve(circuit, ready["weights"], ready["inputs"], values)
    ready = dict(zip(ready, columns, strict=True))
    batch, batched = _batch(ready)
    if device.type == "cpu":
        _check_finite(tensors)
        _check_memory(circuit.num_qubits, batch, 2 * real.itemsize)
    return _Call(
        circuit,
        select_engine(engine, device.type),
        ready["weights"],
        ready["inputs"],
        batch,
        batched,
    )


def _check_tensor(name: str, tensor: Tensor, size: int) -> None:
    if not isinstance(tensor, Tensor):
        raise UsageError(f"{name} are a torch tensor, not {type(tensor).__name__}")
    if not tensor.is_floating_point():
        raise UsageError(f"{name} are real floating-point angles, not {tensor.dtype}")
    if tensor.dim() not in (1, 2) or tensor.shape[-1] != size or tensor.shape[0] < min(1, size):
        raise UsageError(
            f"{name} of shape {list(tensor.shape)} do not fit the circuit: "
            f"it takes [{size}] or [batch, {size}]"
        )


def _check_finite(tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        # One number tells: what is not finite stays so in a sum.
        if not math.isfinite(tensor.detach().sum().item()):
            raise UsageError(
                f"{name} hold a value that is not finite: angles are numbers in radians"
            )


def _check_memory(num_qubits: int, batch: int, bytes_per_amplitude: int) -> None:
    """Refuse what cannot fit before anything is allocated."""
    needed = batch * bytes_per_amplitude << num_qubits
    if needed < _SURELY_FITS:
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        fits = max(0, (memory // (batch * bytes_per_amplitude)).bit_length() - 1)
        raise UsageError(
            f"{batch} states of {num_qubits} qubits take {needed:,} bytes, but this machine has "
            f"{memory:,}: up to {fits} qubits fit"
        )


def _common(
    tensors: dict[str, Tensor], dtype: torch.dtype | None
) -> tuple[torch.dtype, torch.device]:
    devices = {tensor.device for tensor in tensors.values()}
    if len(devices) > 1:
        raise UsageError(
            f"{' and '.join(tensors)} are on different devices: {sorted(map(str, devices))}"
        )
    if dtype is not None and dtype not in _REAL:
        raise UsageError(f"dtype is torch.complex64 or torch.complex128, not {dtype}")
    double = any(tensor.dtype == torch.float64 for tensor in tensors.values())
    real = _REAL[dtype] if dtype is not None else (torch.float64 if double else torch.float32)
    return real, devices.pop() if devices else torch.device("cpu")


def _batch(tensors: dict[str, Tensor]) -> tuple[int, bool]:
    sizes = {name: tensor.shape[0] for name, tensor in tensors.items() if tensor.dim() == 2}
    if len(set(sizes.values())) > 1:
        raise UsageError(f"weights are a batch of {sizes['weights']}, inputs of {sizes['inputs']}")
    if 0 in sizes.values():
        raise UsageError("a batch of 0 samples has no result: pass one sample or more")
    return (next(iter(sizes.values())), True) if sizes else (1, False)
