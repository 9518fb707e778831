"""How much of the input each layer of a network sees."""

from __future__ import annotations

from torch import Tensor, nn

from classical.quantization.graph import trace
from classical.tiny.windows import Window, windows


def receptive_fields(model: nn.Module, x: Tensor) -> dict[str, tuple[Window, Window]]:
    """Receptive fields on the input, by the name of the layer, as rows and columns.

    `size` is what a pixel of the layer's output sees, `stride` how far the fields of neighbours lie
    apart, `before` how far the first one reaches over the border. Where branches meet, the field is
    that of both. Layers behind one that sees everything, such as global pooling, have none.

    Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks"
    (https://distill.pub/2019/computing-receptive-fields/).

    Args:
        model: one image in, one tensor out; convolutions, poolings and what works on single pixels.
        x: images [batch, channels, height, width].

    Raises:
        UsageError: if the model cannot be followed.
    """
    graph = trace(model, x)
    fields = {graph.input: (Window(), Window())}
    found = {}
    for node in graph.nodes:
        own = windows(node)
        if own is None or not all(name in fields for name in node.inputs):
            continue
        rows, columns = (
            _joined([window.of(fields[name][axis]) for name in node.inputs])
            for axis, window in enumerate(own)
        )
        fields[node.name] = found[node.layer] = (rows, columns)
    return found


def _joined(branches: list[Window]) -> Window:
    field = branches[0]
    for other in branches[1:]:
        field = field | other
    return field
