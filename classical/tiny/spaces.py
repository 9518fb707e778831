"""Which search space suits a device: TinyNAS.

Lin et al., "MCUNet" (arXiv:2007.10319), section 3.1: of spaces that differ in width and resolution,
the one whose networks within the limits do most operations has the best networks, so that none of
them needs to be trained for the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from classical.errors import UsageError, need
from classical.nas.mobile import MobileSpace
from classical.nas.plan import Costs, Layer, Plan
from classical.nas.search import Limited
from classical.tiny.targets import Target


@dataclass(frozen=True)
class SpaceSample:
    """Networks drawn from a space.

    Attributes:
        space: of one width and one resolution.
        macs: of the networks that fit the device, from the smallest up.
        drawn: how many were drawn.
    """

    space: MobileSpace
    macs: tuple[int, ...]
    drawn: int

    @property
    def name(self) -> str:
        """Width and resolution."""
        return f"width {self.space.widths[0]:g}, {self.space.resolutions[0]} pixels"

    @property
    def mean_macs(self) -> float:
        """Of those that fit, 0 if none does."""
        return fmean(self.macs) if self.macs else 0.0


@dataclass(frozen=True)
class SpaceChoice:
    """The spaces of a family on a device; `str` gives the table.

    Attributes:
        target: the device.
        samples: by space, in the order of the family.
    """

    target: Target
    samples: tuple[SpaceSample, ...]

    @cached_property
    def best(self) -> SpaceSample:
        """That of the space with the largest mean of MACs."""
        return max(self.samples, key=lambda sample: sample.mean_macs)

    @property
    def limited(self) -> Limited:
        """The networks of the best space that fit the device, for a search of `classical.nas`."""
        return self.best.space.under(**_limits(self.target))

    def __str__(self) -> str:
        lines = [f"{'space':24}{'that fit':>10}{'mean MACs':>14}{'median':>14}{'largest':>14}"]
        for sample in self.samples:
            found = sample.macs or (0,)
            numbers = (sample.mean_macs, float(np.median(found)), found[-1])
            share = len(sample.macs) / sample.drawn
            mark = "  <- best" if sample is self.best else ""
            columns = "".join(f"{number:14,.0f}" for number in numbers)
            lines.append(f"{sample.name:24}{share:10.1%}{columns}{mark}")
        return "\n".join(lines)

    def plot(self) -> Any:
        """A matplotlib figure with the cumulative distribution of MACs in every space.

        Raises:
            UsageError: if matplotlib is not installed.
        """
        library = need("matplotlib.figure", extra="plot", purpose="plotting search spaces")
        figure = library.Figure(figsize=(9, 5))
        axis = figure.subplots()
        for sample in self.samples:
            if sample.macs:
                share = np.arange(1, len(sample.macs) + 1) / len(sample.macs)
                width = 2.5 if sample is self.best else 1
                millions = np.array(sample.macs) / 1e6
                axis.plot(millions, share, linewidth=width, label=sample.name)
        axis.set(
            title=f"Networks that fit {self.target.name}",
            xlabel="million MACs",
            ylabel="share of networks with no more",
        )
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
        figure.tight_layout()
        return figure


def space_family(
    mobile: MobileSpace, widths: Sequence[float], resolutions: Sequence[int]
) -> tuple[MobileSpace, ...]:
    """Spaces of one width and one resolution each, all of their combinations.

    Args:
        mobile: all else of them.
        widths: multipliers of channels.
        resolutions: sides of the input, pixels.

    Raises:
        UsageError: for what is no width or resolution.
    """
    return tuple(
        replace(mobile, widths=(width,), resolutions=(resolution,))
        for width in widths
        for resolution in resolutions
    )


def choose_space(
    family: Sequence[MobileSpace], target: Target, networks: int = 1000, seed: int = 0
) -> SpaceChoice:
    """The space whose networks that fit a device have the most MACs in the mean.

    Activations and weights take 8 bits; what fits is known by arithmetic (`MobileSpace.costs`), so
    nothing is built.

    Args:
        family: spaces of one width and one resolution, as `space_family` makes them.
        target: the device.
        networks: to draw from each space.
        seed: draws them.

    Raises:
        UsageError: if there are no spaces, or if no network of any fits, with the bytes over.

    Example:
        choice = choose_space(space_family(mobile, (0.3, 0.5), (96, 160)), TARGETS["STM32F746"])
        print(choice)
        found = evolve(choice.limited, score)
    """
    if not family or networks < 1:
        raise UsageError(
            "a choice is made of 1 space or more by 1 network or more of each, "
            f"not of {len(family)} spaces by {networks}"
        )
    samples = tuple(_sample(space, target, networks, seed) for space in family)
    if not any(sample.macs for sample in samples):
        raise UsageError(_nothing_fits(family, target))
    return SpaceChoice(target, samples)


def _limits(target: Target) -> dict[str, int]:
    return {"peak_bytes": target.sram_bytes, "flash_bytes": target.flash_bytes}


def _sample(mobile: MobileSpace, target: Target, networks: int, seed: int) -> SpaceSample:
    rng = np.random.default_rng(seed)
    drawn = [mobile.costs(mobile.space.sample(rng)) for _ in range(networks)]
    # Where next to nothing fits, draws may miss it.
    fitting = [c for c in drawn if not _excess(c, target)] or [
        c for c in [mobile.costs(mobile.space.smallest)] if not _excess(c, target)
    ]
    return SpaceSample(mobile, tuple(sorted(costs.macs for costs in fitting)), networks)


def _excess(costs: Costs, target: Target) -> int:
    """Bytes over the limits."""
    return sum(max(0, getattr(costs, name) - limit) for name, limit in _limits(target).items())


def _nothing_fits(family: Sequence[MobileSpace], target: Target) -> str:
    plans = [mobile.plan(mobile.space.smallest) for mobile in family]
    costs = [mobile.costs(mobile.space.smallest) for mobile in family]
    best = min(range(len(family)), key=lambda k: _excess(costs[k], target))
    over = [
        f"{excess:,} bytes over in {place}"
        for excess, place in (
            (costs[best].peak_bytes - target.sram_bytes, f"SRAM, at {_peak(plans[best])}"),
            (costs[best].flash_bytes - target.flash_bytes, "flash"),
        )
        if excess > 0
    ]
    return (
        f"no network of the {len(family)} spaces fits {target.name}: the smallest is "
        f"{' and '.join(over)}; add smaller widths or resolutions"
    )


def _peak(plan: Plan) -> str:
    """The layer with most activations, in words."""
    layers = list(plan.layers())
    number = max(range(len(layers)), key=lambda k: layers[k].values)
    return f"layer {number + 1} of {len(layers)} ({_described(layers[number])})"


def _described(layer: Layer) -> str:
    kind = "depthwise" if 1 < layer.groups == layer.inputs else "convolution"
    return (
        f"{kind} {layer.kernel}x{layer.kernel} from {layer.inputs} channels of "
        f"{layer.side}x{layer.side} to {layer.outputs} of {layer.side_out}x{layer.side_out}"
    )
