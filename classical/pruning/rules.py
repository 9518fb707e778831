"""What each operation of PyTorch does to the labels of channels.

A rule takes the tracer, the operation, its outputs and its arguments, and labels the outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from classical.pruning.tracing import FIXED, NONE, UNLESS, Tracer


def _moved(tracer: Tracer, func: Any, outputs: Any, *args: Any, **kwargs: Any) -> None:
    """Elements only change places: so do their labels. Those of constants stay."""

    def labels(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        found = tracer.of(value)
        if found is None:  # whole numbers are indices
            return torch.ones_like(value).double() if value.is_floating_point() else value
        return found.double().contiguous()  # which every operation takes, and exact

    moved = func(*tree_map(labels, args), **tree_map(labels, kwargs))
    for tensor, found in zip(tree_leaves(outputs), tree_leaves(moved), strict=True):
        tracer.label(tensor, found.long())


def _padded(
    tracer: Tracer,
    func: Any,
    outputs: Tensor,
    input: Tensor,
    pad: Any,
    mode: str = "constant",
    value: float | None = None,
) -> None:
    """A border of constants has no labels."""
    _moved(tracer, func, outputs, input, pad, mode)


def _elementwise(tracer: Tracer, func: Any, outputs: Tensor, *args: Any, **kwargs: Any) -> None:
    """Elements meet those at the same place, and their labels become one."""
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    shape = outputs.shape
    activations = [labels for t in tensors if (labels := tracer.of(t)) is not None]
    joint = torch.full(shape, NONE)
    for labels in activations:
        wide = labels.expand(shape)
        tracer.unite(joint, wide)
        joint = torch.where(joint == NONE, wide, joint)
    for tensor in tensors:
        if tracer.of(tensor) is None:
            _tie_constant(tracer, tensor, joint)
    tracer.label(outputs, joint)


def _tie_constant(tracer: Tracer, tensor: Tensor, labels: Tensor) -> None:
    """A parameter, or another constant, meets activations with these labels."""
    for dim in range(tensor.ndim):
        place = dim - tensor.ndim
        if tensor.shape[dim] == 1 or not tracer.varies(labels, place):
            continue
        channels = tracer.along(labels, place)
        if tracer.is_parameter(tensor):
            tracer.slot(tensor, dim, "other", channels)
        else:
            tracer.fix_labels(channels, "it meets a constant that has a number for every channel")


def _convolution(
    tracer: Tracer,
    func: Any,
    outputs: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> None:
    """Groups keep or lose all their channels together; a depthwise one passes its channels on."""
    channels = tracer.along(_labels(tracer, input), 1 - weight.ndim)
    if groups == 1:
        tracer.slot(weight, 1, "in", channels)
        made = tracer.made_by(weight, 0)
    else:
        made = tracer.unite_all(channels.reshape(groups, -1))
        made = made.repeat_interleave(weight.shape[0] // groups)
        tracer.slot(weight, 0, "out", made)
    tracer.slot(bias, 0, "other", made)
    tracer.label(outputs, made.reshape(-1, *[1] * (weight.ndim - 2)))


def _transposed(
    tracer: Tracer,
    func: Any,
    outputs: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> None:
    if groups > 1:
        tracer.fix(input, "a transposed convolution in groups needs all of its channels")
        tracer.label(outputs, torch.tensor(FIXED))
        return
    tracer.slot(weight, 0, "in", tracer.along(_labels(tracer, input), 1 - weight.ndim))
    made = tracer.made_by(weight, 1)
    tracer.slot(bias, 0, "other", made)
    tracer.label(outputs, made.reshape(-1, *[1] * (weight.ndim - 2)))


def _linear(
    tracer: Tracer,
    func: Any,
    outputs: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
) -> None:
    tracer.slot(weight, 1, "in", tracer.along(_labels(tracer, input), -1))
    made = tracer.made_by(weight, 0)
    tracer.slot(bias, 0, "other", made)
    tracer.label(outputs, made)


def _batch_norm(
    tracer: Tracer,
    func: Any,
    outputs: Tensor,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *_: Any,
    **__: Any,
) -> None:
    labels = _labels(tracer, input)
    channels = tracer.along(labels, 1)
    for tensor in (running_mean, running_var, bias):
        tracer.slot(tensor, 0, "other", channels)
    tracer.slot(weight, 0, "scale", channels)
    tracer.label(outputs, labels)


def _pooled(tracer: Tracer, func: Any, outputs: Any, input: Tensor, *_: Any, **__: Any) -> None:
    """Places change, channels do not: [batch, channels, ...]."""
    for tensor in tree_leaves(outputs):
        channels = tracer.along(_labels(tracer, input), 1)
        tracer.label(tensor, channels.reshape(-1, *[1] * (tensor.ndim - 2)))


def _reduced(
    tracer: Tracer,
    func: Any,
    outputs: Tensor,
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    **_: Any,
) -> None:
    """A sum or mean along dimensions, along which channels must not lie."""
    labels = _labels(tracer, input)
    dims = [dim] if isinstance(dim, int) else range(input.ndim) if dim is None else dim
    _keep_along(tracer, labels, dims, func.__name__)
    for place in dims:
        labels = labels.narrow(place, 0, 1)
    tracer.label(outputs, labels if keepdim else labels.reshape(outputs.shape))


def _normalized(
    tracer: Tracer, func: Any, outputs: Tensor, input: Tensor, dim: int = 1, *_: Any, **__: Any
) -> None:
    """Every element depends on all along a dimension, and is as many as they."""
    labels = _labels(tracer, input)
    _keep_along(tracer, labels, [dim], func.__name__)
    tracer.label(outputs, labels)


def _layer_norm(
    tracer: Tracer,
    func: Any,
    outputs: Tensor,
    input: Tensor,
    normalized_shape: Any,
    *_: Any,
    **__: Any,
) -> None:
    labels = _labels(tracer, input)
    _keep_along(tracer, labels, range(-len(normalized_shape), 0), func.__name__)
    tracer.label(outputs, labels)


def _keep_along(tracer: Tracer, labels: Tensor, dims: Any, name: str) -> None:
    for dim in dims:
        if tracer.varies(labels, dim):
            tracer.fix_labels(labels, f"{name} mixes its channels{UNLESS}")


def _attention(
    tracer: Tracer,
    func: Any,
    outputs: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *_: Any,
    enable_gqa: bool = False,
    **__: Any,
) -> None:
    """[..., heads, tokens, width]: a head stays or leaves as a whole."""
    operands = [_labels(tracer, tensor) for tensor in (query, key, value)]
    if enable_gqa:
        heads = query.shape[-3]
        operands = [x.repeat_interleave(heads // x.shape[-3], -3) for x in operands]
    _by_matrix(tracer, outputs, operands)


def _matmul(tracer: Tracer, func: Any, outputs: Tensor, one: Tensor, other: Tensor) -> None:
    """Two activations are multiplied matrix by matrix: each of the matrices is one unit."""
    if tracer.of(one) is None or tracer.of(other) is None or min(one.ndim, other.ndim) < 2:
        tracer.fix((one, other), "it is multiplied by a matrix outside of a linear layer")
        tracer.label(outputs, torch.tensor(FIXED))
        return
    _by_matrix(tracer, outputs, [_labels(tracer, one), _labels(tracer, other)])


def _by_matrix(tracer: Tracer, outputs: Tensor, operands: list[Tensor]) -> None:
    lead = outputs.shape[:-2]
    rows = [x.expand(*lead, *x.shape[-2:]).reshape(lead.numel(), -1) for x in operands]
    tracer.label(outputs, tracer.unite_all(torch.cat(rows, 1)).reshape(*lead, 1, 1))


def _embedding(
    tracer: Tracer, func: Any, outputs: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any
) -> None:
    tracer.label(outputs, tracer.made_by(weight, 1))


def _labels(tracer: Tracer, tensor: Tensor) -> Tensor:
    found = tracer.of(tensor)
    return torch.full(tensor.shape, NONE) if found is None else found


_MOVED = """view reshape flatten unflatten permute transpose swapaxes movedim squeeze unsqueeze
    expand expand_as repeat repeat_interleave cat concat stack chunk split tensor_split unbind
    narrow select getitem roll flip clone detach contiguous pixel_shuffle pixel_unshuffle
    channel_shuffle"""
_ELEMENTWISE = """add iadd radd sub isub rsub mul imul rmul div idiv rdiv truediv neg pow abs exp
    log sqrt rsqrt square maximum minimum clamp where masked_fill relu relu6 hardtanh leaky_relu elu
    celu selu gelu silu mish sigmoid hardsigmoid tanh hardswish softplus dropout dropout1d dropout2d
    dropout3d feature_dropout alpha_dropout float double half to type_as gt ge lt le eq ne"""
_POOLED = """interpolate upsample""" + "".join(
    f" {kind}_pool{n}d"
    for kind in ("max", "avg", "lp", "adaptive_max", "adaptive_avg")
    for n in (1, 2, 3)
)


def _all(names: str, rule: Callable[..., None]) -> dict[str, Callable[..., None]]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, Callable[..., None]] = {
    **_all(_MOVED, _moved),
    **_all(_ELEMENTWISE, _elementwise),
    **_all(_POOLED, _pooled),
    **_all("conv1d conv2d conv3d", _convolution),
    **_all("conv_transpose1d conv_transpose2d conv_transpose3d", _transposed),
    **_all("sum mean amax amin", _reduced),
    **_all("softmax log_softmax", _normalized),
    **_all("matmul bmm", _matmul),
    "pad": _padded,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "scaled_dot_product_attention": _attention,
    "embedding": _embedding,
}
"""By the name of the operation without underscores: `relu_` has the rule of `relu`."""
