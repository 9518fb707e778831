"""What pruning made smaller and faster, and what not."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from classical.metrics import (
    Latency,
    count_macs,
    count_parameters,
    measure_activations,
    measure_latency,
    model_size_bytes,
)


@dataclass(frozen=True)
class Costs:
    """What a model costs.

    Attributes:
        parameters: all that are stored.
        nonzeros: of them, those that are not zero.
        weight_bytes: of all parameters, zeros included.
        macs: multiply-accumulate operations, those with zeros included.
        peak_bytes: of activations alive at once.
        latency: measured.
    """

    parameters: int
    nonzeros: int
    weight_bytes: int
    macs: int
    peak_bytes: int
    latency: Latency

    @classmethod
    def of(cls, model: nn.Module, inputs: tuple[Tensor, ...], threads: int | None) -> Costs:
        """Count and measure."""
        return cls(
            parameters=count_parameters(model),
            nonzeros=count_parameters(model, nonzero_only=True),
            weight_bytes=model_size_bytes(model),
            macs=count_macs(model, *inputs),
            peak_bytes=measure_activations(model, *inputs).peak_bytes,
            latency=measure_latency(model, *inputs, threads=threads),
        )


@dataclass(frozen=True)
class PruningReport:
    """The costs before and after; `str` says what became smaller and faster, and what did not.

    Attributes:
        before, after: costs.
        shapes: of the inputs they were measured with.
    """

    before: Costs
    after: Costs
    shapes: tuple[tuple[int, ...], ...]

    @property
    def smaller(self) -> bool:
        """Whether there are fewer operations: a mask alone leaves them."""
        return self.after.macs < self.before.macs

    def __str__(self) -> str:
        before, after = self.before, self.after
        lines = [
            _line("parameters stored", before.parameters, after.parameters),
            _line("parameters not zero", before.nonzeros, after.nonzeros),
            _line("bytes of weights, dense", before.weight_bytes, after.weight_bytes),
            _line("MACs", before.macs, after.macs),
            _line("peak bytes of activations", before.peak_bytes, after.peak_bytes),
        ]
        return "\n".join([*lines, self._speed()])

    def _speed(self) -> str:
        before, after = self.before.latency, self.after.latency
        sizes = ", ".join("x".join(map(str, shape)) for shape in self.shapes)
        measured = f"latency for an input of {sizes}: {before} before, {after} after"
        if not self.smaller:
            return (
                f"{measured}; no speed-up expected: the operations are as many as before, for zeros"
                " are stored and multiplied like other numbers; remove channels, or store the "
                "weights in a sparse format"
            )
        if after.high < before.low:
            return f"{measured}: {before.median / after.median:.2f} times as fast"
        return (
            f"{measured}: not faster beyond the spread, though there are fewer operations; such "
            "small layers cost the call more than the arithmetic"
        )


def pruning_report(
    before: nn.Module, after: nn.Module, *inputs: Tensor, threads: int | None = None
) -> PruningReport:
    """Compare a model with what pruning made of it.

    Args:
        before, after: they are run in evaluation mode and left as they were.
        inputs: what they take.
        threads: of PyTorch in the measurement of latency; by default as they are.
    """
    return PruningReport(
        before=Costs.of(before, inputs, threads),
        after=Costs.of(after, inputs, threads),
        shapes=tuple(tuple(x.shape) for x in inputs),
    )


def _line(what: str, before: int, after: int) -> str:
    if before == after:
        return f"{what}: {before:,}, unchanged"
    return f"{what}: {before:,} before, {after:,} after ({after / max(before, 1):.2f} times)"
