"""The search space of MobileNet-like networks: resolution, width, depths, kernels, expansions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from classical.errors import UsageError
from classical.nas.plan import BlockPlan, Costs, Plan, predict_costs
from classical.nas.search import Limited
from classical.nas.space import Gene, Space

DIVISOR = 4
"""Widths are multiples of it."""


@dataclass(frozen=True)
class Stage:
    """Blocks on maps of one size: full width, how many there may be, stride of the first."""

    width: int
    depths: tuple[int, ...] = (1, 2)
    stride: int = 2


@dataclass(frozen=True)
class MobileSpace:
    """Networks like MobileNetV2, as once-for-all nets and MCUNet search them.

    Cai et al., arXiv:1908.09791; Lin et al., arXiv:2007.10319. Options go from the smallest up.

    Attributes:
        stages: in order.
        resolutions: sides of the input, pixels.
        widths: multipliers of all channels but those of the input and the classes.
        kernels: odd sizes of the depthwise convolutions, for every block.
        expansions: hidden over input channels, at least 2, for every block.
        stem, stem_stride, head: full channels and stride of the first convolution, channels of
            the last.
        in_channels, num_classes: of the task.
    """

    stages: tuple[Stage, ...]
    resolutions: tuple[int, ...]
    widths: tuple[float, ...] = (0.5, 0.75, 1.0)
    kernels: tuple[int, ...] = (3, 5, 7)
    expansions: tuple[int, ...] = (3, 4, 6)
    stem: int = 16
    stem_stride: int = 1
    head: int = 64
    in_channels: int = 1
    num_classes: int = 10

    def __post_init__(self) -> None:
        if not self.stages:
            raise UsageError("a space of networks needs at least one stage, and none was given")
        for name, options in self._options():
            if not options or list(options) != sorted(set(options)):
                raise UsageError(f"{name} goes from the smallest option up, not {options}")
        smallest = {name: options[0] for name, options in self._options()}
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise UsageError(f"kernels are odd, and {self.kernels} were given")
        if self.expansions[0] < 2 or min(smallest.values()) <= 0:
            raise UsageError(
                "options are positive, and expansions at least 2, because a block without an "
                f"expansion has other layers; given were {smallest}"
            )

    def _options(self) -> Iterator[tuple[str, tuple[float, ...]]]:
        yield from (
            ("resolutions", self.resolutions),
            ("widths", self.widths),
            ("kernels", self.kernels),
            ("expansions", self.expansions),
        )
        for number, stage in enumerate(self.stages):
            yield f"depths of stage {number}", stage.depths

    @cached_property
    def space(self) -> Space:
        """Its choices: "resolution", "width", "depth.0" by stage, "kernel.0.0" and "expansion.0.0"
        by stage and block."""
        choices: dict[str, tuple[float, ...]] = {
            "resolution": self.resolutions,
            "width": self.widths,
        }
        for number, stage in enumerate(self.stages):
            choices[f"depth.{number}"] = stage.depths
            for block in range(stage.depths[-1]):
                choices[f"kernel.{number}.{block}"] = self.kernels
                choices[f"expansion.{number}.{block}"] = self.expansions
        return Space(choices, self._left_out)

    def _left_out(self, gene: Gene) -> set[str]:
        return {
            f"{kind}.{number}.{block}"
            for number, stage in enumerate(self.stages)
            for block in range(gene[f"depth.{number}"], stage.depths[-1])
            for kind in ("kernel", "expansion")
        }

    def plan(self, gene: Gene) -> Plan:
        """The network of a gene, which may have choices of other spaces besides.

        Raises:
            UsageError: for a gene that lacks a choice, or has options that are not in the space.
        """
        gene = self.space.part(gene)
        stem = self._scaled(self.stem, gene)
        stages, inputs = [], stem
        for number, stage in enumerate(self.stages):
            outputs = self._scaled(stage.width, gene)
            blocks = []
            for block in range(gene[f"depth.{number}"]):
                kernel, expansion = (
                    gene[f"{kind}.{number}.{block}"] for kind in ("kernel", "expansion")
                )
                stride = 1 if block else stage.stride
                blocks.append(BlockPlan(inputs, outputs, kernel, stride, expansion))
                inputs = outputs
            stages.append(tuple(blocks))
        return Plan(
            resolution=gene["resolution"],
            in_channels=self.in_channels,
            stem=stem,
            stem_stride=self.stem_stride,
            stages=tuple(stages),
            head=self._scaled(self.head, gene),
            num_classes=self.num_classes,
        )

    def costs(self, gene: Gene, bits: int = 8) -> Costs:
        """MACs, peak memory and flash of a gene, by arithmetic."""
        return predict_costs(self.plan(gene), bits)

    def under(self, **limits: float) -> Limited:
        """The genes within limits on the fields of `Costs`, at 8 bits.

        Raises:
            UsageError: for limits of another name, or that no network of the space meets.
        """
        return Limited(self.space, self.costs, limits)

    @staticmethod
    def _scaled(channels: int, gene: Gene) -> int:
        return max(DIVISOR, round(channels * gene["width"] / DIVISOR) * DIVISOR)
