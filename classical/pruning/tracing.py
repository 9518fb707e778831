"""Which channels depend on which: found by running a model once on labels.

Every activation is accompanied by an integer tensor of the same shape that says which channel each
of its elements belongs to. A convolution or linear layer gives new labels to what it makes; what
only moves elements (views, transpositions, concatenation) moves the labels; where elements meet, as
in a residual sum, their labels become one, and the channels leave together or not at all. In the
idea of DepGraph (Fang et al., arXiv:2301.12900), but by what happens instead of by kinds of layers.

What has no rule in `classical.pruning.rules` keeps all channels that enter it, so that an unknown
operation costs compression, never correctness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from classical.metrics.running import evaluating

NONE = 0
"""Label of constants, such as the zeros of a border: they agree with any channel."""
FIXED = 1
"""Label of what has to stay: the inputs and outputs of the model."""

UNLESS = ", unless DepGraphPruner can follow it (pip install 'efficient-qml[pruning]')"
"""After a reason that is none for other packages."""

Role: TypeAlias = Literal["out", "in", "scale", "other"]
"""Of a dimension of a parameter: what makes channels, reads them, scales them, or goes along."""


@dataclass
class Slot:
    """The dimension of a parameter or buffer, and the label of each of its indices [size]."""

    tensor: str
    dim: int
    role: Role
    labels: Tensor


class Tracer(TorchFunctionMode):
    """Labels what a model computes while it is active.

    Attributes:
        slots: by parameter or buffer and dimension.
        reasons: why channels stay, by the weights that make them.
    """

    def __init__(self, model: nn.Module, rules: dict[str, Callable[..., Any]]) -> None:
        super().__init__()
        tensors = [
            *model.named_parameters(remove_duplicate=False),
            *model.named_buffers(remove_duplicate=False),
        ]
        self.rules = rules
        self.slots: dict[tuple[str, int], Slot] = {}
        self.reasons: dict[str, str] = {}
        self._names: dict[int, list[str]] = {}
        for name, tensor in tensors:
            self._names.setdefault(id(tensor), []).append(name)
        self._parents = [NONE, FIXED]
        self._roots: Tensor | None = None
        self._labels: dict[int, Tensor] = {}
        self._alive: list[Tensor] = []  # so that no id is used twice

    # Labels of tensors.

    def of(self, tensor: Tensor) -> Tensor | None:
        """The labels of an activation, None for anything else."""
        return self._labels.get(id(tensor))

    def label(self, tensor: Tensor, labels: Tensor) -> None:
        """Give an activation its labels, of its shape."""
        self._labels[id(tensor)] = labels.expand(tensor.shape)
        self._alive.append(tensor)

    def fix(self, tensors: Any, reason: str) -> None:
        """Keep all channels of the activations."""
        for tensor in tree_leaves(tensors):
            labels = self.of(tensor) if isinstance(tensor, Tensor) else None
            if labels is not None:
                self.fix_labels(labels, reason)

    def fix_labels(self, labels: Tensor, reason: str) -> None:
        """Keep these channels."""
        found = self.find(labels).unique()
        for slot in self.slots.values():
            if (
                slot.role == "out"
                and torch.isin(self.find(slot.labels), found[found > FIXED]).any()
            ):
                self.reasons.setdefault(slot.tensor, reason)
        self.unite(labels, torch.full_like(labels, FIXED))

    # Labels that have become one.

    def fresh(self, count: int) -> Tensor:
        """New labels [count]."""
        first = len(self._parents)
        self._parents += range(first, first + count)
        self._roots = None
        return torch.arange(first, first + count)

    def find(self, labels: Tensor) -> Tensor:
        """What the labels have become: equal where channels depend on each other."""
        if self._roots is None:
            self._roots = torch.tensor([self._root(k) for k in range(len(self._parents))])
        return self._roots[labels]

    def unite(self, one: Tensor, other: Tensor) -> None:
        """Make labels of the same shape one, element by element; NONE agrees with all."""
        one, other = self.find(one).flatten(), self.find(other).flatten()
        different = (one != other) & (one != NONE) & (other != NONE)
        if not different.any():
            return
        codes = (one * len(self._parents) + other)[different].unique().tolist()
        for code in codes:
            a, b = (self._root(k) for k in divmod(code, len(self._parents)))
            self._parents[max(a, b)] = min(a, b)
        self._roots = None

    def unite_all(self, labels: Tensor) -> Tensor:
        """Make all labels [rows, elements] of a row one: the labels of the rows [rows]."""
        best = self.find(labels).amax(1)
        self.unite(labels, best[:, None].expand_as(labels))
        return best

    def along(self, labels: Tensor, dim: int) -> Tensor:
        """The labels of the channels that lie along a dimension [size]."""
        return self.unite_all(labels.movedim(dim, 0).flatten(1))

    def varies(self, labels: Tensor, dim: int) -> bool:
        """Whether labels differ along a dimension."""
        found = self.find(labels)
        return bool((found != found.narrow(dim, 0, 1)).any())

    def _root(self, label: int) -> int:
        while self._parents[label] != label:
            self._parents[label] = self._parents[self._parents[label]]
            label = self._parents[label]
        return label

    # Parameters.

    def slot(self, tensor: Tensor | None, dim: int, role: Role, labels: Tensor) -> None:
        """Tie a dimension of a parameter or buffer to channels [size]."""
        if tensor is None:
            return
        names = self._names.get(id(tensor), [])
        if not names:
            self.fix_labels(labels, "a weight of theirs is no parameter, but made from one")
            return
        known = self.slots.setdefault((names[0], dim), Slot(names[0], dim, role, labels))
        # A layer that is called twice has the same weights for both.
        self.unite(known.labels, labels)
        if len(names) > 1:
            self.fix_labels(labels, f"{' and '.join(names)} are one shared weight")

    def made_by(self, weight: Tensor, dim: int) -> Tensor:
        """The labels of the outputs of a layer [size], new ones at its first call."""
        names = self._names.get(id(weight), [""])
        known = self.slots.get((names[0], dim))
        labels = known.labels if known else self.fresh(weight.shape[dim])
        self.slot(weight, dim, "out", labels)
        return labels

    def is_parameter(self, tensor: Tensor) -> bool:
        """Whether a tensor is a parameter or buffer of the model."""
        return id(tensor) in self._names

    # Running.

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        outputs = func(*args, **given)
        entering = [t for t in tree_leaves((args, given)) if isinstance(t, Tensor)]
        if not any(id(tensor) in self._labels for tensor in entering):
            return outputs
        leaving = [t for t in tree_leaves(outputs) if isinstance(t, Tensor)]
        name = func.__name__.strip("_")
        rule = self.rules.get(name)
        if rule is not None:
            rule(self, func, outputs, *args, **given)
        elif leaving or name == "setitem":
            self.fix((args, given), f"{name} needs all of its channels{UNLESS}")
            for tensor in leaving:
                self.label(tensor, torch.tensor(FIXED))
        return outputs


def trace(model: nn.Module, *inputs: Tensor, rules: dict[str, Callable[..., Any]]) -> Tracer:
    """Run a model once, in evaluation mode without gradients, and label all channels."""
    tracer = Tracer(model, rules)
    # A copy, for two inputs may be one tensor, or an input a parameter.
    copies = [tensor.detach().clone() for tensor in inputs]
    for tensor in copies:
        tracer.label(tensor, torch.tensor(FIXED))
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with evaluating(model, *inputs), tracer:
            outputs = model(*copies)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    tracer.fix(outputs, "it makes an output of the model")
    return tracer
