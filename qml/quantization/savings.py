"""What pruning and quantization save on a device, in compiled gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from compile import Device, compile, noisy
from qml.data.tasks import Split
from qml.nn.model import Classifier
from qml.training.loop import predict
from qsim.errors import UsageError


class Saving(NamedTuple):
    """A model on a device.

    Attributes:
        weights: of the circuit.
        one_qubit_gates: compiled gates on one qubit that are played as pulses.
        two_qubit_gates: compiled gates on two qubits.
        esp: estimated success probability, of gates and readout.
        accuracy: without noise.
        noisy_accuracy: of exact expectation values under the device's noise model.
    """

    weights: int
    one_qubit_gates: int
    two_qubit_gates: int
    esp: float
    accuracy: float
    noisy_accuracy: float


@dataclass(frozen=True)
class Savings:
    """A row for every model, by its title; the first is what the others are compared with."""

    rows: Mapping[str, Saving]

    @property
    def accuracies(self) -> dict[str, tuple[float, float]]:
        """(without noise, under noise) by title, as `qml.plots.plot_accuracy` takes them."""
        return {title: (row.accuracy, row.noisy_accuracy) for title, row in self.rows.items()}

    def to_json(self) -> dict[str, Any]:
        """The rows, ready for JSON."""
        return {title: row._asdict() for title, row in self.rows.items()}

    def __str__(self) -> str:
        width = max(map(len, self.rows), default=0)
        heading = f"{'':{width}}  weights  pulses  2-qubit     ESP  noise-free   noisy"
        return "\n".join(
            [heading]
            + [
                f"{title:{width}}  {row.weights:7}  {row.one_qubit_gates:6}  "
                f"{row.two_qubit_gates:7}  {row.esp:6.3f}  {row.accuracy:10.1%}  "
                f"{row.noisy_accuracy:6.1%}"
                for title, row in self.rows.items()
            ]
        )


def compiled_savings(
    models: Mapping[str, Classifier],
    device: Device,
    split: Split,
    *,
    layout: Sequence[int] | None = None,
    seed: int = 0,
) -> Savings:
    """Compile models for a device and evaluate them with and without its noise.

    Args:
        models: by title; first the one that the others are compared with.
        device: its gates and noise.
        split: the samples for the accuracy.
        layout: physical qubit of every logical qubit, of all models alike; by default where Qiskit
            places the first one.
        seed: of the transpiler.

    Raises:
        UsageError: for targets that are no classes.
    """
    if split.y.is_floating_point():
        raise UsageError(f"accuracy is of classes, but the targets are of {split.y.dtype}")
    rows = {}
    for title, model in models.items():
        bound = model.bound()
        compiled = compile(bound.circuit, device, layout=layout, seed=seed)
        layout = compiled.initial_layout if layout is None else layout
        rows[title] = Saving(
            model.circuit.num_weights,
            compiled.one_qubit_gates,
            compiled.two_qubit_gates,
            compiled.esp,
            _accuracy(bound, split),
            _accuracy(bound.on(noisy(compiled, device)), split),
        )
    return Savings(rows)


def _accuracy(model: Classifier, split: Split) -> float:
    return (predict(model, split.x).argmax(1) == split.y).float().mean().item()
