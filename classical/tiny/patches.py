"""Patch-based inference: the first layers run on one patch of the image after the other.

Lin et al., "MCUNetV2" (arXiv:2110.15352), section 3.1. The maps of the first layers are the largest
of a network; of these only a patch is in memory at a time, with the pixels around it that it needs.
Neighbours overlap there, and what they share is computed again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from classical.errors import UsageError
from classical.metrics import count_macs
from classical.quantization.graph import Graph, Node, trace
from classical.tiny.memory import peak_values
from classical.tiny.windows import (
    POINTWISE,
    Interval,
    Region,
    clipped,
    on_region,
    pixels,
    spans,
    windows,
)


@dataclass(frozen=True)
class PatchCosts:
    """What one image takes, patch by patch and as a whole.

    Attributes:
        stage_bytes: peak of activations in the first stage, with its whole output and the image.
        streamed_bytes: the same, if each patch of the image is read when it is needed.
        rest_bytes: peak of the layers behind it.
        whole_bytes: peak if all layers run on the whole image.
        stage_macs: multiply-accumulate operations of the first stage, patch by patch.
        whole_stage_macs: of the first stage on the whole image.
        whole_macs: of the network on the whole image.
    """

    stage_bytes: int
    streamed_bytes: int
    rest_bytes: int
    whole_bytes: int
    stage_macs: int
    whole_stage_macs: int
    whole_macs: int

    @property
    def peak_bytes(self) -> int:
        """The most that is alive at once, the whole image included."""
        return max(self.stage_bytes, self.rest_bytes)

    @property
    def macs(self) -> int:
        """Of the network, patch by patch."""
        return self.whole_macs + self.stage_macs - self.whole_stage_macs

    @property
    def overhead(self) -> float:
        """MACs that are done again, as a fraction of those of the whole."""
        return self.macs / self.whole_macs - 1


class PatchBased(nn.Module):
    """A network whose first stage runs patch by patch; made by `patch_based`.

    It has its own copy of the weights, on the device where they were, and takes images of the size
    that it was made for.
    """

    def __init__(self, graph: Graph, stage: Sequence[Node], patches: int, macs: int) -> None:
        super().__init__()
        self.graph = graph
        self.stage = tuple(stage)
        self.rest = graph.nodes[len(stage) :]
        self.end = _crossing(graph, len(stage))[0]
        self._whole_macs = macs
        self._shapes = {graph.input: graph.shape, **{n.name: n.shape for n in graph.nodes}}
        height, width = self._shapes[self.end][-2:]
        if not 1 <= patches <= min(height, width):
            raise UsageError(
                f"the first stage gives maps of {height}x{width}, which cannot be cut into "
                f"{patches}x{patches} patches: take from 1 to {min(height, width)}"
            )
        self.regions = tuple(
            self._needed((rows, columns))
            for rows in _parts(height, patches)
            for columns in _parts(width, patches)
        )

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] -> what the model gives, one image after the other.

        Raises:
            UsageError: for images of another size.
        """
        if x.shape[1:] != self.graph.shape[1:]:
            raise UsageError(
                f"patches were made for images {list(self.graph.shape[1:])}, and these are "
                f"{list(x.shape[1:])}: call patch_based with such an image"
            )
        return torch.cat([self._image(image) for image in x.split(1)])

    def costs(self, bits: int = 8) -> PatchCosts:
        """Memory and MACs.

        Args:
            bits: of an activation.

        Raises:
            UsageError: for less than one bit.
        """
        if bits < 1:
            raise UsageError(f"a value takes at least 1 bit, and bits={bits} was given")
        sizes = {name: math.prod(shape) for name, shape in self._shapes.items()}
        held, streamed = zip(
            *(self._stage_values(patch, sizes) for patch in self.regions), strict=True
        )
        convolutions = [node for node in self.stage if node.op == "conv2d"]
        output = [self.graph.output]
        return PatchCosts(
            stage_bytes=_bytes(max(held), bits),
            streamed_bytes=_bytes(max(streamed), bits),
            rest_bytes=_bytes(peak_values(self.rest, sizes, output), bits),
            whole_bytes=_bytes(peak_values(self.graph.nodes, sizes, output), bits),
            stage_macs=sum(
                _macs(node, pixels(patch[node.name]))
                for patch in self.regions
                for node in convolutions
            ),
            whole_stage_macs=sum(_macs(node, math.prod(node.shape[-2:])) for node in convolutions),
            whole_macs=self._whole_macs,
        )

    def _image(self, x: Tensor) -> Tensor:
        whole = x.new_empty(self._shapes[self.end])
        for patch in self.regions:
            (top, bottom), (left, right) = patch[self.end]
            whole[..., top:bottom, left:right] = self._patch(x, patch)
        values = {self.end: whole}
        for node in self.rest:
            values[node.name] = node.call(values)
        return values[self.graph.output]

    def _patch(self, x: Tensor, patch: dict[str, Region]) -> Tensor:
        (top, bottom), (left, right) = patch[self.graph.input]
        given = x[..., top:bottom, left:right]
        values = {self.graph.input: (given, patch[self.graph.input])}
        for node in self.stage:
            region = patch[node.name]
            values[node.name] = on_region(node, region, values), region
        return values[self.end][0]

    def _needed(self, region: Region) -> dict[str, Region]:
        """The region of every result of the stage that a region of its output needs."""
        needed = {self.end: region}
        for node in reversed(self.stage):
            for name in node.inputs:
                read = clipped(spans(node, needed[node.name]), self._shapes[name])
                needed[name] = _hull(needed.get(name, read), read)
        return needed

    def _stage_values(self, patch: dict[str, Region], sizes: dict[str, int]) -> tuple[int, int]:
        """Values alive at the most in a patch: with the whole image, and with its part alone."""
        local = {
            name: math.prod(self._shapes[name][:2]) * pixels(region)
            for name, region in patch.items()
        }
        # The patch of the output is a part of the whole output, which is there all the time.
        image, end = self.graph.input, self.end
        held = peak_values(self.stage, local | {image: sizes[image]}, [end, image], end)
        return held + sizes[end], peak_values(self.stage, local, [end], end) + sizes[end]


def patch_based(model: nn.Module, x: Tensor, *, patches: int, layers: int) -> PatchBased:
    """The model with its first layers run patch by patch; its results stay the same.

    Args:
        model: one tensor in, one tensor out, taken in evaluation mode; it stays as it is.
        x: an image [1, channels, height, width] of the size that will be given.
        patches: of the first stage's output, along each side.
        layers: convolutions in the first stage. What only works on windows behind the last of them
            (normalization, activation, pooling, a residual sum) belongs to it where that makes its
            output smaller.

    Raises:
        UsageError: if the network cannot be cut behind so many convolutions, or its maps not into
            so many patches.

    Example:
        patched = patch_based(efficientnet_lite0(), image, patches=4, layers=7)
        print(patched.costs().peak_bytes, patched.costs().whole_bytes)
    """
    graph = trace(model, x[:1])
    cuts = _cuts(graph)
    if layers not in cuts:
        raise UsageError(
            f"{type(model).__name__} cannot be cut behind {layers} convolutions, where more than "
            "one result is needed later or a layer sees more than patches: it can be cut behind "
            f"{', '.join(map(str, cuts)) or 'none'}"
        )
    return PatchBased(graph, graph.nodes[: cuts[layers]], patches, count_macs(model, x[:1]))


def _cuts(graph: Graph) -> dict[int, int]:
    """By convolutions: how many operations the stage with the least output has."""
    shapes = {graph.input: graph.shape, **{node.name: node.shape for node in graph.nodes}}
    cuts: dict[int, int] = {}
    convolutions = 0
    for count, node in enumerate(graph.nodes, 1):
        if not _is_local(node, shapes):
            break
        convolutions += node.op == "conv2d"
        if not convolutions or _crossing(graph, count) != [node.name]:
            continue
        before = cuts.get(convolutions)
        if not before or math.prod(node.shape) <= math.prod(graph.nodes[before - 1].shape):
            cuts[convolutions] = count
    return cuts


def _is_local(node: Node, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether a patch of its result needs a patch of what it reads only."""
    same = all(shapes[name][-2:] == node.shape[-2:] for name in node.inputs)
    return windows(node) is not None and (same or node.op not in POINTWISE)


def _crossing(graph: Graph, count: int) -> list[str]:
    """Results of the first operations, the input included, that are needed behind them."""
    made = [graph.input, *(node.name for node in graph.nodes[:count])]
    read = {name for node in graph.nodes[count:] for name in node.inputs} | {graph.output}
    return [name for name in made if name in read]


def _parts(size: int, parts: int) -> list[Interval]:
    """Intervals of nearly one size."""
    return [(k * size // parts, (k + 1) * size // parts) for k in range(parts)]


def _hull(first: Region, second: Region) -> Region:
    """The smallest region that has both."""
    rows, columns = ((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(first, second, strict=True))
    return rows, columns


def _macs(convolution: Node, outputs: int) -> int:
    """Of a convolution, for so many pixels of its output."""
    return int(convolution.arguments["weight"].numel()) * outputs


def _bytes(values: int, bits: int) -> int:
    return -(-values * bits // 8)
