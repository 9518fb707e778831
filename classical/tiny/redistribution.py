"""Receptive field moved from the first stage, where patches pay for it, to later layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from classical.errors import UsageError
from classical.nas.mobilenet import MobileNet
from classical.nas.plan import BlockPlan, Layer, Plan
from classical.tiny.patches import PatchCosts, patch_based
from classical.tiny.windows import Window

_LEAST_STRIDED = 3  # a strided kernel of one pixel would drop most of what it is given
_LARGEST = 7


@dataclass(frozen=True)
class Redistributed:
    """A network that sees as much as another, but less of it in its first stage.

    Attributes:
        plan: its shape; `MobileNet(plan)` is the network, to be trained.
        before, after: costs of both, patch by patch.
        stage_field_before, stage_field_after: pixels that the first stage sees along an axis.
        field_before, field_after: pixels that all layers see.
    """

    plan: Plan
    before: PatchCosts
    after: PatchCosts
    stage_field_before: int
    stage_field_after: int
    field_before: int
    field_after: int


def redistribute(plan: Plan, *, patches: int, blocks: int) -> Redistributed:
    """Make kernels of the first blocks as small as can be, and later ones larger in return.

    Lin et al., "MCUNetV2" (arXiv:2110.15352), section 3.2. Depthwise kernels of the first stage
    become one pixel, or three where they have a stride; those behind it grow to five and then to
    seven, the last first, until the network sees as much as before.

    Args:
        plan: of the network.
        patches: of the first stage's output, along each side.
        blocks: inverted residuals in the first stage, besides the first convolution.

    Raises:
        UsageError: if there are no such blocks, or the later ones are too few to see as much.
    """
    every = [block for stage in plan.stages for block in stage]
    if not 1 <= blocks < len(every):
        raise UsageError(
            f"of {len(every)} blocks some are the first stage and some follow it, so blocks is "
            f"from 1 to {len(every) - 1}, not {blocks}"
        )
    changed = _with_blocks(plan, _smaller(every[:blocks]) + every[blocks:])
    for number, kernel in _growth(every, blocks):
        if _field(changed.layers()) >= _field(plan.layers()):
            break
        changed = _with_kernel(changed, number, kernel)
    missing = _field(plan.layers()) - _field(changed.layers())
    if missing > 0:
        raise UsageError(
            f"the {len(every) - blocks} blocks behind the first stage see {missing} pixels too few "
            f"even with kernels of {_LARGEST}: take fewer blocks into the first stage"
        )
    return Redistributed(
        plan=changed,
        before=_costs(plan, patches, blocks),
        after=_costs(changed, patches, blocks),
        stage_field_before=_field(_stage(plan, blocks)),
        stage_field_after=_field(_stage(changed, blocks)),
        field_before=_field(plan.layers()),
        field_after=_field(changed.layers()),
    )


def _smaller(blocks: Iterable[BlockPlan]) -> list[BlockPlan]:
    return [
        replace(block, kernel=1 if block.stride == 1 else min(block.kernel, _LEAST_STRIDED))
        for block in blocks
    ]


def _growth(blocks: list[BlockPlan], first: int) -> Iterable[tuple[int, int]]:
    """Kernels of later blocks to be made larger, in order: number of the block and new kernel."""
    for kernel in range(5, _LARGEST + 1, 2):
        for number in reversed(range(first, len(blocks))):
            if blocks[number].kernel < kernel:
                yield number, kernel


def _with_kernel(plan: Plan, number: int, kernel: int) -> Plan:
    blocks = [block for stage in plan.stages for block in stage]
    blocks[number] = replace(blocks[number], kernel=kernel)
    return _with_blocks(plan, blocks)


def _with_blocks(plan: Plan, blocks: list[BlockPlan]) -> Plan:
    rest = iter(blocks)
    return replace(plan, stages=tuple(tuple(next(rest) for _ in stage) for stage in plan.stages))


def _stage(plan: Plan, blocks: int) -> list[Layer]:
    return list(plan.layers())[: _convolutions(blocks)]


def _convolutions(blocks: int) -> int:
    return 1 + 3 * blocks


def _field(layers: Iterable[Layer]) -> int:
    """Pixels of the input that the layers in a row see along an axis, up to a global pooling."""
    window = Window()
    for layer in layers:
        if not layer.kernel:
            break
        window = Window(layer.kernel, layer.stride, layer.kernel // 2).of(window)
    return window.size


def _costs(plan: Plan, patches: int, blocks: int) -> PatchCosts:
    image = torch.zeros(1, plan.in_channels, plan.resolution, plan.resolution)
    net = MobileNet(plan)
    return patch_based(net, image, patches=patches, layers=_convolutions(blocks)).costs()
