"""Models whose quantum layers run on a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import nn

from compile import Device, NoisyCircuit, compile, noisy
from qml.nn.model import AnyModule, QuantumLayer, Runner, view


def on_device(
    model: AnyModule,
    device: Device,
    *,
    layout: Sequence[int] | None = None,
    level: int = 3,
    seed: int = 0,
    idle: bool = False,
    runner: Callable[[NoisyCircuit], Runner] | None = None,
    **options: Any,
) -> AnyModule:
    """The model with every quantum layer compiled for a device and run under its exact noise.

    Parameters are shared: `fit(on_device(model, device), ...)` is exact noise-aware training of the
    model, since gradients go through the noise.

    Args:
        model: a QuantumLayer, or modules with such in them.
        device: what to compile for.
        layout, level, seed: as for `compile.compile`, for every layer.
        idle: whether qubits relax while they wait, too.
        runner: what runs the compiled circuits instead, such as `NoiseInjection`.
        options: how they are run, such as shots=8192.

    Raises:
        UsageError: as `compile.compile`.
    """

    def compiled(layer: QuantumLayer) -> QuantumLayer:
        circuit = compile(layer.circuit, device, layout=layout, level=level, seed=seed)
        found = noisy(circuit, device, idle=idle)
        return layer.on(found if runner is None else runner(found), **options)

    return cast(AnyModule, _rewired(model, compiled))


def _rewired(model: nn.Module, change: Callable[[QuantumLayer], QuantumLayer]) -> nn.Module:
    """The model with every quantum layer replaced; all else shares its parameters."""
    if isinstance(model, QuantumLayer):
        return change(model)
    other = view(model)
    for name, child in model.named_children():
        setattr(other, name, _rewired(child, change))
    return other
