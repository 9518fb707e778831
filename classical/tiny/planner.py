"""One arena for all activations of a network, planned before it runs (MCUNet, arXiv:2007.10319)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from classical.errors import need
from classical.quantization.integer import IntegerModel, Layer
from classical.tiny.kernels import Kernel, specialized
from classical.tiny.placing import ALIGNMENT, Span, place


@dataclass(frozen=True)
class Step:
    """One step of a program.

    Values have numbers: 0 is the input, k + 1 the result of step k.

    Attributes:
        name: of the layer, for messages.
        reads: numbers of the values it reads.
        bytes: of its result.
        scratch_bytes: that it needs while it runs.
        overwrites: numbers of values whose place its result may take, where it is no larger and no
            later step needs them.
    """

    name: str
    reads: tuple[int, ...]
    bytes: int
    scratch_bytes: int = 0
    overwrites: tuple[int, ...] = ()


@dataclass(frozen=True)
class Block:
    """Bytes of the arena, and when they are in use.

    Attributes:
        name: of the layer whose result or scratch memory it is.
        offset, bytes: where it lies; both are multiples of `ALIGNMENT`.
        first, last: steps, both included; the result of all is in use after the last step, too.
    """

    name: str
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class MemoryPlan:
    """Where everything lies.

    Attributes:
        steps: of the program, in order.
        values: their blocks, by number.
        scratch: block of each step, or None.
    """

    steps: tuple[Step, ...]
    values: tuple[Block, ...]
    scratch: tuple[Block | None, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All of them."""
        return self.values + tuple(block for block in self.scratch if block)

    @property
    def peak_bytes(self) -> int:
        """Of the arena."""
        return max(block.offset + block.bytes for block in self.blocks)

    @property
    def live_bytes(self) -> tuple[int, ...]:
        """In use at each step, and after the last."""
        times = range(len(self.steps) + 1)
        return tuple(sum(b.bytes for b in self.blocks if b.first <= t <= b.last) for t in times)

    @property
    def lower_bound(self) -> int:
        """The most that is in use at once: no plan with these lifetimes takes less."""
        return max(self.live_bytes)

    @property
    def peak_layer(self) -> str:
        """Name of the step at which most is in use, the first of several."""
        live, names = self.live_bytes, [*(step.name for step in self.steps), "the result"]
        return names[live.index(max(live))]

    def __str__(self) -> str:
        names, live = [repr(step.name) for step in self.steps], self.live_bytes
        wide = max([5, *map(len, names)])
        lines = [f"{'step':>4}  {'layer':{wide}}  {'in use':>9}  {'result at':>9}  {'bytes':>9}"]
        for k, (name, block) in enumerate(zip(names, self.values[1:], strict=True)):
            note = "  in place" if block.first > k else ""
            numbers = f"{live[k]:9,}  {block.offset:9,}  {block.bytes:9,}"
            lines.append(f"{k:4}  {name:{wide}}  {numbers}{note}")
        lines.append(
            f"{self.peak_bytes:,} bytes, {self.lower_bound:,} at least, most at {self.peak_layer!r}"
        )
        return "\n".join(lines)

    def plot(self) -> Any:
        """A matplotlib figure of the arena over time, with scratch memory hatched.

        Raises:
            UsageError: if matplotlib is not installed.
        """
        library = need("matplotlib.figure", extra="plot", purpose="plotting the plan of memory")
        figure = library.Figure(layout="constrained")
        axes = figure.subplots()
        for number, block in enumerate(self.blocks):
            axes.broken_barh(
                [(block.first, block.last + 1 - block.first)],
                (block.offset, block.bytes),
                facecolor=f"C{number % 10}" if number < len(self.values) else "white",
                hatch=None if number < len(self.values) else "////",
                edgecolor="black",
                linewidth=0.5,
            )
        axes.axhline(self.lower_bound, color="black", linestyle=":", label="lower bound")
        axes.set(xlabel="step", ylabel="bytes", xlim=(0, len(self.steps) + 1), ylim=(0, None))
        axes.legend()
        return figure


def plan_memory(network: IntegerModel, in_place: bool = True) -> MemoryPlan:
    """Where the activations of a network lie while the generated C runs.

    Depthwise convolutions overwrite their input through a buffer of one channel (MCUNet's
    TinyEngine), 1x1 convolutions that add no channels theirs through a few widened pixels; sums and
    cuts need neither.

    Args:
        network: as `to_integer` makes it.
        in_place: without, every result has bytes of its own.
    """
    return plan_steps(network.input.bytes, steps_of(network), in_place)


def steps_of(
    network: IntegerModel, kernel: Callable[[IntegerModel, Layer], Kernel] = specialized
) -> tuple[Step, ...]:
    """A step for each layer, by the kernel that runs it."""
    steps = []
    for layer in network.layers:
        chosen = kernel(network, layer)
        size = layer.output.bytes
        steps.append(Step(layer.name, layer.inputs, size, chosen.scratch_bytes, chosen.overwrites))
    return tuple(steps)


def plan_steps(input_bytes: int, steps: Sequence[Step], in_place: bool = True) -> MemoryPlan:
    """The plan of any program whose steps read values and make one each."""
    sizes = [input_bytes, *(step.bytes for step in steps)]
    last = _last_uses(steps)
    homes = _homes(steps, sizes, last, in_place)
    # A result in place needs bytes of its own when its step is over.
    first = [0, *(k + (homes[k + 1] <= k) for k in range(len(steps)))]
    spans = [_span(*given) for given in zip(sizes, first, map(max, first, last), strict=True)]
    groups: dict[int, list[Span]] = {}
    for home, span in zip(homes, spans, strict=True):
        groups.setdefault(home, []).append(span)
    scratch = {
        k: _span(step.scratch_bytes, k, k) for k, step in enumerate(steps) if step.scratch_bytes
    }
    offsets = place([*groups.values(), *([span] for span in scratch.values())])
    of_value = dict(zip(groups, offsets, strict=False))
    of_scratch = dict(zip(scratch, offsets[len(groups) :], strict=True))
    names = ["the input", *(step.name for step in steps)]
    return MemoryPlan(
        tuple(steps),
        tuple(
            _block(name, of_value[home], span)
            for name, home, span in zip(names, homes, spans, strict=True)
        ),
        tuple(
            _block(step.name, of_scratch[k], scratch[k]) if k in scratch else None
            for k, step in enumerate(steps)
        ),
    )


def _last_uses(steps: Sequence[Step]) -> list[int]:
    """The last step that reads each value, or makes it; the result is read after all."""
    last = [0, *range(len(steps))]
    for k, step in enumerate(steps):
        for number in step.reads:
            last[number] = k
    last[-1] = len(steps)
    return last


def _homes(
    steps: Sequence[Step], sizes: Sequence[int], last: Sequence[int], in_place: bool
) -> list[int]:
    """For each value the first one in its place, which may be itself."""
    homes = [0]
    for k, step in enumerate(steps):
        free = (n for n in step.overwrites if last[n] == k and sizes[n] >= sizes[k + 1])
        taken = next(free, None) if in_place else None
        homes.append(k + 1 if taken is None else homes[taken])
    return homes


def _span(size: int, first: int, last: int) -> Span:
    return Span(-(-size // ALIGNMENT) * ALIGNMENT, first, last)


def _block(name: str, offset: int, span: Span) -> Block:
    return Block(name, offset, span.bytes, span.first, span.last)
