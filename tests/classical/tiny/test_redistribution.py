"""Receptive field moved to later layers."""

import pytest
import torch

from classical.errors import UsageError
from classical.nas import MobileNet, MobileSpace, Stage
from classical.tiny import receptive_fields, redistribute


@pytest.fixture(scope="module")
def space() -> MobileSpace:
    return MobileSpace(
        (Stage(16, (2,)), Stage(24, (2,)), Stage(40, (3,))),
        resolutions=(96,),
        kernels=(3,),
        expansions=(4,),
        stem_stride=2,
    )


def test_the_first_stage_sees_less_and_costs_less(space: MobileSpace) -> None:
    plan = space.plan(space.space.largest)
    moved = redistribute(plan, patches=3, blocks=3)
    assert moved.stage_field_after < moved.stage_field_before
    assert moved.field_after >= moved.field_before
    assert 0 <= moved.after.overhead < moved.before.overhead
    assert moved.after.stage_bytes < moved.before.stage_bytes
    kernels = [block.kernel for stage in moved.plan.stages for block in stage]
    assert kernels[:3] == [3, 1, 3]  # where there is a stride three pixels stay
    image = torch.zeros(1, 1, 96, 96)
    for shape, field in ((plan, moved.field_before), (moved.plan, moved.field_after)):
        net = MobileNet(shape).eval()
        assert receptive_fields(net, image)["head.conv"][0].size == field
    assert net(image).shape == (1, 10)


def test_what_cannot_be_moved_is_refused(space: MobileSpace) -> None:
    plan = space.plan(space.space.largest)
    with pytest.raises(UsageError, match="from 1 to 6, not 7"):
        redistribute(plan, patches=2, blocks=7)
    large = MobileSpace(
        (Stage(16, (3,), 1), Stage(24, (1,), 1)), (32,), kernels=(7,), expansions=(2,)
    )
    with pytest.raises(UsageError, match="see 18 pixels too few"):
        redistribute(large.plan(large.space.largest), patches=2, blocks=3)
