"""Plans of memory: run byte by byte, and compared with what is known to be best."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from classical.models.efficientnet import convolution
from classical.quantization import to_integer
from classical.tiny import MemoryPlan, Step, plan_memory, plan_steps

SCRATCH = -2


@st.composite
def programs(draw: st.DrawFn) -> tuple[int, list[Step]]:
    """Chains with branches that come together, as networks have them."""
    steps = []
    for number in range(draw(st.integers(1, 12))):
        recent = st.integers(max(0, number - 4), number)
        reads = (number, *draw(st.lists(recent, max_size=2)))
        steps.append(
            Step(
                f"layer{number}",
                reads,
                draw(st.integers(1, 100)),
                draw(st.sampled_from((0, 0, 7, 30))),
                tuple(draw(st.sets(st.sampled_from(reads)))),
            )
        )
    return draw(st.integers(1, 100)), steps


def check(plan: MemoryPlan) -> None:
    """Run a program that only writes its names, so that nothing is overwritten too early."""
    memory = np.full(plan.peak_bytes, -1)

    def part(number: int) -> np.ndarray:
        block = plan.values[number]
        return memory[block.offset : block.offset + block.bytes]

    part(0)[:] = 0
    for k, (step, block) in enumerate(zip(plan.steps, plan.scratch, strict=True)):
        scratch = memory[block.offset : block.offset + block.bytes] if block else memory[:0]
        assert scratch.size >= step.scratch_bytes
        assert part(k + 1).size >= step.bytes
        scratch[:] = SCRATCH
        for number in step.reads:
            assert (part(number) == number).all()
            if np.shares_memory(part(number), part(k + 1)):
                assert number in step.overwrites
                assert plan.values[number].offset == plan.values[k + 1].offset
        part(k + 1)[:] = k + 1
        assert (scratch == SCRATCH).all()
    assert (part(len(plan.steps)) == len(plan.steps)).all()


@settings(deadline=None)
@given(programs(), st.booleans())
def test_nothing_is_overwritten_that_is_needed(
    program: tuple[int, list[Step]], in_place: bool
) -> None:
    plan = plan_steps(*program, in_place=in_place)
    check(plan)
    sizes = [program[0], *(step.bytes for step in program[1])]
    needed = [
        sum({n: sizes[n] for n in (*step.reads, k + 1)}.values()) + step.scratch_bytes
        for k, step in enumerate(program[1])
    ]
    assert plan.peak_bytes >= plan.lower_bound
    assert plan.lower_bound == max(plan.live_bytes)
    if not in_place:
        assert plan.lower_bound >= max(needed)
        assert all(block.first == max(n - 1, 0) for n, block in enumerate(plan.values))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 100), min_size=2, max_size=8))
def test_chains_take_what_two_neighbours_take(sizes: list[int]) -> None:
    steps = [Step(f"layer{k}", (k,), 4 * size) for k, size in enumerate(sizes[1:])]
    best = max(4 * (a + b) for a, b in pairwise(sizes))
    assert plan_steps(4 * sizes[0], steps).peak_bytes == best


def test_what_sticks_out_is_placed_first() -> None:
    # The result of 0 shrinks in place and makes room for the largest, which must not lie first.
    steps = [
        Step("wide", (0,), 400),
        Step("narrow", (1,), 200, overwrites=(1,)),
        Step("largest", (2,), 1200),
    ]
    plan = plan_steps(40, steps)
    check(plan)
    assert plan.peak_bytes == plan.lower_bound == 1400


def test_depthwise_takes_its_tensor_and_one_channel() -> None:
    network = to_integer(nn.Sequential(convolution(8, 8, 3, groups=8)), torch.randn(4, 8, 10, 12))
    tensor, channel = 8 * 10 * 12, 12 * 14
    assert plan_memory(network).peak_bytes == tensor + channel
    assert plan_memory(network, in_place=False).peak_bytes == 2 * tensor + channel


@pytest.mark.parametrize(
    ("layer", "in_place"),
    [
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), True),
        (nn.Conv2d(8, 8, 5, stride=2, groups=8), True),
        (nn.Conv2d(8, 8, 1, padding=1, groups=8), False),  # the result is larger
        (nn.Conv2d(8, 16, 3, padding=1, groups=8), False),
        (nn.Conv2d(8, 8, 3, padding=1, groups=4), False),
        (nn.Conv2d(8, 8, 1), True),
        (nn.Conv2d(8, 4, 1), True),
        (nn.Conv2d(8, 9, 1), False),
        (nn.Conv2d(8, 8, 1, stride=2), False),
        (nn.Conv2d(8, 8, 3, padding=1), False),
        (nn.MaxPool2d(2), False),
        (nn.ReLU(), True),
        (nn.Flatten(), False),  # it changes the order
    ],
)
def test_in_place_only_where_kernels_can(layer: nn.Module, in_place: bool) -> None:
    network = to_integer(nn.Sequential(nn.MaxPool2d(1), layer), torch.randn(4, 8, 6, 6))
    plan = plan_memory(network)
    check(plan)
    assert (plan.values[1].offset == plan.values[2].offset) == in_place


def test_bytes_that_only_fill_a_word_are_no_room_to_write_in_place() -> None:
    network = to_integer(nn.Sequential(nn.Conv2d(3, 4, 1)), torch.randn(4, 3, 1, 3))
    plan = plan_memory(network)
    assert plan.values[0].bytes == plan.values[1].bytes == 12
    assert plan.values[0].offset != plan.values[1].offset


def test_values_that_others_need_are_not_overwritten(
    every_model: tuple[nn.Module, Tensor],
) -> None:
    network = to_integer(*every_model)
    for in_place in (True, False):
        plan = plan_memory(network, in_place)
        check(plan)
        assert plan.peak_bytes == plan.lower_bound
    shapes = [network.input.shape, *(layer.output.shape for layer in network.layers)]
    assert all(
        math.prod(shape) <= block.bytes < math.prod(shape) + 4
        for shape, block in zip(shapes, plan.values, strict=True)
    )


def test_table_and_picture() -> None:
    pytest.importorskip("matplotlib")
    steps = [Step("first", (0,), 80, 8), Step("second", (1,), 40, overwrites=(1,))]
    plan = plan_steps(16, steps)
    assert plan.peak_layer == "first"
    lines = str(plan).splitlines()
    assert lines[1].split() == ["0", "'first'", "104", "0", "80"]
    assert lines[2].split() == ["1", "'second'", "80", "0", "40", "in", "place"]
    assert lines[3] == "104 bytes, 104 at least, most at 'first'"
    (axes,) = plan.plot().axes
    boxes = [c.get_paths()[0].get_extents() for c in axes.collections]
    assert [(b.x0, b.y0, b.x1, b.y1) for b in boxes] == [
        (b.first, b.offset, b.last + 1, b.offset + b.bytes) for b in plan.blocks
    ]
