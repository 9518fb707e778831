"""Bits where they matter: what each layer loses, and the best bits for a size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from torch import Tensor, nn

from classical.errors import UsageError
from classical.quantization.affine import Scheme
from classical.quantization.layers import Model, check_names, quantize_weights, weighted_layers

Evaluate: TypeAlias = Callable[[nn.Module], float]
"""What a model is worth: the more, the better."""

Sensitivities: TypeAlias = dict[str, dict[int, float]]
"""By layer and bits, what the model is worth with that layer alone quantized."""


def with_bits(model: Model, bits: Mapping[str, int]) -> Model:
    """A copy of the model with so many bits in each of the layers, one scale per channel.

    Raises:
        UsageError: as `quantize_weights`.
    """
    return quantize_weights(model, {name: Scheme(n, per="channel") for name, n in bits.items()})


def measure_sensitivity(
    model: nn.Module, evaluate: Evaluate, bits: Sequence[int] = (2, 3, 4, 6, 8)
) -> Sensitivities:
    """What the model is worth with each layer alone at each number of bits.

    Args:
        model: any.
        evaluate: such as `lambda m: accuracy(m, data.valid)`.
        bits: to try.

    Raises:
        UsageError: for bits that do not exist.
    """
    return {
        name: {n: evaluate(with_bits(model, {name: n})) for n in bits}
        for name in weighted_layers(model)
    }


def allocate_bits(
    model: nn.Module, sensitivities: Sensitivities, mean_bits: float
) -> dict[str, int]:
    """Bits of each layer for a size of weights, losing least.

    All begin with the most bits; then the layer goes down that loses least for each bit it saves,
    until the size is met. Losses of layers are taken to add up.

    Args:
        model: of which the sizes of layers are.
        sensitivities: of `measure_sensitivity`, at the same bits for all layers.
        mean_bits: of a weight, at most.

    Returns:
        bits by layer, for `with_bits`.

    Raises:
        UsageError: if the fewest bits are more than that, or for layers that the model lacks.
    """
    sizes = weight_counts(model)
    check_names(sensitivities, sizes)
    budget = mean_bits * sum(sizes[name] for name in sensitivities)
    bits = {name: max(worth) for name, worth in sensitivities.items()}
    while sum(n * sizes[name] for name, n in bits.items()) > budget:
        moves = [
            (
                (sensitivities[name][n] - sensitivities[name][lower]) / ((n - lower) * sizes[name]),
                name,
                lower,
            )
            for name, n in bits.items()
            for lower in sensitivities[name]
            if lower < n
        ]
        if not moves:
            raise UsageError(
                f"the fewest bits that were measured are more than {mean_bits} for each weight: "
                "measure fewer bits, or allow more"
            )
        _, name, lower = min(moves)
        bits[name] = lower
    return bits


def weight_counts(model: nn.Module) -> dict[str, int]:
    """Weights of each convolution and linear layer."""
    found = {}
    for name, layer in weighted_layers(model).items():
        assert isinstance(layer.weight, Tensor)
        found[name] = layer.weight.numel()
    return found
