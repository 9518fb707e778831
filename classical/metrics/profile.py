"""What a network costs, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from classical.metrics.activations import measure_activations
from classical.metrics.energy import energy
from classical.metrics.macs import macs_by_module
from classical.metrics.parameters import count_parameters, model_size_bytes


@dataclass(frozen=True)
class LayerProfile:
    """One module that does work of its own: without that of the modules inside it.

    Attributes:
        name: as in `named_modules`, "" for the model itself.
        kind: its class.
        parameters: how many.
        macs: multiply-accumulate operations.
        peak_bytes: of activations alive while it works.
    """

    name: str
    kind: str
    parameters: int
    macs: int
    peak_bytes: int


@dataclass(frozen=True)
class Profile:
    """What a forward pass costs; `str` gives the table.

    Attributes:
        layers: in the order of the model.
        parameters: how many; shared ones count once.
        macs: multiply-accumulate operations.
        weight_bytes: of parameters in their own dtypes.
        activation_bytes: of all activations.
        peak_bytes: of activations alive at once, at `peak_layer`.
        energy: joules in 45 nm arithmetic of single precision, everything from DRAM once.
    """

    layers: tuple[LayerProfile, ...]
    parameters: int
    macs: int
    weight_bytes: int
    activation_bytes: int
    peak_bytes: int
    peak_layer: str
    energy: float

    def __str__(self) -> str:
        head = ("layer", "kind", "parameters", "MACs", "live activations")
        rows = [
            (x.name, x.kind, f"{x.parameters:,}", f"{x.macs:,}", f"{x.peak_bytes / 1024:,.1f} KiB")
            for x in self.layers
        ]
        end = (
            "all",
            "",
            f"{self.parameters:,}",
            f"{self.macs:,}",
            f"{self.peak_bytes / 1024:,.1f} KiB",
        )
        widths = [max(len(row[k]) for row in (head, *rows, end)) for k in range(len(head))]
        lines = [_line(row, widths) for row in (head, *rows, end)]
        return "\n".join([*lines, f"peak at {self.peak_layer or 'the model itself'}"])


def profile(model: nn.Module, *inputs: Tensor) -> Profile:
    """Parameters, MACs and live activations of every layer, and their sums.

    Args:
        model: any module; it is run without gradients, in evaluation mode, and left as it was.
        inputs: what it takes, batch included.

    Example:
        print(profile(nn.Sequential(nn.Linear(8, 4), nn.ReLU()), torch.ones(1, 8)))
    """
    macs = macs_by_module(model, *inputs)
    activations = measure_activations(model, *inputs)
    live: dict[str, int] = {}
    for step in activations.steps:
        live[step.module] = max(step.live_bytes, live.get(step.module, 0))
    layers = []
    for name, module in model.named_modules():
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if own or name in macs or name in live:
            kind = type(module).__name__
            layers.append(LayerProfile(name, kind, own, macs.get(name, 0), live.get(name, 0)))
    total = sum(macs.values())
    size = model_size_bytes(model)
    return Profile(
        layers=tuple(layers),
        parameters=count_parameters(model),
        macs=total,
        weight_bytes=size,
        activation_bytes=activations.total_bytes,
        peak_bytes=activations.peak_bytes,
        peak_layer=activations.peak_step.module if activations.steps else "",
        energy=energy(total, size, 2 * activations.total_bytes),
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join([*left, *right]).rstrip()
