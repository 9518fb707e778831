"""The shape of a MobileNet-like network, and what it costs by arithmetic alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn

from classical.errors import UsageError


@dataclass(frozen=True)
class Layer:
    """A convolution on square maps, with the batch normalization folded in.

    A linear layer is one of side 1, pooling to one pixel one with kernel 0, which has no weights.

    Attributes:
        inputs, outputs: channels.
        kernel, stride, groups: as in `Conv2d`, padded by half a kernel.
        side: of the input, pixels.
        held: values kept meanwhile for a residual connection; no part of the layer's identity.
    """

    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    side: int = 1
    held: int = field(default=0, compare=False)

    @property
    def side_out(self) -> int:
        """Pixels of the output's side."""
        return -(-self.side // self.stride) if self.kernel else 1

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations."""
        per_pixel = self.kernel**2 * self.inputs // self.groups * self.outputs
        return self.side_out**2 * per_pixel

    @property
    def weights(self) -> int:
        """Weights and, where there are weights, biases."""
        per_output = self.kernel**2 * self.inputs // self.groups + 1
        return self.outputs * per_output if self.kernel else 0

    @property
    def values(self) -> int:
        """Activations alive while it runs: input, output, and what is held."""
        return self.inputs * self.side**2 + self.outputs * self.side_out**2 + self.held

    def module(self) -> nn.Module:
        """The layer as a module with random weights."""
        if not self.kernel:
            return nn.AdaptiveAvgPool2d(1)
        return nn.Conv2d(
            self.inputs,
            self.outputs,
            self.kernel,
            self.stride,
            self.kernel // 2,
            groups=self.groups,
        )


@dataclass(frozen=True)
class BlockPlan:
    """An inverted residual: channels, kernel and stride, hidden channels over input channels."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expansion: int

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.inputs == self.outputs

    def layers(self, side: int) -> tuple[Layer, Layer, Layer]:
        """Expansion, depthwise convolution and projection on maps of a side."""
        hidden = self.inputs * self.expansion
        held = self.inputs * side**2 if self.residual else 0
        expand = Layer(self.inputs, hidden, side=side)
        depthwise = Layer(hidden, hidden, self.kernel, self.stride, hidden, side, held)
        return expand, depthwise, Layer(hidden, self.outputs, side=depthwise.side_out, held=held)


@dataclass(frozen=True)
class Plan:
    """All that `MobileNet` needs to know.

    Attributes:
        resolution: side of the input, pixels.
        in_channels, stem, head, num_classes: channels, in the order of the network.
        stem_stride: of the first convolution.
        stages: blocks.
    """

    resolution: int
    in_channels: int
    stem: int
    stem_stride: int
    stages: tuple[tuple[BlockPlan, ...], ...]
    head: int
    num_classes: int

    def layers(self) -> Iterator[Layer]:
        """All layers in order."""
        layer = Layer(self.in_channels, self.stem, 3, self.stem_stride, side=self.resolution)
        yield layer
        for block in (block for stage in self.stages for block in stage):
            layers = block.layers(layer.side_out)
            yield from layers
            layer = layers[-1]
        side = layer.side_out
        yield Layer(layer.outputs, self.head, side=side)
        yield Layer(self.head, self.head, kernel=0, side=side)
        yield Layer(self.head, self.num_classes)


@dataclass(frozen=True)
class Costs:
    """What an inference of one image takes.

    Attributes:
        macs: multiply-accumulate operations.
        peak_bytes: the most activations alive at once (SRAM), layer by layer.
        flash_bytes: of weights and biases.
    """

    macs: int
    peak_bytes: int
    flash_bytes: int


def predict_costs(plan: Plan, bits: int = 8) -> Costs:
    """The costs of a network from its shape, without building it.

    Batch normalization counts as folded and ReLU as done in place, as on a device; this is what
    `classical.metrics` measures of such a network.

    Args:
        plan: the shape.
        bits: of an activation and of a weight.

    Raises:
        UsageError: for less than one bit.
    """
    if bits < 1:
        raise UsageError(f"a value takes at least 1 bit, and bits={bits} was given")
    layers = list(plan.layers())
    peak = max(layer.values for layer in layers)
    weights = sum(layer.weights for layer in layers)
    return Costs(sum(layer.macs for layer in layers), -(-peak * bits // 8), -(-weights * bits // 8))
