"""The trained predictor that comes with the package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from torch import Tensor

from compile import Compiled, Device
from qml.predictor.data import padded
from qml.predictor.graph import circuit_graph
from qml.predictor.model import GraphTransformer
from qml.training.checkpoints import read_tensors
from qml.training.loop import predict as outputs_of

SHIPPED = Path(__file__).with_name("weights.safetensors")


def load_predictor(path: str | Path = SHIPPED) -> GraphTransformer:
    """A trained predictor: that of the package, or "predictor.safetensors" in a folder of `train`.

    Raises:
        UsageError: for a file that is missing or no predictor.
    """
    tensors, _ = read_tensors(Path(path), "train a predictor by `python -m qml.predictor train`")
    model = GraphTransformer()
    model.load_state_dict(tensors)
    return model


def predict_success(compiled: Compiled, device: Device) -> float:
    """Predicted probability of successful trials of a compiled circuit: see `success_probability`.

    Weights and inputs may be open, for angles are not looked at. The shipped weights come from
    `python -m qml.predictor train` with its default settings: R2 0.989 and a root mean square error
    of 0.025 on random circuits that training did not see (0.986 and 0.025 on other devices), 0.955
    and 0.048 on known algorithms. Where angles are small, as in short steps of time evolution,
    predictions are too low.

    Example:
        device = Device.from_name("quito")
        candidates = [compile(circuit, device, layout=layout) for layout in layouts]
        best = max(candidates, key=lambda compiled: predict_success(compiled, device))

    Raises:
        UsageError: for a circuit that was compiled for another device.
    """
    return predict_all([compiled], device)[0].item()


def predict_all(circuits: Sequence[Compiled], device: Device) -> Tensor:
    """`predict_success` of many circuits at once, which is quicker: float32 [circuits]."""
    graphs = padded([circuit_graph(compiled, device) for compiled in circuits])
    return outputs_of(_shipped(), graphs)


@cache
def _shipped() -> GraphTransformer:
    return load_predictor()
