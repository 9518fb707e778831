"""A table of measured latencies, from which that of any network of a space is added up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from classical.errors import UsageError
from classical.files import write_atomically
from classical.metrics import measure_latency
from classical.nas.plan import Layer, Plan


def measured(layer: Layer) -> float:
    """Median seconds of a layer on this machine, for one image on one thread."""
    example = torch.randn(1, layer.inputs, layer.side, layer.side)
    return measure_latency(layer.module(), example, threads=1).median


class LatencyTable:
    """Seconds of a network as the sum over its layers, each measured once.

    Cai et al., "ProxylessNAS" (arXiv:1812.00332), appendix B.
    """

    def __init__(
        self,
        seconds: dict[Layer, float] | None = None,
        measure: Callable[[Layer], float] | None = measured,
    ) -> None:
        """Begin with known latencies.

        Args:
            seconds: of layers; filled further.
            measure: gives those of other layers; None refuses them, as for another device's table.
        """
        self.seconds = {} if seconds is None else seconds
        self.measure = measure

    def __getitem__(self, layer: Layer) -> float:
        """Seconds of a layer.

        Raises:
            UsageError: if it is not in the table and is not to be measured.
        """
        if layer not in self.seconds:
            if self.measure is None:
                raise UsageError(
                    f"the latency table has no {layer}: measure it where the table comes from"
                )
            self.seconds[layer] = self.measure(layer)
        return self.seconds[layer]

    def predict(self, plan: Plan) -> float:
        """Seconds of a network."""
        return sum(self[layer] for layer in plan.layers())

    def save(self, path: str | Path) -> None:
        """Write the table as JSON, all of it or nothing."""
        rows = [{"layer": asdict(layer), "seconds": s} for layer, s in self.seconds.items()]
        write_atomically(Path(path), json.dumps(rows, indent=1).encode())

    @classmethod
    def load(
        cls, path: str | Path, measure: Callable[[Layer], float] | None = None
    ) -> LatencyTable:
        """Read a table of `save`; by default it measures nothing more.

        Raises:
            UsageError: for a file that is no such table.
        """
        try:
            rows = json.loads(Path(path).read_text())
            return cls({Layer(**row["layer"]): float(row["seconds"]) for row in rows}, measure)
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{path} is no latency table ({error}): save one anew") from None
